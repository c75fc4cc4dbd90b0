/** A soak: rounds of load, each followed by a look at what the process holds. */

import { sleep, within } from "../support/pipes.ts";
import { heapBytes, koffiBytes, openFiles, processCounters, rssBytes, COUNTERS } from "./counters.ts";
import type { Counters } from "./counters.ts";
import { LEAKS } from "./leaks.ts";
import { Load, random } from "./load.mjs";
import type { Totals } from "./load.mjs";
import type { SoakOptions } from "./options.ts";
import { DEATHS, openPipes } from "./pipes.ts";
import type { Pipes } from "./pipes.ts";
import { comeAndGo, Resident } from "./threads.ts";
import { MIB, growthMib, judge, limitMib, slopeMibPerHour } from "./verdict.ts";
import type { Reading, Record, Sample } from "./verdict.ts";

const RESIDENTS = 2;
/** Rounds before the first sample: lazily started threads and compiled code are there by then. */
const WARM_UP_ROUNDS = 2;
const ROUND_S_MAX = 10;
/** As many as there have to be to compare one third of them with another. */
const SAMPLES_MIN = 6;
/** No call takes longer than that, in no round. */
const STUCK_MS = 60_000;
/** Threads and children that have ended are gone by then. */
const QUIET_MS = 15_000;
const LEAK_QUIET_MS = 500;
/** So many looks that find the same, 100 ms apart, are rest. */
const STILL_LOOKS = 15;
/** Five deaths within ten seconds would close a pipe. */
const DEATH_EVERY_MS = 3000;
const OUTCOMES = ["asked", "right", "failed", "wrong", "lost"] as const;

export async function soak(options: SoakOptions): Promise<number> {
  const run = await Soak.start(options);
  const faults = await run.rounds();
  const { leak } = options;
  if (leak !== null) {
    const shown = faults.find(({ what }) => what === LEAKS[leak].shows);
    console.log(shown === undefined ? `${leak}: not noticed` : `${leak}: noticed, ${shown.text}`);
    return shown === undefined ? 1 : 0;
  }
  await run.end();
  for (const { text } of faults) console.log(`not flat: ${text}`);
  const { wrong, lost, error } = run.sum();
  if (error !== undefined) console.log(`wrong or lost, the first one: ${error}`);
  const passed = faults.length === 0 && wrong === 0 && lost === 0;
  console.log(`${run.summary()}: ${passed ? "passed" : "failed"}`);
  return passed ? 0 : 1;
}

class Soak {
  readonly #options: SoakOptions;
  readonly #pipes: Pipes;
  readonly #load: Load;
  readonly #residents: readonly Resident[];
  readonly #any: () => number;
  readonly #passing: Totals = { asked: 0, right: 0, failed: 0, wrong: 0, lost: 0 };
  readonly #startMs = performance.now();
  #nextDeathMs = 0;
  #files: ReadonlyMap<string, number> = new Map();
  readonly #samples: Sample[] = [];
  readonly #readings: Reading[] = [];
  readonly #reader: NodeJS.Timeout;

