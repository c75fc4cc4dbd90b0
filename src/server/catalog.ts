/** The models of a server: which there are, in which state, and how they come and go. */

import { pipe } from "../index.ts";
import type { Log, Pipe } from "../index.ts";
import { RequestError, failureOf } from "./failure.ts";
import { ServedModel } from "./served-model.ts";
import type { Source } from "./sources.ts";
import type { Spans } from "./spans.ts";
import { Tally } from "./tally.ts";

export type ModelState = "LOADING" | "READY" | "UNLOADING" | "UNAVAILABLE";

/** How often the delay before a lost model is loaded anew is doubled. */
const DOUBLINGS_MAX = 5;

interface Entry {
  name: string;
  version: string;
  state: ModelState;
  /** Why it is not ready. */
  reason: string;
  model: ServedModel | null;
  /** It was served, and its pipe gave up: nobody asked for that. */
  isLost: boolean;
  /** How often that was so, or could not be mended, since it last served for long. */
  losses: number;
  readyMs: number;
  tally: Tally;
}

export interface CatalogOptions {
  /** What could be loaded now. */
  sources: () => readonly Source[];
  /** Whether clients may load and unload models. */
  mayChange: boolean;
  /** ms until a lost model is loaded anew: twice as many each time, to 32-fold, until it serves so long. */
  reviveMs: number;
  spans: Spans;
  log: Log;
  /** Called when `ready` may have changed. */
  changed: () => void;
}

export class Catalog {
  readonly #options: CatalogOptions;
  /** By name, then by version. */
  readonly #entries = new Map<string, Map<string, Entry>>();
  /** Loads and unloads of one model follow each other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #aborter = new AbortController();
  #started = false;
  #closing = false;

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /** Loads everything there is, one after another. Rejects with the first failure. */
  async loadAll(): Promise<void> {
    const sources = this.#options.sources();
    for (const { name, version } of sources) this.#entry(name, version).state = "LOADING";
    for (const source of sources) await this.#load(source);
    this.#started = true;
    this.#options.changed();
  }

