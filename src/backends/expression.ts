/**
 * The bracket grammar of `backend`, as TorchPipe writes it:
 *
 *   expression = [ arguments ] name [ "[" expression { "," expression } "]" ]
 *   arguments  = "(" key "=" value { "," key "=" value } ")"
 *
 * White space may stand around every token. Names and keys are ASCII words, values are printable ASCII
 * without `,()[]`. Parsing takes linear time and does not recurse.
 */

import { ConfigError } from "../errors.ts";

/** One node of a parsed expression. */
export interface Expression {
  name: string;
  /** The arguments in front, in the order in which they were written. An object without a prototype. */
  args: Readonly<Record<string, string>>;
  children: readonly Expression[];
  /** Offset of the name in the text. */
  position: number;
}

interface OpenExpression extends Expression {
  children: Expression[];
}

/** Longest text, in characters, and deepest nesting of brackets. */
export const EXPRESSION_LENGTH_MAX = 65_536;
export const EXPRESSION_DEPTH_MAX = 64;

/** Reads an expression. Throws ConfigError for `field`, with the place of the mistake. */
export function parseExpression(text: string, field = "backend"): Expression {
  if (text.length > EXPRESSION_LENGTH_MAX) {
    throw new ConfigError(field, text, `at most ${EXPRESSION_LENGTH_MAX} characters`, {
      hint: `it has ${text.length}`,
    });
  }
  const reader = new Reader(text, field);
  const root: OpenExpression = reader.readHead();
  const open: OpenExpression[] = [];
  let node = root;
  for (;;) {
    if (reader.take("[")) {
      if (open.length === EXPRESSION_DEPTH_MAX)
        reader.failBefore(`at most ${EXPRESSION_DEPTH_MAX} brackets deep`);
      open.push(node);
    } else {
      while (open.length > 0 && reader.take("]")) open.pop();
      if (open.length === 0) {
        reader.expectEnd();
        return root;
      }
      if (!reader.take(",")) reader.fail('"," or "]"');
    }
    node = reader.readHead();
    open.at(-1)!.children.push(node);
  }
}

/** Writes an expression the way `parseExpression` reads it, without white space. */
export function formatExpression({ name, args, children }: Expression): string {
  const pairs = Object.entries(args).map(([key, value]) => `${key}=${value}`);
  const front = pairs.length > 0 ? `(${pairs.join(",")})` : "";
  const inner = children.length > 0 ? `[${children.map(formatExpression).join(",")}]` : "";
  return front + name + inner;
}

/** A ConfigError that shows where in `text` the mistake is. */
export function expressionError(
  field: string,
  text: string,
  position: number,
  expected: string,
): ConfigError {
  const before = text.slice(Math.max(0, position - 40), position);
  const after = text.slice(position, position + 40);
  const dots = position > before.length ? "..." : "";
  const line = `${dots}${before}${after}${position + after.length < text.length ? "..." : ""}`;
  const caret = " ".repeat(dots.length + before.length);
  // Control characters and whatever has another width than ASCII would move the caret from its place.
  const shown = line.replaceAll(/[^\x20-\x7e]/g, "?");
  const hint = `character ${position + 1}${strange(text, position)}:\n  ${shown}\n  ${caret}^ here`;
  return new ConfigError(field, text, expected, { hint });
}

/** Names a character that one cannot see, or that only looks right. */
function strange(text: string, position: number): string {
  const code = text.codePointAt(position);
  if (code === undefined || (code >= 0x20 && code < 0x7f)) return "";
  return ` is U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

const SPACE = /[ \t\r\n]*/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const VALUE = /[^,()[\]\x00-\x1f\x7f-\uffff]*/y;

const NO_ARGS: Readonly<Record<string, string>> = Object.freeze(
  Object.create(null) as Record<string, string>,
);

/** A place in the text that only moves forward. */
class Reader {
  readonly #text: string;
  readonly #field: string;
  #at = 0;

  constructor(text: string, field: string) {
    this.#text = text;
    this.#field = field;
  }

  /** Arguments and name of a node. */
  readHead(): OpenExpression {
    const args = this.take("(") ? this.#readArgs() : NO_ARGS;
    this.#skip(SPACE);
    const position = this.#at;
    return { name: this.#readWord("a backend's name"), args, children: [], position };
  }

  /** Takes one character if it comes next. */
  take(character: string): boolean {
    this.#skip(SPACE);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  expectEnd(): void {
    this.#skip(SPACE);
    if (this.#at < this.#text.length) this.fail("nothing more");
  }

  fail(expected: string): never {
    throw expressionError(this.#field, this.#text, this.#at, expected);
  }

  /** `fail` at the character that was taken last. */
  failBefore(expected: string): never {
    this.#at--;
    this.fail(expected);
  }

  #readArgs(): Record<string, string> {
    const args = Object.create(null) as Record<string, string>;
    do {
      this.#skip(SPACE);
      const from = this.#at;
      const key = this.#readWord("a key");
      if (key in args) {
        this.#at = from;
        this.fail(`each key once, not ${key} again`);
      }
      if (!this.take("=")) this.fail('"="');
      args[key] = this.#skip(VALUE).trim();
    } while (this.take(","));
    if (!this.take(")")) this.fail('"," or ")"');
    return args;
  }

  #readWord(what: string): string {
    return this.#skip(WORD) || this.fail(what);
  }

  /** Goes past what `pattern` finds here, which may be nothing. */
  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }
}
