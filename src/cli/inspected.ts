/** What models and engines have in common when they are inspected. */

export interface Tensor {
  name: string;
  dtype: string;
  /** Sizes; a name or -1 where a dimension is open. null: not known. */
  shape: readonly (number | string)[] | null;
}

/** What can be said of either kind of file; null where it is not known. */
export interface Inspected {
  file: string;
  bytes: number;
  inputs: readonly Tensor[] | null;
  outputs: readonly Tensor[] | null;
  /** As text, for a person. */
  lines: readonly string[];
}

/** `name  float32 [N, 3, 224, 224]` */
export function shown({ name, dtype, shape }: Tensor): string {
  return `${name}  ${dtype} ${shape === null ? "of unknown shape" : `[${shape.join(", ")}]`}`;
}