  /**
   * Whether everything that there was at the start is loaded, something can be called, and nothing was
   * lost. A model that comes later, or fails to, takes nothing away from those that are served.
   */
  get ready(): boolean {
    if (!this.#started || this.#closing) return false;
    const entries = this.entries();
    return entries.some(({ model }) => model !== null) && !entries.some(({ isLost }) => isLost);
  }

  entries(): Entry[] {
    return [...this.#entries.values()].flatMap((versions) => [...versions.values()]);
  }

  models(): ServedModel[] {
    return this.entries().flatMap(({ model }) => model ?? []);
  }

  /** Without a version, the highest that is ready. Throws RequestError: 404, or 503 while it is not ready. */
  find(name: string, version?: string): ServedModel {
    const versions = this.#entries.get(name);
    if (versions === undefined) throw unknownModel(name);
    const entry = version === undefined ? highest(versions.values()) : versions.get(version);
    if (entry === undefined) throw unknownModel(name, version);
    if (entry.model !== null) return entry.model;
    const text = `Model "${name}" version ${entry.version} is not ready: ${entry.reason || entry.state}`;
    const isLate = entry.isLost || entry.state === "LOADING";
    throw isLate ? new RequestError(503, text, { "retry-after": "1" }) : new RequestError(404, text);
  }

  /** Versions of a model that can be called, the lowest first. */
  versions(name: string): string[] {
    const ready = [...(this.#entries.get(name)?.values() ?? [])].filter(({ model }) => model !== null);
    return ready.map(({ version }) => version).toSorted((a, b) => Number(a) - Number(b));
  }

  /** False for a model that does not exist, too. */
  isReady(name: string, version?: string): boolean {
    const versions = [...(this.#entries.get(name)?.values() ?? [])];
    const ready = versions.filter(({ model }) => model !== null);
    return !this.#closing && ready.some((entry) => version === undefined || entry.version === version);
  }

  /** Everything that could be served, loaded or not. */
  index(): { name: string; version: string; state: ModelState; reason: string }[] {
    const loaded = this.entries().map(({ name, version, state, reason }) => ({
      name,
      version,
      state,
      reason,
    }));
    const others = this.#found()
      .filter(({ name, version }) => !this.#entries.get(name)?.has(version))
      .map(({ name, version, error }) => ({
        name,
        version,
        state: "UNAVAILABLE" as const,
        reason: error === undefined ? "not loaded" : failureOf(error).message,
      }));
    return [...loaded, ...others];
  }

  /** What could be loaded, as far as it can be told. */
  #found(): readonly Source[] {
    try {
      return this.#options.sources();
    } catch (error) {
      this.#warn("Cannot look for models", error);
      return [];
    }
  }

  /** Loads a model, or loads it anew: the old one serves until the new one can. */
  async load(name: string): Promise<void> {
    this.#checkMayChange();
    await this.#inTurn(name, async () => {
      const found = this.#options.sources();
      const sources = found.filter((source) => source.name === name);
      if (sources.length === 0) {
        // It may stand in a file that cannot be read now.
        const wrong = this.#entries.has(name) && found.find(({ error }) => error !== undefined);
        throw (wrong && wrong.error) || unknownModel(name);
      }
      for (const source of sources) await this.#load(source);
      const versions = new Set(sources.map(({ version }) => version));
      const gone = [...(this.#entries.get(name)?.values() ?? [])].filter((one) => !versions.has(one.version));
      await Promise.all(gone.map((entry) => this.#unload(entry)));
    });
  }

  async unload(name: string): Promise<void> {
    this.#checkMayChange();
    await this.#inTurn(name, async () => {
      const versions = this.#entries.get(name);
      if (versions === undefined) throw unknownModel(name);
      await Promise.all([...versions.values()].map((entry) => this.#unload(entry)));
    });
  }

  /** Refuses what comes, finishes what was admitted, and ends all pipes. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#aborter.abort(new RequestError(503, "The server is shutting down"));
    await Promise.allSettled(this.#turns.values());
    await Promise.all(this.models().map((model) => model.close()));
  }

  async #inTurn(name: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(work, work);
    this.#turns.set(name, turn);
    try {
      await turn;
    } finally {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    }
  }

  #entry(name: string, version: string): Entry {
    const versions = this.#entries.get(name) ?? new Map<string, Entry>();
    this.#entries.set(name, versions);
    const entry = versions.get(version) ?? newEntry(name, version);
    versions.set(version, entry);
    return entry;
  }

  async #load({ name, version, config, error: wrong }: Source): Promise<void> {
    const entry = this.#entry(name, version);
    const { log, spans } = this.#options;
    const old = entry.model;
    if (old === null) entry.state = "LOADING";
    const startMs = performance.now();
    let opened: Pipe;
    try {
      if (wrong !== undefined) throw wrong;
      opened = await pipe({ ...config, log }, { signal: this.#aborter.signal });
    } catch (error) {
      // Who is asked over the network does not tell paths; who reads the log may see them.
      const { message } = failureOf(error);
      log("error", `Cannot load ${name} version ${version}`, { model: name, version, error: String(error) });
      if (old === null) Object.assign(entry, { state: "UNAVAILABLE", reason: message });
      throw error;
    }
    const model = new ServedModel(entry, opened, entry.tally, spans);
    Object.assign(entry, { state: "READY", reason: "", model, isLost: false, readyMs: performance.now() });
    model.whenRefused(() => this.#onRefused(entry, model));
    this.#options.changed();
    const { engine, backend } = opened.describe();
    const fields = { model: name, version, backend, engine, ms: Math.round(performance.now() - startMs) };
    log("info", `Loaded ${name} version ${version}`, fields);
    await old?.close();
  }

  /** A pipe that was not asked to end has given up, and said why in the log. */
  #onRefused(entry: Entry, model: ServedModel): void {
    if (entry.model !== model || this.#closing) return;
    if (performance.now() - entry.readyMs > this.#delayMs(DOUBLINGS_MAX)) entry.losses = 0;
    const reason = "its instances were lost";
    Object.assign(entry, { state: "UNAVAILABLE", reason, model: null, isLost: true });
    this.#options.changed();
    model.close().catch((error: unknown) => this.#warn(`Cannot end ${entry.name}`, error));
    this.#reviveLater(entry);
  }

  #reviveLater(entry: Entry): void {
    setTimeout(() => void this.#revive(entry), this.#delayMs(entry.losses++)).unref();
  }

  #delayMs(losses: number): number {
    return this.#options.reviveMs * 2 ** Math.min(losses, DOUBLINGS_MAX);
  }

  /** Nobody may be there who could ask for it. */
  async #revive(entry: Entry): Promise<void> {
    const { name, version } = entry;
    try {
      await this.#inTurn(name, async () => {
        if (!entry.isLost || this.#closing) return;
        const source = this.#options.sources().find((one) => one.name === name && one.version === version);
        if (source === undefined) throw unknownModel(name, version);
        await this.#load(source);
      });
    } catch (error) {
      this.#warn(`Cannot bring ${name} back yet`, error);
      this.#reviveLater(entry);
    }
  }

  #warn(text: string, error: unknown): void {
    this.#options.log("warn", text, { error: String(error) });
  }

  async #unload(entry: Entry): Promise<void> {
    const { model } = entry;
    if (entry.isLost) Object.assign(entry, { isLost: false, reason: "unloaded" });
    if (model === null) return this.#options.changed();
    Object.assign(entry, { state: "UNLOADING", model: null });
    this.#options.changed();
    await model.close();
    Object.assign(entry, { state: "UNAVAILABLE", reason: "unloaded" });
    const { name, version } = entry;
    this.#options.log("info", `Unloaded ${name} version ${version}`, { model: name, version });
  }

  #checkMayChange(): void {
    if (this.#closing) throw new RequestError(503, "The server is shutting down");
    if (this.#options.mayChange) return;
    throw new RequestError(403, "Loading and unloading are not allowed here: see --model-control");
  }
}

function newEntry(name: string, version: string): Entry {
  const never = { isLost: false, losses: 0, readyMs: 0 };
  return { name, version, state: "UNAVAILABLE", reason: "", model: null, ...never, tally: new Tally() };
}

/** The highest version that is ready, or else the highest. Looked for by every request. */
function highest(entries: Iterable<Entry>): Entry | undefined {
  let best: Entry | undefined;
  for (const entry of entries) {
    if (best === undefined || isBetter(entry, best)) best = entry;
  }
  return best;
}

function isBetter(one: Entry, other: Entry): boolean {
  const ready = one.model !== null;
  if (ready !== (other.model !== null)) return ready;
  return Number(one.version) > Number(other.version);
}

function unknownModel(name: string, version?: string): RequestError {
  const which = version === undefined ? "" : ` version ${JSON.stringify(version.slice(0, 40))}`;
  return new RequestError(404, `Cannot find model ${JSON.stringify(name.slice(0, 80))}${which}`);
}
