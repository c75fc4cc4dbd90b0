/** The rows of concurrency and lifetime, and of the supply chain. */

import { of } from "./row.ts";
import type { Catalogue } from "./row.ts";

const SIMULATION = "scheduler/simulate > breaks no promise";

export const requestRows: Catalogue = {
  L1: {
    fault: "10 000 requests at once against a queue of 16, again and again",
    by: [
      ...of(
        "suite/give-up > ten thousand calls in one turn against max_queue: 16",
        "are refused at once or right, twenty times over, and nothing drifts",
      ),
      "suite/requests > more than max_queue rows > leave no trace, however often it happens",
      SIMULATION,
    ],
  },
  L2: {
    fault: "an abort before, while and after, and twice",
    by: [
      "suite/give-up > a signal > that is aborted already keeps the request from its slot",
      ...of(
        "suite/give-up > a signal",
        "gives up a request that waits, with its reason, and the request never runs",
        "gives up a request that runs, at once",
        "has no listener left when its requests are answered",
      ),
      ...of(
        "suite/must-show > 100 000 requests that are aborted",
        "leave no slot, no listener and no memory behind",
      ),
      SIMULATION,
    ],
    note: "a signal aborts once by its nature",
  },
  L3: {
    fault: "a timeout in the queue, at dispatch, while it runs",
    by: [
      ...of(
        "suite/must-show > a timeout of 200 ms behind a run of 3 s",
        "rejects after 200 to 450 ms, and its rows never run",
      ),
      "suite/give-up > a timeout > ends a request that runs, whose slot comes back with its run",
      "scheduler/queue > rows whose deadline passed > are the caller's if it gave them up first",
      SIMULATION,
    ],
  },
  L4: {
    fault: "a caller that ends while it waits, holds slots or publishes",
    by: [
      ...of(
        "suite/workers > max_callers",
        "counts a thread no more that was terminated with calls in flight",
      ),
      "suite/workers > a thread that ends > takes nothing of the others with it",
      "memory/channel-claim > is not inherited while an instance has a row of it, but later",
      SIMULATION,
    ],
  },
  L5: {
    fault: "a terminated Worker that goes on waiting and swallows a wake-up",
    by: [
      "suite/workers > max_callers > counts a thread that has ended no more: %s",
      "suite/teardown > Workers that ran ONNX Runtime > are terminated in the middle of it",
      SIMULATION,
    ],
  },
  L6: {
    fault: "an instance's thread that throws or exits, once and again and again",
    by: [
      "suite/instance-loss > an instance that dies before it answers > costs its own rows only: %s",
      ...of(
        "suite/instance-loss > a leader that dies",
        "costs nothing: the next one makes its lists anew (%d instances)",
      ),
      ...of(
        "suite/instance-loss > five deaths in a short time",
        "close the pipe: everybody is told, here and in Workers, and close() resolves",
      ),
      SIMULATION,
    ],
  },
  L7: {
    fault: "a segmentation fault, abort() or exit() in native code",
    by: ["suite/process > a process that dies > costs its own batch only: %s", "C: process_death"],
    note: "without Process[X] such a crash ends the process",
  },
  L8: {
    fault: "a native call that never comes back",
    by: [
      "suite/process > a process that dies > or hangs is ended after run_timeout",
      "C: process_death",
      "C: interrupt",
      ...of(
        "suite/hang > a call that does not come back",
        "rejects within its bound, while others go on",
        "keeps its slots until it is back, and writes to nobody else's",
      ),
      "suite/hang > a call that can be ended > costs its batch, and neither its thread nor anything else",
      "suite/hang > close() > does not wait for a call that hangs any longer than it has to",
      ...of(
        "suite/hang-reload > a call that hangs while a reload is under way",
        "is given up, and its line goes to the one that waits for it",
      ),
      ...of(
        "suite/hang-reload > a reload while an instance is quarantined",
        "does not wait for it, and neither does the next one (%d instances)",
      ),
      SIMULATION,
    ],
  },
  L9: {
    fault: "a backend that gives wrong rows, or fails for ever",
    by: [
      "suite/faults > a failing run > that gives another number of rows is not split wrongly",
      "suite/faults > swapped answers > would be noticed by the tests that look for them",
      ...of(
        "scheduler/serve > rows that were answered in the meantime",
        "are counted, and their slots are left alone",
      ),
      "C: fault",
    ],
    note: "backends are C: none can settle twice or keep a promise pending",
  },
  L10: {
    fault: "close() in every state, twice, at once, while it loads",
    by: [
      "suite/close > every operation in every state > $state: $operation $expected",
      "suite/close > close() > may be called more than once, also at once, and resolves each time",
      "suite/close > close() > finishes what was asked for before, queued or running",
      "suite/loading > the signal > ends loading at whatever moment it comes",
      ...of(
        "suite/workers > a pipe that closes",
        "answers what a Worker had asked for, and refuses what it asks after",
      ),
      SIMULATION,
    ],
  },
  L11: {
    fault: "a process that ends while work is in flight",
    by: [
      "suite/teardown > a process ends by itself > %s",
      ...of(
        "suite/teardown > a process ends at once, and without a crash, while work is in flight",
        "by process.exit()",
        "by an exception that nobody catches",
        "by a signal",
      ),
    ],
  },
  L12: {
    fault: "a pipe's handle in another process",
    by: ["suite/workers > attach() > refuses a pipe of another version or process", "C: forks"],
  },
  L13: {
    fault: "two pipes, one of them saturated or closed",
    by: [
      ...of(
        "suite/isolation > two pipes, one of them saturated",
        "do not slow each other: of a hundred calls, 99 are as quick as alone",
      ),
      "suite/crossing > several pipes at once > do not end each other",
      "suite/crossing > several pipes at once > keep their rows apart",
    ],
  },
};

