/**
 * Clients that are slow, fat or lie, all at once: `attack.ts PORT PATH SECONDS DRIPPING`. Prints as JSON
 * which statuses each kind was answered with, and how often; "closed" where there was none.
 */

import { gzipSync } from "node:zlib";
import { RawClient, post } from "../support/raw-client.ts";

const MIB = 2 ** 20;
const [port, path, seconds, dripping] = process.argv.slice(2).map((text) => Number(text) || text);
const isOver = (): boolean => performance.now() > endMs;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const connect = (): RawClient => new RawClient(Number(port));
const head = (...headers: string[]): string => post(String(path), headers);

/** By kind of client, then by status. */
const seen: Record<string, Record<string, number>> = {};

/** Counts what a client was told. `closed`: it is not told more, since it is the one that ends. */
function count(kind: string, { text }: RawClient): void {
  const counts = (seen[kind] ??= {});
  for (const status of /^HTTP\/1\.1 \d{3} /.test(text) ? statusesIn(text) : ["closed"]) {
    counts[status] = (counts[status] ?? 0) + 1;
  }
}

function statusesIn(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status);
}

/** Half of them never end their headers, half their body. Who is thrown out comes again. */
async function drip(): Promise<void> {
  const begin = (i: number): RawClient =>
    connect().send(i % 2 === 0 ? "POST / HTTP/1.1\r\nHost" : head("Content-Length: 100000000"));
  const clients = Array.from({ length: Number(dripping) }, (_, i) => begin(i));
  while (!isOver()) {
    for (const [i, client] of clients.entries()) {
      if (client.socket.destroyed) {
        count("drip", client);
        clients[i] = begin(i);
      } else client.send("a");
    }
    await sleep(200);
  }
  for (const client of clients) client.end();
}

/** Writes until all is written or the server has closed the connection. */
async function pour(client: RawClient, block: Uint8Array, blocks: number): Promise<void> {
  for (let i = 0; i < blocks && !client.socket.destroyed && !isOver(); i++) {
    if (client.socket.write(block)) continue;
    await Promise.race([new Promise((resolve) => client.socket.once("drain", resolve)), client.closed]);
  }
  await answered(client);
}

/** Until the server has said something, or closed the connection. */
async function answered(client: RawClient): Promise<void> {
  while (client.text === "" && !client.socket.destroyed && !isOver()) await sleep(10);
}

const CHUNK = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(MIB, 0x20), Buffer.from("\r\n")]);

/** A body of 1 GiB that does not say how long it is. */
async function chunked(): Promise<void> {
  const client = connect().send(head("Transfer-Encoding: chunked"));
  await pour(client, CHUNK, 1024);
  if (!isOver()) count("1 GiB in chunks", client);
  client.end();
}

/** 1 GiB of zeros in 1 MiB: four times the same, which is one gzip file. */
const BOMB = Buffer.concat(new Array<Buffer>(4).fill(gzipSync(Buffer.alloc(256 * MIB), { level: 9 })));

async function bomb(): Promise<void> {
  const client = connect().send(head(`Content-Length: ${BOMB.length}`, "Content-Encoding: gzip"));
  await pour(client, BOMB, 1);
  if (!isOver()) count("zip bomb", client);
  client.end();
}

const input = (parameters: object): string =>
  JSON.stringify({ inputs: [{ name: "input", datatype: "FP32", shape: [1, 4], parameters }] });
const binary = (length: unknown, size: unknown): string => {
  const json = input({ binary_data_size: size });
  const header = `Inference-Header-Content-Length: ${String(length ?? json.length)}`;
  return `${head(header, `Content-Length: ${json.length + 16}`)}${json}${"\0".repeat(16)}`;
};

const LIES: readonly string[] = [
  head("Content-Length: 1099511627776"),
  head("Content-Length: -3"),
  `${head("Content-Length: 3", "Transfer-Encoding: chunked")}0\r\n\r\n`,
  `${head("Transfer-Encoding: chunked")}zz\r\n`,
  ...[-1, 5000, 99_999_999_999, "9e9, 5"].map((length) => binary(length, 16)),
  ...[12, 17, 2 ** 52, -16, 15.5, "16"].map((size) => binary(undefined, size)),
];

/** Lengths that are not those of what comes. */
async function lie(): Promise<void> {
  for (const bytes of LIES) {
    const client = connect().send(bytes);
    await answered(client);
    if (!isOver()) count("lying lengths", client);
    client.end();
  }
  // More was promised than comes before the client closes its side.
  const short = connect().send(`${head("Content-Length: 1000")}0123456789`);
  short.socket.end();
  await answered(short);
  if (!isOver()) count("lying lengths", short);
  short.end();
}

async function nest(): Promise<void> {
  for (const open of ["[", '{"a":']) {
    const body = open.repeat(250_000);
    const client = connect()
      .send(head(`Content-Length: ${body.length}`))
      .send(body);
    await answered(client);
    if (!isOver()) count("JSON 250 000 deep", client);
    client.end();
  }
}

async function again(work: () => Promise<void>): Promise<void> {
  while (!isOver()) {
    await work();
    await sleep(20);
  }
}

const endMs = performance.now() + Number(seconds) * 1000;
await Promise.all([drip(), ...[chunked, chunked, bomb, lie, nest].map(again)]);
console.log(JSON.stringify(seen));
process.exit(0);
