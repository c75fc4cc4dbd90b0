import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  EXPRESSION_DEPTH_MAX,
  EXPRESSION_LENGTH_MAX,
  formatExpression,
  parseExpression,
} from "../src/backends/expression.ts";
import type { Expression } from "../src/backends/expression.ts";
import { resolveBackend } from "../src/backends/resolve.ts";
import { ConfigError } from "../src/errors.ts";
import { caught, thrown } from "./caught.ts";

/** Without positions and prototypes: what an expression says. */
function plain({ name, args, children }: Expression): unknown {
  return { name, args: Object.entries(args), children: children.map(plain) };
}

describe("parseExpression", () => {
  it("reads names, children and arguments", () => {
    const root = parseExpression("(a=1,b=x y)A[B,(c=)C[D]]");
    expect(plain(root)).toEqual({
      name: "A",
      args: [
        ["a", "1"],
        ["b", "x y"],
      ],
      children: [
        { name: "B", args: [], children: [] },
        { name: "C", args: [["c", ""]], children: [{ name: "D", args: [], children: [] }] },
      ],
    });
    expect(root.position).toBe(11);
    expect(root.children[1].position).toBe(19);
  });

  it("ignores white space around tokens", () => {
    const spaced = " \t( a = 1 , b = x y )\n A [ B , ( c = ) C [ D ] ] \r\n";
    expect(plain(parseExpression(spaced))).toEqual(plain(parseExpression("(a=1,b=x y)A[B,(c=)C[D]]")));
  });

  it("keeps keys that objects have anyway as keys", () => {
    const { args } = parseExpression("(__proto__=a,constructor=b)A");
    expect(Object.entries(args)).toEqual([
      ["__proto__", "a"],
      ["constructor", "b"],
    ]);
    expect(({} as Record<string, unknown>).a).toBeUndefined();
  });

  it.each([
    ["", 1, "a backend's name"],
    ["   ", 4, "a backend's name"],
    ["A[B", 4, '"," or "]"'],
    ["A]", 2, "nothing more"],
    ["A[B]]", 5, "nothing more"],
    ["A,B", 2, "nothing more"],
    ["A B", 3, "nothing more"],
    ["A[]", 3, "a backend's name"],
    ["A[B,,C]", 5, "a backend's name"],
    ["A[B,]", 5, "a backend's name"],
    ["A[(x]B)", 5, '"="'],
    ["[A]", 1, "a backend's name"],
    ["1A", 1, "a backend's name"],
    ["()A", 2, "a key"],
    ["(a=1", 5, '"," or ")"'],
    ["(a=1,)A", 6, "a key"],
    ["(a=1)", 6, "a backend's name"],
    ["(a=1,a=2)A", 6, "each key once, not a again"],
    ["(a=[)A", 4, '"," or ")"'],
    ["A\0", 2, "nothing more"],
    ["(a=\0)A", 4, '"," or ")"'],
    ["A［B］", 2, "nothing more"],
    ["А[B]", 1, "a backend's name"],
    ["A\u00a0[B]", 2, "nothing more"],
    ["A-B", 2, "nothing more"],
  ])("refuses %j at character %i", (text, character, expected) => {
    const error = caught(ConfigError, () => parseExpression(text));
    expect(error.field).toBe("backend");
    expect(error.expected).toBe(expected);
    expect(error.value).toBe(JSON.stringify(text));
    const [first, line, caret] = error.message.split("\n");
    expect(first).toContain(`(character ${character}`);
    expect(caret.indexOf("^")).toBe(2 + character - 1);
    expect(line).toHaveLength(2 + text.length);
  });

  it("names a character that looks right but is not", () => {
    const bracket = caught(ConfigError, () => parseExpression("A［B］", "node"));
    expect(bracket.message).toBe(
      'Cannot use node: expected nothing more, got "A［B］" (character 2 is U+FF3B:\n  A?B?\n   ^ here)',
    );
    expect(caught(ConfigError, () => parseExpression("A\0")).message).toContain("character 2 is U+0000:");
    expect(caught(ConfigError, () => parseExpression("A😀")).message).toContain("character 2 is U+1F600:");
  });

  it("shows only the surroundings of a mistake in a long text", () => {
    const error = caught(ConfigError, () => parseExpression(`A[${"B,".repeat(500)}]`));
    const [, line, caret] = error.message.split("\n");
    expect(line.length).toBeLessThan(90);
    expect(line[caret.indexOf("^")]).toBe("]");
  });

  it(`allows ${EXPRESSION_DEPTH_MAX} brackets deep and no more`, () => {
    const nested = (depth: number): string => "A[".repeat(depth) + "A" + "]".repeat(depth);
    const text = nested(EXPRESSION_DEPTH_MAX);
    expect(formatExpression(parseExpression(text))).toBe(text);
    const error = caught(ConfigError, () => parseExpression(nested(EXPRESSION_DEPTH_MAX + 1)));
    expect(error.expected).toBe("at most 64 brackets deep");
    expect(error.message).toContain(`character ${2 * EXPRESSION_DEPTH_MAX + 2}:`);
  });

  it.each([
    ["100 000 brackets", "A[".repeat(100_000)],
    ["30 000 brackets", "A[".repeat(30_000)],
    ["10 MB of a name", "A".repeat(10_000_000)],
    ["10 MB of spaces", " ".repeat(10_000_000)],
    ["many siblings", `A[${"B,".repeat(30_000)}]`],
    ["many arguments", `(${Array.from({ length: 6000 }, (_, i) => `k${i}=v`).join(",")},)A`],
  ])("answers at once to %s", (_, text) => {
    const startMs = performance.now();
    const error = caught(ConfigError, () => parseExpression(text));
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(error.message.length).toBeLessThan(500);
  });

  it("takes time in proportion to the text", () => {
    const timeOf = (text: string): number => {
      const startMs = performance.now();
      parseExpression(text);
      return performance.now() - startMs;
    };
    const siblings = (count: number): string => `A[${"B,".repeat(count - 1)}B]`;
    const full = siblings((EXPRESSION_LENGTH_MAX - 4) / 2);
    const sixteenth = siblings(full.length / 32);
    // Quadratic time would make it 256 times as long, in the best of all attempts too.
    const fastest = (text: string): number => Math.min(...Array.from({ length: 12 }, () => timeOf(text)));
    fastest(full);
    expect(fastest(full)).toBeLessThan(128 * Math.max(fastest(sixteenth), 0.02));
  });
});

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/);
const value = fc.stringMatching(/^[!-'*+\--Z\\^-~]{0,8}$/);
const args = fc.uniqueArray(fc.tuple(name, value), { maxLength: 3, selector: ([key]) => key });
const none = fc.constant<Expression[]>([]);
const { tree } = fc.letrec<{ tree: Expression }>((tie) => ({
  tree: fc
    .tuple(name, args, fc.oneof({ maxDepth: 5 }, none, fc.array(tie("tree"), { maxLength: 3 })))
    .map(([word, pairs, children]) => ({
      name: word,
      args: Object.fromEntries(pairs),
      children,
      position: 0,
    })),
}));

describe("formatExpression", () => {
  it("writes what parseExpression reads", () => {
    fc.assert(
      fc.property(tree, (expression) => {
        const text = formatExpression(expression);
        const parsed = parseExpression(text);
        expect(plain(parsed)).toEqual(plain(expression));
        expect(formatExpression(parsed)).toBe(text);
      }),
    );
  });

  it("survives any text: an expression or a ConfigError, nothing else", () => {
    const pieces = fc.constantFrom(
      "A",
      "B1",
      "[",
      "]",
      "(",
      ")",
      ",",
      "=",
      " ",
      "\0",
      "é",
      "k=v",
      "(k=v)",
      "A[B]",
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(pieces).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (input) => {
        const wrong = thrown(() => parseExpression(input));
        expect(wrong === undefined || Object.getPrototypeOf(wrong) === ConfigError.prototype).toBe(true);
        const [parsed] = wrong === undefined ? [parseExpression(input)] : [];
        expect(parsed && plain(parseExpression(formatExpression(parsed)))).toEqual(parsed && plain(parsed));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("resolveBackend", () => {
  it.each([
    ["OnnxTensor", "OnnxTensor", {}, "OnnxTensor"],
    ["SyncTensor[TensorrtTensor]", "TensorrtTensor", {}, "SyncTensor[TensorrtTensor]"],
    [" SyncTensor [ SyncTensor[ Identity ] ] ", "Identity", {}, "SyncTensor[SyncTensor[Identity]]"],
    [
      "SyncTensor[(shape=3x4, dtype=int8)Identity]",
      "Identity",
      { shape: "3x4", dtype: "int8" },
      "SyncTensor[(shape=3x4,dtype=int8)Identity]",
    ],
    ["(fail_create=2)Fault", "Fault", { fail_create: "2" }, "(fail_create=2)Fault"],
  ])("finds the backend of %j", (text, backend, backendArgs, expression) => {
    const resolved = resolveBackend(text);
    expect(resolved.name).toBe(backend);
    expect({ ...resolved.args }).toEqual(backendArgs);
    expect(resolved.expression).toBe(expression);
    expect(resolved.process).toBeNull();
  });

  it.each([
    ["Process[OnnxTensor]", "OnnxTensor", {}],
    ["SyncTensor[Process[OnnxTensor]]", "OnnxTensor", {}],
    ["Process[SyncTensor[(shape=3)Identity]]", "Identity", {}],
    [
      "(host=/opt/trtpipe-host, run_timeout=500)Process[Fault]",
      "Fault",
      { host: "/opt/trtpipe-host", run_timeout: "500" },
    ],
  ])("finds what runs in child processes of %j", (text, backend, processArgs) => {
    const resolved = resolveBackend(text);
    expect(resolved.name).toBe(backend);
    expect({ ...resolved.process }).toEqual(processArgs);
    expect(resolved.expression).toBe(text.replaceAll(" ", ""));
  });

  it("lists the known backends and the nearest one", () => {
    const error = caught(ConfigError, () => resolveBackend("SyncTensor[OnxTensor]"));
    expect(error.value).toBe('"OnxTensor"');
    expect(error.message).toBe(
      "Cannot use backend: expected a known backend, one of TensorrtTensor, OnnxTensor, Identity, " +
        'SyncTensor, Process, got "OnxTensor" (did you mean OnnxTensor?)',
    );
    expect(caught(ConfigError, () => resolveBackend("identity")).message).toContain("did you mean Identity?");
    expect(caught(ConfigError, () => resolveBackend("S[OnnxTensor]")).message).not.toContain("did you mean");
    expect(caught(ConfigError, () => resolveBackend("toString")).message).toContain("a known backend");
  });

  it.each([
    ["SyncTensor", "one backend in the brackets of SyncTensor"],
    ["SyncTensor[Identity,Identity]", "one backend in the brackets of SyncTensor"],
    ["(a=1)SyncTensor[Identity]", "no arguments in front of SyncTensor, not a"],
    ["Process", "one backend in the brackets of Process"],
    ["Process[Process[Identity]]", "Process once: one child process runs the backend"],
    ["Process[SyncTensor[Process[Identity]]]", "Process once: one child process runs the backend"],
    [
      "(runtimeout=5)Process[Identity]",
      "arguments of Process that it knows, host, run_timeout, not runtimeout (did you mean run_timeout?)",
    ],
    ["OnnxTensor[Identity]", "nothing in the brackets of OnnxTensor"],
    ["(threads=2)OnnxTensor", "no arguments in front of OnnxTensor, not threads"],
    [
      "(shap=2)Identity",
      "arguments of Identity that it knows, dtype, shape, output_dtype, output_shape, " +
        "not shap (did you mean shape?)",
    ],
  ])("refuses %j", (text, expected) => {
    const error = caught(ConfigError, () => resolveBackend(text));
    expect(error.expected).toBe(expected);
    expect(error.value).toBe(JSON.stringify(text));
  });
});
