/**
 * Faults, and the tests that prove what becomes of them. Rows: C configuration, M models, I inputs, L
 * concurrency and lifetime, S supply chain. The server's faults (V) are its own tests' affair.
 *
 * A proof is `FILE > SUITE > TITLE` of a test in three runtimes, or `C: NAME` of a test of the C library. A
 * row that has none is missing, and so is each proof whose test does not exist: nothing passes for want of a
 * test.
 */

import { requestRows, supplyRows, threadRows } from "./lifetime.ts";
import { of } from "./row.ts";
import type { Catalogue } from "./row.ts";

const RANGE = [
  "config > %s > takes its whole range, as number and as text",
  "config > %s > refuses everything else, naming field, value and what is expected",
];
const [ANY_CONFIG] = of(
  "config > the object itself",
  "never leads to anything but a result or a ConfigError, nor to a changed Object.prototype",
);

const configuration: Catalogue = {
  C1: { fault: "instance_num that is no count", by: [...RANGE, ANY_CONFIG] },
  C2: {
    fault: "batching_timeout that is no time",
    by: [...RANGE, "suite/give-up > options of a call > are refused by name: %j"],
  },
  C3: {
    fault: "max out of its range, or above the model's",
    by: [
      ...RANGE,
      "config > max and min > refuse %j",
      "config-model > modelSpec > refuses a batch that the model does not allow, naming both numbers",
    ],
  },
  C4: {
    fault: "unknown keys, __proto__, inherited ones",
    by: [
      "config > unknown keys > %s is answered with %s",
      "config > unknown keys > %j is refused without a guess that would mislead",
      "config > the object itself > is not led astray by what others put on Object.prototype",
      "config > the object itself > does not pass over keys that are only inherited or hidden",
    ],
  },
  C5: {
    fault: "unknown backend, or its library is missing",
    by: [
      "expression > resolveBackend > lists the known backends and the nearest one",
      ...of(
        "suite/loading > what cannot be loaded",
        "is TensorRT without a GPU: the error says what is missing",
      ),
      "C: onnx_errors",
    ],
  },
  C6: {
    fault: "brackets that do not match, are too deep or too long",
    by: [
      "expression > parseExpression > refuses %j at character %i",
      "expression > parseExpression > allows %s brackets deep and no more",
      "expression > parseExpression > answers at once to %s",
      "expression > parseExpression > takes time in proportion to the text",
      ...of(
        "expression > formatExpression",
        "survives any text: an expression or a ConfigError, nothing else",
      ),
    ],
  },
  C7: {
    fault: "a graph of nodes that goes round in a circle",
    by: ["config > unknown keys > %j is refused without a guess that would mislead"],
    note: "a pipe is one model: the keys that make graphs are refused",
  },
  C8: {
    fault: "a configuration that changes, or throws when it is read",
    by: [
      "config > the object itself > is read once, each property too, and not kept",
      "config > the object itself > may throw, and that is the cause",
    ],
  },
  C9: {
    fault: "a queue of no size, too small, or larger than memory",
    by: [
      ...RANGE,
      "config > max and min > leave room in max_queue",
      "config-model > slots > must hold a largest batch",
      "config-model > slots > are refused before they are allocated when they take too much",
    ],
  },
};

const LIBRARY_FILES = "suite/loading > what cannot be loaded > is %s";

