/** What a row of the catalogue is. */

export interface Row {
  fault: string;
  by: readonly string[];
  /** Tests that this row still waits for: missing until they exist. */
  awaited?: readonly string[];
  /** What of the fault no test here can show, or what the design makes of it. */
  note?: string;
}

export type Catalogue = Readonly<Record<string, Row>>;

/** Several tests of one suite. */
export function of(suite: string, ...titles: readonly string[]): readonly string[] {
  return titles.map((title) => `${suite} > ${title}`);
}
