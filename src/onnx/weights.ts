/** The bytes of a model's weights: those in other files come into the model. */

import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

import type { Graph, Initializer } from "./graph.ts";
import { BytesSource, MessageReader, WIRE_BYTES, WIRE_FIXED32, WireError } from "./wire-reader.ts";
import { MessageWriter } from "./wire-writer.ts";

/**
 * Reads external data of all initializers from `folder` into the graph, and returns how many tensors that
 * were. The files have been checked (`checkExternalData`). Throws WireError where one became shorter since.
 */
export function inlineExternalData(graph: Graph, folder: string): number {
  const files = new Map<string, number>();
  try {
    return inlineGraph(graph, (initializer) => readExternal(initializer, folder, files));
  } finally {
    for (const fd of files.values()) closeSync(fd);
  }
}

function inlineGraph(graph: Graph, read: (initializer: Initializer) => Uint8Array): number {
  let count = 0;
  graph.initializers = graph.initializers.map((initializer) => {
    if (initializer.external === null) return initializer;
    count++;
    return { ...initializer, content: withData(initializer.content, read(initializer)), external: null };
  });
  for (const { attributes } of graph.nodes)
    for (const { graphs } of attributes) for (const inner of graphs) count += inlineGraph(inner.graph, read);
  return count;
}

function readExternal(initializer: Initializer, folder: string, files: Map<string, number>): Uint8Array {
  const { location, offset, length, bytes } = initializer.external!;
  let fd = files.get(location);
  if (fd === undefined) files.set(location, (fd = openSync(join(folder, location), "r")));
  const data = new Uint8Array(bytes ?? Number(length ?? 0));
  for (let done = 0; done < data.byteLength;) {
    const got = readSync(fd, data, done, data.byteLength - done, Number(offset) + done);
    if (got === 0)
      throw new WireError(0, `${JSON.stringify(location)} became shorter while it was read`, true);
    done += got;
  }
  return data;
}

/** The TensorProto with its data in itself. */
function withData(content: Uint8Array, data: Uint8Array): Uint8Array {
  const to = new MessageWriter();
  const fields = new MessageReader(new BytesSource(content));
  while (fields.next()) if (fields.field !== 13 && fields.field !== 14) to.copy(fields.bytes("field"));
  to.raw(9, data);
  return to.toBytes();
}

/** A float32 tensor's values; null if the TensorProto has others, or not as many as its shape says. */
export function float32Values(content: Uint8Array): { dims: number[]; values: Float32Array } | null {
  const dims: number[] = [];
  const parts: Uint8Array[] = [];
  const fields = new MessageReader(new BytesSource(content));
  while (fields.next()) {
    const { field, wire } = fields;
    if (field === 1) fields.integers(dims);
    // raw_data, or float_data: packed, or one field for each value.
    else if (field === 9 && wire === WIRE_BYTES) parts.push(fields.bytes());
    else if (field === 4 && (wire === WIRE_BYTES || wire === WIRE_FIXED32)) parts.push(fields.bytes());
  }
  const count = dims.reduce((product, dim) => product * dim, 1);
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  if (bytes !== count * 4) return null;
  // Copied where it is not aligned as a Float32Array has to be.
  const values = new Float32Array(count);
  const to = new Uint8Array(values.buffer);
  let at = 0;
  for (const part of parts) {
    to.set(part, at);
    at += part.byteLength;
  }
  return { dims, values };
}