const models: Catalogue = {
  M1: {
    fault: "a file that is missing, a directory, a pipe, a device, not readable, too large",
    by: [
      "onnx-check > a model that cannot be opened > is missing",
      ...of(
        "onnx-check > a model that cannot be opened",
        "is a directory, a device, a pipe or a socket, and nothing waits for it",
        "may not be read",
        "is larger than a protobuf message can be",
      ),
      "suite/loading > what cannot be loaded > is a file that is not there",
    ],
  },
  M2: {
    fault: "a file that is empty, cut, noise, HTML, a git-lfs pointer",
    by: [
      "onnx-check > a file that is not a model > is refused as %s, with its size",
      "onnx-reader > damage > cutting %s off at every 50th of it is refused",
      LIBRARY_FILES,
    ],
  },
  M3: {
    fault: "an opset, format or operator that the engine does not know",
    by: [
      "suite/refused-models > a model of another time > is refused with both numbers: %s",
      ...of(
        "suite/refused-models > a model of another time",
        "is refused with the operator that nobody knows",
      ),
    ],
  },
  M4: {
    fault: "external data outside the folder, linked, missing or short",
    by: [
      "onnx-external > external data > at %j is refused",
      "onnx-external > external data > from %s with %s bytes is refused",
      "onnx-external > external data > is refused for a model that is given as bytes",
    ],
  },
  M5: {
    fault: "a fixed batch of 1 for larger batches",
    by: [
      ...of(
        "suite/loading > what cannot be loaded",
        "is a model with a fixed batch of 1 for batches of 4: both numbers are named",
      ),
    ],
  },
  M6: {
    fault: "two inputs, none, several outputs",
    by: [
      "suite/results > ONNX Runtime > answers as onnxruntime-node: %s",
      "request > a record by name > %o is refused",
      "suite/refused-models > a model that has the wrong inputs > is refused without any",
    ],
  },
  M7: {
    fault: "element types of all kinds",
    by: [
      "suite/results > every element type > goes in and comes out as it was: %s",
      ...of(
        "suite/refused-models > a model that has the wrong inputs",
        "is refused with text: the input and its type are named",
      ),
      "C: onnx_types",
    ],
  },
  M8: {
    fault: "open, negative, huge or no dimensions",
    by: [
      "config-model > modelSpec > asks for max where inner dimensions are open, with an example",
      "onnx-reader > takes a negative dimension for an open one",
      ...of(
        "suite/refused-models > a model that has the wrong inputs",
        "is refused with rows that no memory holds, before any is allocated",
      ),
      "config-model > modelSpec > takes whole shapes where there is no batch dimension",
    ],
  },
  M9: {
    fault: "answers of another number of rows than were asked",
    by: [
      ...of(
        "suite/refused-models > a model whose answers are not rows",
        "is refused for batches, before the first one: %s",
      ),
      "suite/faults > a failing run > that gives another number of rows is not split wrongly",
      "C: onnx_outputs",
    ],
  },
  M10: {
    fault: "a model that mixes its rows",
    by: [
      ...of(
        "suite/self-check > rows that are mixed up",
        "%s: max becomes 1, and answers are those of lone rows",
        "only in larger batches: max becomes the largest half that is right",
        "where min or a fixed size needs larger batches, it is an error",
      ),
      ...of("suite/self-check > models that are right", "%s: nothing is said"),
      ...of(
        "suite/self-check-reload > a new model that is wrong for batches of max rows",
        "is refused, and the old one serves on: %s",
      ),
    ],
    note: "one that mixes them within the tolerance is not found",
  },
  M11: {
    fault: "a file that is replaced, a reload that fails",
    by: [
      "suite/loading > a model > in bytes may be changed once pipe() has resolved",
      ...of(
        "suite/reload > a reload that fails",
        "leaves the old model where the new one's file is broken or missing",
      ),
      ...of(
        "suite/reload > a reload under load",
        "fails no request, and from its end on only the new model answers",
      ),
    ],
  },
  M12: {
    fault: "a plan of another TensorRT, device, precision",
    by: [
      "suite/tensorrt > model::cache > keeps the engine, and builds it anew when it does not fit",
      "C: tensorrt_cache",
      "C: tensorrt_versions",
    ],
  },
  M13: {
    fault: "a build that is cut off, or two of them at once",
    by: [
      ...of(
        "suite/tensorrt > in child processes",
        "builds an engine anew for all of them, and tells it once",
      ),
      "C: tensorrt_cache",
      "C: tensorrt_errors",
    ],
  },
};

