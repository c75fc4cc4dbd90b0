/**
 * The status page: one document that asks for nothing but `/status.json`. It holds no word of any model: the
 * names come as JSON, and the script puts them into the page as text.
 */

import { createHash } from "node:crypto";
import type { HttpReply } from "./http-reply.ts";
import { SCRIPT } from "./page-script.ts";
import { STYLE } from "./page-style.ts";

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>trtpipe</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>trtpipe</h1>
<p id="server" role="status">Asking the server</p>
</header>
<main id="models"></main>
<noscript><p>This page needs JavaScript. The same numbers are at
<a href="status.json">status.json</a> and <a href="metrics">metrics</a>.</p></noscript>
<footer>Rates and latencies are of the last 10 s, batches are of all time since the model was loaded.
<a href="metrics">Metrics for Prometheus</a>, <a href="status.json">JSON</a></footer>
<script>${SCRIPT}</script>
</body>
</html>
`;

/** Nothing but this style, this script and this server; in no frame of another page. */
const POLICY = [
  "default-src 'none'",
  `style-src '${hash(STYLE)}'`,
  `script-src '${hash(SCRIPT)}'`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS: HttpReply["headers"] = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};
const BODY = [Buffer.from(HTML)];

export function pageReply(): HttpReply {
  return { status: 200, headers: { ...HEADERS }, body: BODY };
}

function hash(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
