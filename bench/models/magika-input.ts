/**
 * Inputs for magika: files of different kinds, so that the answers differ. The model takes a file's first
 * and last 1024 bytes without surrounding white space, filled up with 256.
 */

const LENGTH = 1024;
const FILLER = 256;

/** Ten beginnings of files as they occur; each is repeated with a number until it is long enough. */
const FILES: readonly ((line: number) => string)[] = [
  (n) => `#!/usr/bin/env python3\nimport os\ndef step_${n}(path):\n    return os.path.join(path, "${n}")\n`,
  (n) => `#include <stdio.h>\nint step_${n}(int x) {\n  printf("%d\\n", x);\n  return x + ${n};\n}\n`,
  (n) => `{"id": ${n}, "name": "item ${n}", "tags": ["a", "b"], "nested": {"x": ${n}.5, "y": null}}\n`,
  (n) =>
    `<!DOCTYPE html>\n<html><head><title>${n}</title></head><body><p class="a">Text ${n}</p></body></html>\n`,
  (n) =>
    `SELECT id, name FROM items_${n} WHERE id > ${n} ORDER BY name;\nINSERT INTO items_${n} VALUES (${n});\n`,
  (n) => `# Heading ${n}\n\nSome *text* with a [link](https://example.com/${n}).\n\n- one\n- two\n\n`,
  (n) =>
    `package main\n\nimport "fmt"\n\nfunc step${n}(x int) int {\n\tfmt.Println(x)\n\treturn x + ${n}\n}\n`,
  (n) => `<?xml version="1.0" encoding="UTF-8"?>\n<items><item id="${n}"><name>n${n}</name></item></items>\n`,
  (n) =>
    `.row-${n} { color: #${n}0f0f0; margin: ${n}px auto; }\n@media (max-width: ${n}00px) { a { top: 0; } }\n`,
  (n) =>
    `FROM debian:12\nRUN apt-get update && apt-get install gcc=${n}\nCOPY . /app${n}\nCMD ["/app${n}/run"]\n`,
];

export function fileFeatures(row: number): Int32Array {
  let text = "";
  for (let n = 1; text.length < 3 * LENGTH; n++) text += FILES[row](n);
  const bytes = Buffer.from(text.trim());
  const features = new Int32Array(2 * LENGTH).fill(FILLER);
  features.set(bytes.subarray(0, LENGTH));
  features.set(bytes.subarray(-LENGTH), LENGTH);
  return features;
}