export const threadRows: Catalogue = {
  L14: {
    fault: "a handle in 32 Workers, twice in one, cloned, after close()",
    by: [
      ...of(
        "suite/isolation > a handle",
        "goes to 32 Workers, twice to one thread, and through structuredClone",
      ),
      "suite/workers > attach() > refuses a closed pipe",
    ],
  },
  L15: {
    fault: "a thread that dies at any instruction",
    by: [
      SIMULATION,
      ...of(
        "scheduler/lead-interleaving > with a spin of %d us",
        "a dead leader's lead goes to whoever is about to park",
      ),
      ...of(
        "scheduler/queue-rebuild > a new leader",
        "is not led astray by links that its predecessor left half-made",
      ),
    ],
  },
  L16: {
    fault: "a wake-up that is lost, late, spurious or for the dead",
    by: [
      SIMULATION,
      "scheduler/simulate > a planted bug > is found: %s",
      "memory/park > with a spin of %d us > loses no answer, whichever access it comes before",
      ...of(
        "memory/channel > ringCaller",
        "leaves no caller asleep with nobody to tell it, whenever that falls asleep",
      ),
    ],
  },
  L17: {
    fault: "a late answer for a slot that is used again",
    by: [
      "memory/channel > failTaken > leaves a late completion of the dead instance without effect",
      ...of(
        "scheduler/queue > a slot that comes back while its old entry is linked",
        "is not taken for its old row: the entry in the ring has another generation",
      ),
      ...of(
        "scheduler/serve > rows that were answered in the meantime",
        "are counted, and their slots are left alone",
      ),
      SIMULATION,
    ],
  },
  L18: {
    fault: "counters that pass 2^31 and 2^32",
    by: [
      "suite/crossing > counters > may pass 2^31 and 2^32: they begin at %d",
      "memory/channel > ring counters > count free-running from %d",
      "memory/pool > a wake > counts on past 2^31 and 2^32",
      ...of("suite/hooks > TRTPIPE_TEST_SEQ0", "lets all counters begin there, and nothing is different: %d"),
    ],
  },
  L19: {
    fault: "a wall clock that jumps",
    by: [
      ...of(
        "suite/isolation > the wall clock",
        "may jump by an hour, back and forth: timeouts and batches keep their time",
      ),
      "native/bindings > %s > reads a monotonic clock in milliseconds",
    ],
  },
  L20: {
    fault: "an event loop that is held up",
    by: [
      ...of(
        "suite/isolation > a caller whose event loop is held up",
        "holds up nobody else: others are answered meanwhile",
        "may be the pipe's owner: Workers are answered all the same",
      ),
      "suite/batching > a request > is not held back by its own caller's event loop",
    ],
  },
  L21: {
    fault: "no memory, no slots, no threads",
    by: [
      "C: allocation",
      "config-model > slots > are refused before they are allocated when they take too much",
      ...of(
        "suite/faults > an instance that cannot be made",
        "fails pipe() with a ModelLoadError, and leaves nothing behind: instance %d of 3",
      ),
    ],
    note: "runtimes end a process that can start no thread: nobody can catch that",
  },
  L22: {
    fault: "no device memory, at load or while it runs",
    by: ["C: tensorrt_errors"],
    note: "over stand-ins; on a device by gpu/",
  },
  L23: {
    fault: "a device that is lost",
    by: [
      ...of(
        "suite/tensorrt > a device that is lost",
        "costs a batch where it is a child's, and the child is replaced",
        "fails that call and all after it, and the pipe still closes",
      ),
      "suite/faults > a lost device > is told to everybody, and no batch is tried again",
      "C: tensorrt_errors",
    ],
  },
  L24: {
    fault: "starvation, by shape, by priority, by rate",
    by: [
      ...of(
        "suite/isolation > rows of two shapes",
        "share the instance: an endless load of one does not keep the other waiting",
      ),
      "suite/give-up > priorities > do not let a low one wait for ever",
      ...of(
        "suite/batching > a lone request",
        "waits no longer than the batching timeout while another instance runs",
      ),
      SIMULATION,
    ],
  },
  L25: {
    fault: "promises that nobody awaits",
    by: [
      ...of(
        "suite/isolation > a promise that nobody awaits",
        "is the only unhandled rejection, once for each request that failed",
      ),
    ],
  },
  L26: {
    fault: "code of the caller's that asks or closes while a request settles",
    by: [
      ...of(
        "suite/isolation > code of the caller's that runs while a request settles",
        "may ask again from a result's setter, or throw",
        "may go on for ten thousand calls, each from where the last one settled",
      ),
      "suite/close > close() > may be called from where a call settles",
      "request > the input object > may make another request while it is read",
    ],
  },
};

