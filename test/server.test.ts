/** Parts of the server that need no socket. */

import { describe, expect, it } from "vitest";
import { chooseEncoding } from "../src/server/compress.ts";
import { Exposition } from "../src/server/exposition.ts";
import { RequestError, failureOf, withoutPaths } from "../src/server/failure.ts";
import { Histogram } from "../src/server/histogram.ts";
import { Budget } from "../src/server/limits.ts";
import { jsonLog } from "../src/server/log.ts";
import { InputError, InstanceLostError, QueueFullError, TimeoutError } from "../src/errors.ts";

describe("failureOf()", () => {
  it.each([
    [new InputError("x", "a", "b"), 400, 3, "refused"],
    [new QueueFullError(1, 0, 4), 503, 14, "full"],
    [new TimeoutError(5, 6), 504, 4, "timeout"],
    [new InstanceLostError("lost", true), 503, 14, "unavailable"],
    [new RequestError(404, "none"), 404, 5, "refused"],
    [new TypeError("a fault of ours in /home/me/x.ts"), 500, 13, "failed"],
  ])("tells %s", (error, http, grpc, outcome) => {
    expect(failureOf(error)).toMatchObject({ http, grpc, outcome });
  });

  it("keeps what went wrong inside to itself", () => {
    expect(failureOf(new TypeError("x is undefined")).message).toBe("Internal error");
  });
});

it.each([
  ["Cannot open /srv/models/a.onnx: no such file", "Cannot open a.onnx: no such file"],
  ['file:///opt/x/lib.so, "/usr/lib/libonnxruntime.so.1"', 'lib.so, "libonnxruntime.so.1"'],
  ["rows/s is 3/4, /v2 and a/b stay", "rows/s is 3/4, /v2 and a/b stay"],
])("withoutPaths(%j) is %j", (text, expected) => {
  expect(withoutPaths(text)).toBe(expected);
});

it.each([
  ["gzip, deflate", "gzip"],
  ["deflate, gzip;q=0.5", "deflate"],
  ["br, GZIP;q=0.1", "gzip"],
  ["gzip;q=0, identity", undefined],
  ["br", undefined],
  ["gzip;q=x", undefined],
])("chooseEncoding(%j) is %j", (accept, expected) => {
  expect(chooseEncoding(accept)).toBe(expected);
});

it("a budget leaves a part for small bodies", () => {
  const MIB = 2 ** 20;
  const budget = new Budget(8 * MIB);
  expect(budget.take(6 * MIB, 0)).toBe(true);
  expect(budget.take(MIB, 6 * MIB)).toBe(false);
  expect(budget.take(MIB, 0)).toBe(true);
  expect(budget.take(MIB, 0)).toBe(true);
  expect(budget.take(1, 0)).toBe(false);
  budget.give(8 * MIB);
  expect(budget.used).toBe(0);
});

it("metrics are written as Prometheus reads them", () => {
  const out = new Exposition();
  out.family("a_total", "counter", "Help.");
  out.sample("a_total", { model: 'x"\\\ny' }, 3);
  const histogram = new Histogram([1, 2]);
  for (const value of [1, 1.5, 7]) histogram.observe(value);
  out.histogram("h", {}, histogram);
  expect(out.text.split("\n")).toEqual([
    "# HELP a_total Help.",
    "# TYPE a_total counter",
    String.raw`a_total{model="x\"\\\ny"} 3`,
    'h_bucket{le="1"} 1',
    'h_bucket{le="2"} 2',
    'h_bucket{le="+Inf"} 3',
    "h_sum 9.5",
    "h_count 3",
    "",
  ]);
});

it("logs are lines of JSON with pino's names", () => {
  const lines: string[] = [];
  const log = jsonLog("info", (line) => lines.push(line));
  log("debug", "not this", {});
  log("warn", "A\nB", { model: "x" });
  expect(lines.length).toBe(1);
  expect(lines[0].indexOf("\n")).toBe(lines[0].length - 1);
  const parsed = JSON.parse(lines[0]) as object;
  expect(parsed).toEqual({ level: 40, time: expect.any(Number), pid: process.pid, msg: "A\nB", model: "x" });
});