  private constructor(options: SoakOptions, pipes: Pipes, residents: readonly Resident[]) {
    this.#options = options;
    this.#pipes = pipes;
    this.#residents = residents;
    this.#any = random(options.seed);
    this.#load = new Load(pipes, { seed: options.seed, sync: false });
    this.#reader = setInterval(() => {
      this.#readings.push({ atS: this.#seconds, rss: rssBytes() - koffiBytes() });
    }, 1000);
  }

  static async start(options: SoakOptions): Promise<Soak> {
    console.log(`seed ${options.seed}`);
    const pipes = await openPipes(RESIDENTS + 16);
    const seeds = Array.from({ length: RESIDENTS }, (_, i) => options.seed + i + 1);
    return new Soak(options, pipes, await Promise.all(seeds.map((seed) => Resident.start(pipes, seed))));
  }

  get #seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  /** All rounds, and what was not flat. */
  async rounds(): Promise<ReturnType<typeof judge>> {
    const { durationS, leak } = this.#options;
    const roundMs = Math.min(ROUND_S_MAX, durationS / 12) * 1000;
    for (let round = 0; this.#seconds < durationS || this.#samples.length < SAMPLES_MIN; round++) {
      await within(this.#round(roundMs), `round ${round}: a call that is lost`, roundMs + STUCK_MS);
      if (round >= WARM_UP_ROUNDS) this.#samples.push(await this.#quiet());
      if (round === WARM_UP_ROUNDS) this.#files = openFiles();
      this.#show();
      if (leak !== null && this.#shows(leak)) break;
      if (leak !== null && round >= WARM_UP_ROUNDS) LEAKS[leak].once(this.#pipes, this.#load);
    }
    clearInterval(this.#reader);
    const faults = judge(this.#record);
    if (faults.some(({ what }) => what === "fds"))
      console.log(`open files that are new: ${this.#moreFiles()}`);
    return faults;
  }

  /** A run that was held up took longer than was asked for. */
  get #record(): Record {
    const { durationS, long } = this.#options;
    const tookS = Math.max(durationS, this.#samples.at(-1)?.atS ?? 0);
    return { samples: this.#samples, readings: this.#readings, durationS: tookS, long };
  }

  async #round(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    await Promise.all([
      this.#load.run(ms),
      ...this.#residents.map((resident) => resident.run(ms)),
      comeAndGo(untilMs, this.#passing),
      this.#deaths(untilMs),
    ]);
  }

  /** Instances that die, one of a pipe at a time. */
  async #deaths(untilMs: number): Promise<void> {
    const { mortal, process: processes } = this.#pipes;
    const ways = Object.values(DEATHS);
    for (;;) {
      this.#nextDeathMs = Math.max(this.#nextDeathMs, performance.now()) + 500 * this.#any();
      if (this.#nextDeathMs > untilMs) return;
      await sleep(this.#nextDeathMs - performance.now());
      this.#nextDeathMs += DEATH_EVERY_MS;
      const death = ways[Math.floor(this.#any() * ways.length)];
      // A leader that dies costs nothing: its row is answered, with what the death left in it.
      const right =
        death === DEATHS.leading ? (result: object) => "data" in result && isZero(result.data) : undefined;
      const lost = { codes: ["TP_INSTANCE"] };
      await Promise.all([
        this.#load.ask(
          mortal,
          { data: Float32Array.of(death) },
          right === undefined ? lost : { ...lost, right },
        ),
        this.#load.ask(processes, { data: Float32Array.of(EXIT, 0, 0) }, lost),
      ]);
    }
  }

  /**
   * What is held once everything has come to rest: what was held at first, or, at first, what does not
   * change any more. What does not come back in time is a leak.
   */
  async #quiet(): Promise<Sample> {
    const first = this.#samples[0]?.counters;
    const deadlineMs = performance.now() + (this.#options.leak === null ? QUIET_MS : LEAK_QUIET_MS);
    let before = first;
    for (let alike = 0; ;) {
      const counters = await this.#counters();
      const same = COUNTERS.every((name) => counters[name] === before?.[name]);
      alike = same && this.#isWhole ? alike + 1 : 0;
      before = first ?? counters;
      const enough = first === undefined ? STILL_LOOKS : 1;
      if (alike >= enough || (first !== undefined && performance.now() > deadlineMs)) {
        return { atS: this.#seconds, counters, heap: await heapBytes() };
      }
      await sleep(100);
    }
  }

  /** Whether a leak on purpose can be seen already. */
  #shows(leak: string): boolean {
    return this.#samples.length > 1 && judge(this.#record).some(({ what }) => what === LEAKS[leak].shows);
  }

  /** What there is now and was not when the first sample was taken. */
  #moreFiles(): string {
    const more = [...openFiles()].map(
      ([kind, count]) => [count - (this.#files.get(kind) ?? 0), kind] as const,
    );
    return more.flatMap(([count, kind]) => (count > 0 ? [`${count} of ${kind}`] : [])).join(", ");
  }

  /** Whether all that died was replaced. */
  get #isWhole(): boolean {
    const { instances } = this.#pipes.mortal.stats();
    return instances.every(({ state }) => state !== "dead" && state !== "starting");
  }

  async #counters(): Promise<Counters> {
    const left = await Promise.all(this.#residents.map((resident) => resident.run(0)));
    const all = [this.#load.left(), ...left];
    const sum = (key: "slots" | "listeners"): number => all.reduce((total, one) => total + one[key], 0);
    return { ...processCounters(), slots: sum("slots"), listeners: sum("listeners") };
  }

  sum(): Totals {
    const all = [this.#load.totals, this.#passing, ...this.#residents.map(({ totals }) => totals)];
    const sum = (key: (typeof OUTCOMES)[number]): number => all.reduce((total, one) => total + one[key], 0);
    const { error } = all.find((one) => one.error !== undefined) ?? {};
    const [asked, right, failed, wrong] = [sum("asked"), sum("right"), sum("failed"), sum("wrong")];
    const counts = { asked, right, failed, wrong, lost: asked - right - failed - wrong };
    return error === undefined ? counts : { ...counts, error };
  }

  #show(): void {
    const { asked, wrong, lost } = this.sum();
    const { counters, heap } = this.#samples.at(-1) ?? {};
    const held = COUNTERS.map((name) => `${name} ${counters?.[name] ?? "-"}`).join(", ");
    const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
    const memory = `heap ${mib(heap ?? Number.NaN)}, RSS ${mib(rssBytes())}`;
    const seconds = this.#seconds.toFixed(0).padStart(4);
    console.log(`${seconds} s: ${asked} asked, ${wrong} wrong, ${lost} lost; ${held}; ${memory}`);
  }

  summary(): string {
    const { asked, right, failed, wrong, lost } = this.sum();
    const record = this.#record;
    const { durationS, long, samples, readings } = record;
    const heap = growthMib(durationS, samples, ({ heap: bytes }) => bytes).toFixed(1);
    const rss = growthMib(durationS, readings, ({ rss: bytes }) => bytes).toFixed(1);
    const slope = `, RSS ${slopeMibPerHour(record).toFixed(2)} MiB an hour`;
    const others = koffiBytes() > 0 ? ` without koffi's ${(koffiBytes() / MIB).toFixed(1)}` : "";
    const limit = `(limit ${limitMib(durationS)})`;
    const memory = `heap ${heap} MiB, RSS ${rss} MiB more${others} ${limit}${long ? slope : ""}`;
    const restarts = this.#pipes.mortal.stats().instanceRestarts;
    const requests = `${asked} requests, ${right} right, ${failed} failed as they should, ${wrong} wrong`;
    return `${requests}, ${lost} lost; ${restarts} instances replaced; ${memory}`;
  }

  async end(): Promise<void> {
    await Promise.all(this.#residents.map((resident) => resident.leave()));
    await Promise.all(Object.values(this.#pipes).map((models) => models.close()));
  }
}

function isZero(data: unknown): boolean {
  return data instanceof Float32Array && data[0] === 0;
}

/** The Fault backend's order to exit: csrc/fault.h. */
const EXIT = 16;