export const supplyRows: Catalogue = {
  S1: { fault: "an engine's file that is changed", by: ["C: tensorrt_cache"] },
  S2: {
    fault: "an engine's file that others may write",
    by: ["C: tensorrt_cache", "C: tensorrt_cache_owner"],
  },
  S3: {
    fault: "an encrypted model",
    by: [
      ...of(
        "onnx-check > a file that is not a model",
        "is refused with its first bytes where it looks like nothing known",
      ),
    ],
    note: "there is no such format: a file that is none is refused",
  },
  S4: {
    fault: "another library in the path's place",
    by: [
      ...of(
        "native/load > loadNative()",
        "takes the path of TRTPIPE_LIB, and a path that is given before that",
      ),
      "native/load > the handshake > refuses ABI version %i.%i",
      "native/load > the handshake > refuses another layout, saying both numbers",
      ...of(
        "suite/engine-library",
        "is the one that was named or none: an error says why, and no other is taken",
      ),
    ],
  },
  S5: {
    fault: "a package without its binary, or for another machine",
    by: [
      ...of(
        "native/load",
        "looks in the package's folders, and names the command that builds the library there",
      ),
      ...of(
        "package",
        "packs the code, its types, the C library, host program and header, and no sources or tests",
      ),
      "native/load > loadNative() > carries what the loader said about a file that is no library",
    ],
  },
  S6: {
    fault: "permissions that are missing, signatures that differ",
    by: [
      ...of(
        "native/load > in Deno, whose flags allow each thing apart",
        "names the flag when loading libraries is not allowed",
      ),
      "native/abi > has every function of the header in the table, with its signature",
      "C: exports",
    ],
  },
};
