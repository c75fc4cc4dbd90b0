/** Weighs what the bindings and the real library say about each entry of the table. */

import { methods } from "./table.mjs";

/** Interfaces whose tables are looked for, by the names that type information carries. */
const interfaces = {
  IRuntime: "N8nvinfer14apiv8VRuntimeE",
  ICudaEngine: "N8nvinfer14apiv11VCudaEngineE",
  IExecutionContext: "N8nvinfer14apiv17VExecutionContextE",
  IBuilder: "N8nvinfer14apiv8VBuilderE",
  IBuilderConfig: "N8nvinfer14apiv14VBuilderConfigE",
  INetworkDefinition: "N8nvinfer14apiv18VNetworkDefinitionE",
  ITensor: "N8nvinfer14apiv7VTensorE",
  IOptimizationProfile: "N8nvinfer14apiv20VOptimizationProfileE",
  IHostMemory: "N8nvinfer14apiv11VHostMemoryE",
  IEngineInspector: "N8nvinfer14apiv16VEngineInspectorE",
  // In 11.2 no class derives from the inner interface of this one.
  ITimingCache: "N8nvinfer112ITimingCacheE",
  IParser: "N12nvonnxparser7IParserE",
  IParserError: "N12nvonnxparser12IParserErrorE",
};

/** Methods between which a destructor's two entries lie, as the bindings have no function for it. */
const BEFORE_DELETE = "IParser.clearErrors";
const BEHIND_DELETE = "IParser.getUsedVCPluginLibraries";

/**
 * Verdicts `{ id, slot, verdict, why }`: confirmed, differs, unproven where nobody says anything,
 * or untold where that is so of a library without bindings, which the tests call instead.
 * `glue` is null for a library that no bindings were compiled against; each row then says in `like` which
 * slot it has in the family whose order this one shares.
 */
export function weigh(rows, glue, library, parser) {
  const tables = new Map();
  for (const [owner, mangled] of Object.entries(interfaces)) {
    const from = mangled.includes("nvonnxparser") ? parser : library;
    const own = rows.filter(({ id, slot }) => methods[id][0] === owner && slot >= 0);
    if (own.length > 0) tables.set(owner, { from, table: likeliest(own, from.tablesOf(mangled), from) });
  }
  const names = new Map(rows.map((row) => [row.id, namesItself(row, tables)]));
  return rows
    .filter(({ slot }) => slot >= 0)
    .map((row) => ({ ...row, ...verdict(row, glue, tables.get(methods[row.id][0]).table, names, rows) }));
}

/** Of all classes that implement an interface, the one whose functions name themselves most often. */
function likeliest(own, tables, from) {
  const score = (table) =>
    own.filter(({ id, slot }) => table[slot] !== undefined && firstName(from, table[slot]) === plain(id))
      .length;
  const longEnough = tables.filter((table) => own.every(({ slot }) => slot < table.length));
  return longEnough.toSorted((a, b) => score(b) - score(a))[0] ?? [];
}

function namesItself({ id, slot }, tables) {
  const found = tables.get(methods[id][0]);
  if (found === undefined || found.table[slot] === undefined) return false;
  return firstName(found.from, found.table[slot]) === plain(id);
}

/** Small functions have no text, and the next one's is found: a name proves something, no name nothing. */
function firstName(from, address) {
  return from.namesIn(address).values().next().value;
}

function plain(id) {
  return methods[id][1];
}

function verdict(row, glue, table, names, rows) {
  const { id, slot } = row;
  if (table[slot] === undefined) return { verdict: "differs", why: "the library has no function there" };
  const own = names.get(id) ? ", and the function there names itself" : "";
  const called = glue === null ? undefined : slotInGlue(id, glue);
  if (called !== undefined && called !== slot)
    return { verdict: "differs", why: `the bindings call slot ${called}` };
  if (called !== undefined) return { verdict: "confirmed", why: `the bindings call it${own}` };
  if (names.get(id)) return { verdict: "confirmed", why: "the function there names itself" };
  const neighbours = glue === null ? keptDistances(row, rows, names) : "";
  if (neighbours !== "") return { verdict: "confirmed", why: neighbours };
  if (glue === null) return { verdict: "untold", why: "the function there has no name; test:rtx calls it" };
  return { verdict: "unproven", why: "the function there has no name, and the bindings do not call it" };
}

function slotInGlue(id, glue) {
  const [owner, method, overload] = methods[id];
  if (method.startsWith("~")) {
    const [before, behind] = [BEFORE_DELETE, BEHIND_DELETE].map((key) => glue.get(key)?.[0].slot);
    return behind - before === 3 ? before + 2 : undefined;
  }
  const all = glue.get(`${owner}.${method}`) ?? [];
  const meant = all.length === 1 ? all : all.filter((one) => one.overload.endsWith(overload ?? ""));
  const slots = new Set(meant.map((one) => one.slot));
  return slots.size === 1 ? [...slots][0] : undefined;
}

/** Whether the nearest functions that name themselves are as far away as in the family of the same order. */
function keptDistances(row, rows, names) {
  const owner = methods[row.id][0];
  const named = rows.filter(
    ({ id, slot, like }) => methods[id][0] === owner && names.get(id) && slot >= 0 && like >= 0,
  );
  const below = named.filter(({ slot }) => slot < row.slot).toSorted((a, b) => b.slot - a.slot)[0];
  const above = named.filter(({ slot }) => slot > row.slot).toSorted((a, b) => a.slot - b.slot)[0];
  const kept = [below, above].filter(
    (one) => one !== undefined && one.slot - row.slot === one.like - row.like,
  );
  if (kept.length === 0 || (below && !kept.includes(below)) || (above && !kept.includes(above))) return "";
  return `${kept.map(({ id }) => id).join(" and ")} stay as far from it as in 11`;
}
