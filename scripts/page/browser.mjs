/**
 * A real browser without a window, over its DevTools protocol: JSON ended by NUL through two pipes, so that
 * nothing needs to be installed beside the browser.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure, run } from "../run.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ANSWER_MS = 20_000;

/** The first that starts, or the one that CHROMIUM names. */
export async function findBrowser() {
  const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : NAMES;
  for (const name of names) {
    const { status, output } = await run(name, ["--version"], { limitS: 20 });
    if (status === 0) return { name, version: output.trim().split("\n").at(-1) };
  }
  throw new Failure(
    `Cannot find a browser: expected one of ${names.join(", ")}. In Debian and Ubuntu:\n` +
      "  apt-get install -y --no-install-recommends chromium\nCHROMIUM names another path.",
  );
}

export class Browser {
  #child;
  #folder = mkdtempSync(join(tmpdir(), "trtpipe-page-"));
  #waiting = new Map();
  #count = 0;
  #rest = "";
  /** Called with every event: its method, and what it tells. */
  onEvent = () => {};

  constructor(name) {
    // Names are not looked up: a page that asks another host fails, and is seen to.
    const flags = ["--headless=new", "--remote-debugging-pipe", `--user-data-dir=${this.#folder}`,
      "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]; // prettier-ignore
    // Its sandbox does not work for root.
    if (process.getuid?.() === 0) flags.push("--no-sandbox");
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"];
    this.#child = spawn(name, [...flags, "about:blank"], { stdio, detached: true });
    const lost = (why) => {
      for (const { reject } of this.#waiting.values()) reject(new Failure(`The browser ${why}`));
      this.#waiting.clear();
    };
    this.#child.on("error", (error) => lost(error.message));
    this.#child.on("exit", (code) => lost(`ended with ${code}`));
    this.#child.stdio[3].on("error", () => {});
    this.#child.stdio[4].setEncoding("utf8").on("data", (text) => this.#read(text));
  }

  #read(text) {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop();
    for (const message of messages) {
      const { id, result, error, method, params } = JSON.parse(message);
      if (id === undefined) this.onEvent(method, params);
      else if (error) this.#take(id)?.reject(new Failure(`The browser refuses: ${error.message}`));
      else this.#take(id)?.resolve(result);
    }
  }

  #take(id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#take(id);
        reject(new Failure(`The browser does not answer ${method} within ${ANSWER_MS / 1000} s`));
      }, ANSWER_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /** A page of its own. Resolves with a function that sends it a command. */
  async open() {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    return (method, params) => this.send(method, params, sessionId);
  }

  /** Ends it with all the processes that it started. */
  async close() {
    const ended = new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.pid === undefined) resolve();
      this.#child.once("exit", resolve);
    });
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // It is gone.
    }
    await ended;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
