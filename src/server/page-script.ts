/**
 * What runs in the status page: it asks for `status.json` once a second, and shows what changed. Plain
 * JavaScript of 2020, as text, since it is no part of the program. Everything that comes from the server is
 * put into the page as text, never as HTML.
 */

export const SCRIPT = `
"use strict";
(() => {
const EVERY_MS = 1000, WINDOW_MS = 10000, KEPT = 61;
const REASONS = ["full", "idle", "timeout", "drain"];
const FIGURES = ["requests/s", "rows/s", "latency p50", "latency p99", "queue, mean", "compute, mean",
  "rows a batch", "not answered/s"];
const cards = new Map();

const el = (tag, parent, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
};
// Only what differs is touched, so that a selection stays and screen readers hear no noise.
const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };

const number = (value) => {
  if (!Number.isFinite(value)) return "-";
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
};
const time = (ms) => {
  if (!Number.isFinite(ms)) return "-";
  if (ms >= 1000) return number(ms / 1000) + " s";
  return ms >= 1 || ms === 0 ? number(ms) + " ms" : number(ms * 1000) + " us";
};

// The value that a share of the requests stays below, even within a bucket. Above the last bound: the bound.
const percentile = ({ bounds_ms, counts }, share) => {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return { ms: NaN, beyond: false };
  let left = total * share;
  for (let i = 0; i < bounds_ms.length; i++) {
    const from = i === 0 ? 0 : bounds_ms[i - 1];
    if (counts[i] >= left) return { ms: from + (bounds_ms[i] - from) * (left / counts[i]), beyond: false };
    left -= counts[i];
  }
  return { ms: bounds_ms[bounds_ms.length - 1], beyond: true };
};
const shownPercentile = (latency, share) => {
  const { ms, beyond } = percentile(latency, share);
  return (beyond ? "> " : "") + time(ms);
};

const newCard = () => {
  const root = el("article", document.getElementById("models"));
  const head = el("div", root, "head");
  const card = { root, name: el("bdi", el("h2", head)), state: el("span", head, "state") };
  card.what = el("p", root, "soft");
  card.body = el("div", root);
  const list = el("dl", card.body);
  card.figures = FIGURES.map((figure) => {
    const pair = el("div", list);
    el("dt", pair, "", figure);
    return el("dd", pair, "", "-");
  });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 60 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  card.line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  for (const [key, value] of Object.entries({ fill: "none", stroke: "currentColor",
    "vector-effect": "non-scaling-stroke", "stroke-width": "1.5" })) card.line.setAttribute(key, value);
  svg.append(card.line);
  card.svg = svg;
  card.body.append(svg);
  card.queue = el("p", card.body, "soft");
  const legend = el("p", card.body, "legend");
  card.legend = REASONS.map((reason) => {
    const entry = el("span", legend);
    el("i", entry, reason);
    return el("span", entry);
  });
  card.bars = el("div", card.body);
  card.rowsOfBars = new Map();
  card.samples = [];
  return card;
};

// Where the counters fell, another model is served under the name: what was before is forgotten.
const addSample = (card, at, serving) => {
  const last = card.samples[card.samples.length - 1];
  if (last && (serving.batches < last.serving.batches || serving.answered < last.serving.answered))
    card.samples = [];
  // Two looks that are too close to each other give no rate.
  else if (last && at - last.at < EVERY_MS / 4) card.samples.pop();
  card.samples.push({ at, serving });
  if (card.samples.length > KEPT) card.samples.shift();
};

const between = (from, to) => {
  const a = from.serving, b = to.serving;
  return {
    seconds: (to.at - from.at) / 1000,
    answered: b.answered - a.answered,
    unanswered: b.unanswered - a.unanswered,
    rows: b.rows - a.rows,
    batches: b.batches - a.batches,
    queue_ms: b.queue_ms - a.queue_ms,
    compute_ms: b.compute_ms - a.compute_ms,
    latency: { bounds_ms: b.latency.bounds_ms,
      counts: b.latency.counts.map((count, i) => count - a.latency.counts[i]) },
  };
};

const showFigures = (card) => {
  const { samples } = card, last = samples[samples.length - 1];
  const first = samples.find(({ at }) => at >= last.at - WINDOW_MS - EVERY_MS / 2);
  if (first === last) return;
  const d = between(first, last);
  const texts = [number(d.answered / d.seconds), number(d.rows / d.seconds), shownPercentile(d.latency, .5),
    shownPercentile(d.latency, .99), time(d.queue_ms / d.rows), time(d.compute_ms / d.batches),
    number(d.rows / d.batches), number(d.unanswered / d.seconds)];
  texts.forEach((text, i) => say(card.figures[i], text));
  card.figures[7].className = d.unanswered > 0 ? "bad" : "";
  const rates = samples.slice(1).map((sample, i) => {
    const { answered, seconds } = between(samples[i], sample);
    return { at: sample.at, rate: answered / seconds };
  });
  const top = Math.max(1, ...rates.map(({ rate }) => rate));
  const x = (at) => (60 - (last.at - at) / 1000).toFixed(2), y = (rate) => (19 - 18 * rate / top).toFixed(2);
  card.line.setAttribute("points", rates.map(({ at, rate }) => x(at) + "," + y(rate)).join(" "));
  const label = "requests/s of the last minute, " + number(top) + " at most";
  card.svg.setAttribute("aria-label", label);
};

const newBar = (card, rows, before) => {
  const root = document.createElement("div");
  root.className = "bar";
  const bar = { root, rows, size: el("span", root, "", String(rows)), count: null, parts: [] };
  const track = el("span", root, "track");
  bar.parts = REASONS.map((reason) => el("span", track, reason));
  bar.count = el("span", root);
  card.bars.insertBefore(root, before);
  return bar;
};

const showBatches = (card, sizes) => {
  const counts = new Map();
  REASONS.forEach((reason, i) => {
    let all = 0;
    for (const [rows, batches] of sizes[reason]) {
      all += batches;
      if (!counts.has(rows)) counts.set(rows, [0, 0, 0, 0]);
      counts.get(rows)[i] = batches;
    }
    say(card.legend[i], reason + " " + all.toLocaleString("en-US"));
  });
  const sum = (parts) => parts.reduce((total, part) => total + part, 0);
  const most = Math.max(1, ...[...counts.values()].map(sum));
  for (const [rows, bar] of card.rowsOfBars) if (!counts.has(rows)) {
    bar.root.remove();
    card.rowsOfBars.delete(rows);
  }
  for (const [rows, parts] of [...counts].sort(([a], [b]) => a - b)) {
    let bar = card.rowsOfBars.get(rows);
    if (!bar) {
      const after = [...card.rowsOfBars.values()].filter((other) => other.rows > rows);
      after.sort((a, b) => a.rows - b.rows);
      bar = newBar(card, rows, after.length > 0 ? after[0].root : null);
      card.rowsOfBars.set(rows, bar);
    }
    parts.forEach((part, i) => { bar.parts[i].style.width = (100 * part / most).toFixed(2) + "%"; });
    say(bar.count, sum(parts).toLocaleString("en-US"));
    const told = REASONS.map((reason, i) => parts[i] + " " + reason).join(", ");
    bar.root.title = "batches of " + rows + ": " + told;
  }
};

const instancesText = (instances) => {
  const states = new Map();
  for (const state of instances) states.set(state, (states.get(state) || 0) + 1);
  const each = [...states].map(([state, count]) => count + " " + state).join(", ");
  return instances.length + (instances.length === 1 ? " instance (" : " instances (") + each + ")";
};

const showModel = (card, at, { name, version, state, reason, serving }) => {
  say(card.name, name + ", version " + version);
  say(card.state, state);
  card.state.className = "state " + state;
  card.body.hidden = serving === null;
  if (serving === null) {
    card.samples = [];
    say(card.what, reason);
    return;
  }
  say(card.what, serving.backend + (serving.engine ? ", " + serving.engine : "") + ", " +
    instancesText(serving.instances) + ", max " + serving.max + ", timeout " +
    serving.batching_timeout_ms + " ms");
  addSample(card, at, serving);
  showFigures(card);
  say(card.queue, serving.queue_rows + " of " + serving.queue_limit_rows + " rows wait or run, " +
    serving.in_flight + " requests in flight, " + serving.answered.toLocaleString("en-US") + " answered");
  showBatches(card, serving.batch_sizes);
};

const duration = (s) => s < 120 ? s + " s" : s < 7200 ? Math.floor(s / 60) + " min" :
  s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";

const show = (status) => {
  const line = document.getElementById("server");
  line.className = status.ready ? "" : "bad";
  say(line, status.version + ", " + status.runtime + ", " + (status.ready ? "ready" : "not ready") + ", up " +
    duration(status.uptime_s) + ", " + number(status.rss_bytes / 1048576) + " MB, " +
    status.http_connections + " connections");
  const seen = new Set();
  for (const model of status.models) {
    const key = JSON.stringify([model.name, model.version]);
    seen.add(key);
    if (!cards.has(key)) cards.set(key, newCard());
    showModel(cards.get(key), status.now_ms, model);
  }
  for (const [key, card] of cards) if (!seen.has(key)) {
    card.root.remove();
    cards.delete(key);
  }
};

let lastMs = 0;
const ask = async () => {
  const answer = await fetch("status.json", { cache: "no-store" });
  if (!answer.ok) throw new Error("status " + answer.status);
  return answer.json();
};
const look = async () => {
  // Nobody looks at a hidden page.
  if (!document.hidden) {
    let status = null;
    try {
      status = await ask();
    } catch {
      const line = document.getElementById("server");
      line.className = "bad";
      const ago = lastMs ? duration(Math.round((Date.now() - lastMs) / 1000)) + " ago" : "never";
      say(line, "The server does not answer; its last answer: " + ago);
    }
    // What goes wrong while showing is a fault of this page, and the console has it.
    if (status !== null) {
      lastMs = Date.now();
      show(status);
    }
  }
};
const loop = () => void look().finally(() => setTimeout(loop, EVERY_MS));
document.addEventListener("visibilitychange", () => { if (!document.hidden) void look(); });
loop();
})();
`;
