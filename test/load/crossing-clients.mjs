/**
 * The clients of one thread: each asks one pipe after the other, with requests of one to many rows, and
 * looks at every element of every answer. A row is made from who asked and the number of the request, so that
 * neither a row of somebody else's, nor an older or torn one, could pass.
 */

const CLIENTS = 32;
/** Mostly one row, as most requests are; now and then more than any batch holds. */
const ROWS = [1, 1, 1, 1, 2, 1, 3, 1, 1, 7, 1, 4, 1, 1, 1, 23, 2];
/** Requests between two reports. */
const REPORT_EVERY = 2000;

/** How each pipe's rows are made and what their answers have to be. */
const kinds = {
  float32: { elements: 4, carrier: Float32Array, answer: (value) => value },
  uint8: { elements: 48, carrier: Uint8Array, answer: (value) => value },
  int64: { elements: 3, carrier: BigInt64Array, answer: (value) => value },
  affine: { elements: 4, carrier: Float32Array, answer: (value) => 2 * value + 1 },
};

/** The element `i` of a row; within what the carrier and the affine model hold exactly. */
function element(kind, id, number, row, i) {
  if (kind === "int64") return (BigInt(id) << 40n) | (BigInt(number) << 8n) | BigInt(row * 3 + i);
  if (kind === "uint8") return (id * 31 + number * 7 + row * 13 + i * 3 + (number >>> 8)) & 0xff;
  return [id, number & 0x3fffff, row, (id * 7919 + number * 31 + row) & 0x3fffff][i];
}

function makeRows(kind, id, number, rows) {
  const { elements, carrier } = kinds[kind];
  const data = new carrier(rows * elements);
  for (let at = 0; at < data.length; at++) {
    data[at] = element(kind, id, number, Math.floor(at / elements), at % elements);
  }
  return data;
}

function isRight(kind, data, result) {
  const { elements, answer } = kinds[kind];
  if (result === undefined || result.shape[0] !== data.length / elements) return false;
  if (result.data.length !== data.length) return false;
  for (let at = 0; at < data.length; at++) if (result.data[at] !== answer(data[at])) return false;
  return true;
}

async function client(pipes, id, requests, totals, report) {
  for (let number = 0; number < requests; number++) {
    const { kind, models } = pipes[(id + number) % pipes.length];
    const rows = ROWS[(id * 5 + number) % ROWS.length];
    const input = { data: makeRows(kind, id, number, rows) };
    const { data } = input;
    totals.asked++;
    try {
      const answered = await models(input);
      if (isRight(kind, data, answered.result)) totals.right++;
      else totals.wrong++;
    } catch (error) {
      totals.failed++;
      totals.error ??= `${error.name}: ${error.message}`;
    }
    totals.rows += rows;
    if (totals.asked % REPORT_EVERY === 0) report(totals);
  }
}

/** Runs `requests` requests of this thread. `report` gets the totals now and then, and at last. */
export async function runClients(pipes, thread, requests, report) {
  const totals = { asked: 0, right: 0, wrong: 0, failed: 0, rows: 0, error: undefined };
  const each = Math.floor(requests / CLIENTS);
  const rest = requests - each * CLIENTS;
  const all = Array.from({ length: CLIENTS }, (_, i) =>
    client(pipes, thread * CLIENTS + i + 1, each + (i < rest ? 1 : 0), totals, report),
  );
  await Promise.all(all);
  report(totals);
}