const inputs: Catalogue = {
  I1: {
    fault: "data of the wrong type, missing, or no data at all",
    by: [
      "request > other data > %o is refused",
      "request > a record by name > %o is refused",
      "suite/requests > whatever is wrong with the input > is an InputError by rejection: %s",
    ],
  },
  I2: {
    fault: "a shape that does not fit",
    by: [
      "request > a Tensor > of shape %o is refused",
      "request > a Tensor > that was not made by Tensor.from is checked too: %o",
      "tensor > shapes > %o is refused",
    ],
  },
  I3: {
    fault: "no rows, or too many",
    by: [
      "request > a Tensor > of shape %o is refused",
      "suite/requests > whatever is wrong with the input > names more rows than max_queue",
      "suite/requests > a call > takes %d rows, however many make a batch",
    ],
  },
  I4: {
    fault: "a detached buffer",
    by: [
      "request > other data > a detached buffer is called by that name",
      "native/bindings > before a call > refuses %s as memory",
    ],
  },
  I5: {
    fault: "a buffer that shrinks, or is transferred away, right after the call",
    by: [
      ...of(
        "suite/memory-of-callers > a resizable buffer",
        "may shrink as soon as the call returns: what it held is answered",
        "that is too short by then is refused by what it has",
      ),
      "suite/requests > the input > may be transferred away at once",
      "suite/requests > the input > is read before the call returns",
    ],
  },
  I6: {
    fault: "shared memory that another thread writes meanwhile",
    by: [
      ...of(
        "suite/memory-of-callers > shared memory that another thread writes meanwhile",
        "gives an answer of what was there at some moment, and of the right size",
      ),
      ...of(
        "request > a typed array for the only input",
        "is of fixed length afterwards, whatever another thread does to the buffer",
      ),
    ],
  },
  I7: {
    fault: "NaN, infinities, denormals, -0",
    by: [
      "suite/results > every element type > keeps NaN, infinities, denormals and -0 bit by bit",
      "request > a typed array for the only input > keeps NaN, infinities, denormals and -0",
    ],
  },
  I8: {
    fault: "64-bit integers, in data and in shapes",
    by: [
      "suite/results > every element type > is exact at the ends of its range",
      "tensor > shapes > %o is refused",
    ],
  },
  I9: {
    fault: "views at offsets, pooled Buffers, DataViews, 16-bit floats",
    by: [
      "suite/requests > a call > takes a view into a larger buffer from its offset",
      ...of(
        "request > a typed array for the only input",
        "may begin anywhere in its buffer, pooled Buffers too",
      ),
      "request > other data > %o is refused",
      "tensor > 16-bit floats > keep every value",
    ],
  },
  I10: {
    fault: "a gigabyte at once, or requests without end",
    by: [
      ...of(
        "suite/memory-of-callers > a caller that asks for too much",
        "is refused a gigabyte by name, without copying it",
        "is refused at once, and others are answered meanwhile",
      ),
      ...of(
        "suite/give-up > ten thousand calls in one turn against max_queue: 16",
        "are refused at once or right, twenty times over, and nothing drifts",
      ),
    ],
  },
  I11: {
    fault: "getters and proxies that lie, change or throw",
    by: [
      "request > the input object > is read once, each property, and only as far as needed",
      "request > the input object > cannot change what was checked",
      "request > the input object > may throw, and that is the cause",
      "request > the input object > never leads to anything but rows or an InputError",
    ],
  },
  I12: {
    fault: "a result that is written, kept or transferred away",
    by: [
      ...of(
        "suite/memory-of-callers > a result",
        "may be transferred away or kept: later ones are not touched by it",
      ),
      "suite/requests > the result > belongs to the caller",
      "suite/requests > the result > does not change when its slot is used again",
    ],
  },
  I13: {
    fault: "a tensor of a device that is another pipe's, or given back",
    by: [],
    awaited: [
      ...of(
        "suite/device-tensor > as an input",
        "is refused in a wrong shape or type, and on a device that the pipe does not use",
      ),
      "suite/device-tensor > DeviceTensor > may be disposed of twice, and is of no use afterwards",
    ],
  },
};

export const catalogue: Catalogue = {
  ...configuration,
  ...models,
  ...inputs,
  ...requestRows,
  ...threadRows,
  ...supplyRows,
};
