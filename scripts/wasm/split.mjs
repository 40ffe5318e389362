// Splits a WebAssembly module in two: what a program needs first, and what comes after.
//
// The first module is the program, with memory, data, tables and exports. Of a function that is late and that the first
// module can reach, it has a stub. The late module has the bodies; it is instantiated with the first one's memory, tables
// and globals, and both call each other by way of the program's one function table:
//
//   first → late   Each late function that the first module reaches has a place in the table: its own, where its address
//                  is taken, or a new one. Its stub makes sure that the late module is there and calls what stands at
//                  that place. The late module's element segments put the functions themselves there; from then on
//                  calls by address do not meet the stub any more.
//   late → first   What the late module calls stands in the table as well. It imports it from the module "table" by its
//                  place, so that the first module needs no export, with a name, for each.
//
// A late function that only late ones call costs the first module nothing. Types, tables, memory and globals keep their
// numbers in both modules; only functions are counted anew.
//
// The first module imports `late.load`, which must have instantiated the late module when it returns, or throw. It is
// for a call that comes too early; usually the late module was loaded in the background by then, and the exported global
// `late` is 1. See `assets/start/start.js`.
import { unsigned } from "./binary.mjs";
import { OPCODE, addressesOf, calleesOf, renumbered } from "./instructions.mjs";
import { KIND, i32Const, importedFunctions, write } from "./module.mjs";

const I32 = 0x7f;
const NO_LOCALS = 0;
const PROCEDURE = Buffer.from([0x60, 0, 0]);

/** The name by which the late module imports the function at a place in the table. */
const placeName = (place) => place.toString(36);

const ascending = (numbers) => [...new Set(numbers)].sort((left, right) => left - right);

const body = (...instructions) => Buffer.from([NO_LOCALS, ...instructions.flat(), OPCODE.end]);

/** The module's function type without parameters and results, which is added when it has none. */
function withProcedureType(module) {
  const found = module.types.findIndex(({ bytes }) => PROCEDURE.equals(bytes));
  if (found >= 0) return { module, procedure: found };
  const type = { parameters: [], results: [], bytes: PROCEDURE };
  return { module: { ...module, types: [...module.types, type] }, procedure: module.types.length };
}

/** Who is first, who is late, and whom they call of each other. Functions are numbered as in the whole module. */
function divide(module, isFirst) {
  const imported = importedFunctions(module);
  const isImported = (index) => index < imported;
  const isLate = (index) => !isImported(index) && index !== module.start && !isFirst(index - imported);
  const isOfFirst = (index) => !isImported(index) && !isLate(index);
  const own = module.functions.map((_, index) => index + imported);
  const [first, late] = [own.filter(isOfFirst), own.filter(isLate)];
  const callees = (indices) => indices.flatMap((index) => calleesOf(module.functions[index - imported].body));
  const exported = module.exports.filter(({ kind }) => kind === KIND.function).map(({ index }) => index);
  const addressed = module.elements.flatMap(({ functions }) => functions);
  const reached = ascending([...callees(first), ...exported, ...addressed]);
  const calledByLate = ascending(callees(late));
  return {
    first, late,
    stubbed: reached.filter(isLate),
    /** The first module's functions that the late one calls. */
    lent: calledByLate.filter(isOfFirst),
    importedByFirst: reached.filter(isImported),
    importedByLate: calledByLate.filter(isImported),
    typeOf: (index) => module.functions[index - imported].type,
    bodyOf: (index) => module.functions[index - imported].body,
  };
}

/** Places in the table: those that functions have, and new ones for who needs one. */
class Places {
  constructor(module) {
    this.all = new Map();
    for (const { offset, functions } of module.elements) functions.forEach((index, place) => this.add(index, offset + place));
    this.before = module.tables[0].least;
    this.end = this.before;
  }
  add(index, place) {
    this.all.set(index, [...(this.all.get(index) ?? []), place]);
  }
  /** Gives each function a place that has none; returns those that got one, in the order of their places. */
  reserve(functions) {
    const without = functions.filter((index) => !this.all.has(index));
    for (const index of without) this.add(index, this.end++);
    return without;
  }
  of(index) {
    return this.all.get(index)[0];
  }
}

/** The imports of functions that `kept` names, by their numbers in the whole module. */
function functionImports(module, kept) {
  const functions = module.imports.filter(({ kind }) => kind === KIND.function);
  return kept.map((index) => functions[index]);
}

/** New numbers for functions, in this order. */
const numbering = (functions) => new Map(functions.map((index, number) => [index, number]));

/** The late module's imports of memory, tables and globals, and the exports that it takes for that. */
function sharing(module) {
  const share = (kind, word) => (type, index) => ({ field: `${word} ${index}`, kind, index, type });
  const shared = [
    ...module.memories.map(share(KIND.memory, "memory")),
    ...module.tables.map(share(KIND.table, "table")),
    ...module.globals.map(share(KIND.global, "global")),
  ];
  return {
    imports: shared.map(({ field, kind, type }) => ({ module: "first", field, kind, type })),
    exports: [...module.exports, ...shared, { field: "late", kind: KIND.global, index: module.globals.length - 1 }],
  };
}

/** `if (!isLoaded) load()`. */
const ensureBody = (isLoaded, load) => body(
  OPCODE.globalGet, unsigned(isLoaded), OPCODE.i32Eqz, OPCODE.if, OPCODE.emptyBlock, OPCODE.call, unsigned(load), OPCODE.end);

/** `ensure(); return table[place](...parameters)`. */
function stubBody({ parameters }, type, place, ensure) {
  const passOn = Array.from(parameters, (_, index) => [OPCODE.localGet, ...unsigned(index)]).flat();
  return body(OPCODE.call, unsigned(ensure), passOn, i32Const(place), OPCODE.callIndirect, unsigned(type), unsigned(0));
}

function firstModule(module, { division, places, lentPlaces, order, procedure, isLoaded, exports }) {
  const { first, stubbed, importedByFirst, typeOf, bodyOf } = division;
  // Stubs that are alike stand beside each other, for gzip.
  const stubs = [...stubbed].sort((left, right) => typeOf(left) - typeOf(right) || places.of(left) - places.of(right));
  const own = order(first, bodyOf);
  const [load, ensure] = ["load", "ensure"];
  const numbers = numbering([...importedByFirst, load, ...own, ensure, ...stubs]);
  const renumber = (index) => numbers.get(index);
  const stub = (index) => stubBody(module.types[typeOf(index)], typeOf(index), places.of(index), renumber(ensure));
  return write({
    ...module, exports: exports.map((each) => (each.kind === KIND.function ? { ...each, index: renumber(each.index) } : each)),
    start: module.start === undefined ? undefined : renumber(module.start),
    imports: [
      ...functionImports(module, importedByFirst),
      { module: "late", field: "load", kind: KIND.function, type: procedure },
      ...module.imports.filter(({ kind }) => kind !== KIND.function),
    ],
    functions: [
      ...own.map((index) => ({ type: typeOf(index), body: renumbered(bodyOf(index), renumber) })),
      { type: procedure, body: ensureBody(isLoaded, renumber(load)) },
      ...stubs.map((index) => ({ type: typeOf(index), body: stub(index) })),
    ],
    elements: [
      ...module.elements.map(({ offset, functions }) => ({ offset, functions: functions.map(renumber) })),
      ...(lentPlaces.length > 0 ? [{ offset: places.of(lentPlaces[0]), functions: lentPlaces.map(renumber) }] : []),
    ],
  });
}

/** Element segments that put functions to their places, a segment for places that follow each other. */
function segments(entries) {
  const result = [];
  for (const [place, index] of entries.sort(([left], [right]) => left - right)) {
    const last = result.at(-1);
    if (last && last.offset + last.functions.length === place) last.functions.push(index);
    else result.push({ offset: place, functions: [index] });
  }
  return result;
}

function lateModule(module, { division, places, order, procedure, isLoaded, imports, texts }) {
  const { late, lent, stubbed, importedByLate, typeOf, bodyOf } = division;
  const own = order(late, bodyOf);
  const start = "start";
  const numbers = numbering([...importedByLate, ...lent, ...own, start]);
  const renumber = (index) => numbers.get(index);
  const lentImport = (index) => ({ module: "table", field: placeName(places.of(index)), kind: KIND.function, type: typeOf(index) });
  return write({
    types: module.types,
    data: texts,
    imports: [
      ...functionImports(module, importedByLate), ...lent.map(lentImport), ...imports,
    ],
    functions: [
      ...own.map((index) => ({ type: typeOf(index), body: renumbered(bodyOf(index), renumber) })),
      { type: procedure, body: body(i32Const(1), OPCODE.globalSet, unsigned(isLoaded)) },
    ],
    tables: [], memories: [], globals: [], exports: [],
    // It runs when the elements are in their places.
    start: renumber(start),
    elements: segments(stubbed.flatMap((index) => places.all.get(index).map((place) => [place, renumber(index)]))),
  });
}

/** Whether some number lies within a text. */
const touches = (numbers, { offset, bytes }) => numbers.some((number) => number >= offset && number < offset + bytes.length);

/** The numbers in data that may be addresses: rustc aligns pointers. */
const wordsOf = ({ offset, bytes }) => Array.from(
  { length: Math.floor((bytes.length - (-offset & 3)) / 4) }, (_, index) => bytes.readUInt32LE((-offset & 3) + 4 * index));

/**
 * The texts that only late functions can find: nothing that is first names an address within them, and no data hold the
 * address where they begin. (Of a text that is included from a file, data never hold a part.) Returns them with their places, and the data with zeros in their stead.
 */
function lateTexts(module, { first, bodyOf }, texts) {
  const places = texts.flatMap((text) => {
    const segment = module.data.find(({ bytes }) => bytes.includes(text));
    return segment ? [{ offset: segment.offset + segment.bytes.indexOf(text), bytes: text }] : [];
  });
  const without = (data, gone) => data.map(({ offset, bytes }) => {
    const copy = Buffer.from(bytes);
    for (const text of gone.filter((text) => text.offset >= offset && text.offset < offset + bytes.length)) {
      copy.fill(0, text.offset - offset, text.offset - offset + text.bytes.length);
    }
    return { offset, bytes: copy };
  });
  const named = first.flatMap((index) => addressesOf(bodyOf(index)));
  const pointers = new Set(without(module.data, places).flatMap(wordsOf));
  const moved = places.filter((text) => !touches(named, text) && !pointers.has(text.offset));
  return { moved, data: without(module.data, moved) };
}

/**
 * Splits a parsed module. `isFirst` says of a function, by its number among the module's own, whether it is needed
 * first; `order` puts numbers of functions into the order in which they are written, given what finds their bodies. `texts`
 * are bytes that stand in the program's data; those that only late functions can find are late, too.
 */
export function split(whole, isFirst, order = (functions) => functions, texts = []) {
  if (whole.imports.some(({ kind }) => kind !== KIND.function)) throw new Error("an import that is not a function is not expected from rustc");
  const { module: typed, procedure } = withProcedureType(whole);
  const isLoaded = typed.globals.length;
  const flag = { type: I32, isMutable: true, value: Buffer.from([...i32Const(0), OPCODE.end]) };
  const division = divide(typed, isFirst);
  const places = new Places(typed);
  const lentPlaces = places.reserve(division.lent);
  places.reserve(division.stubbed);
  const [functionTable, ...otherTables] = typed.tables;
  const longer = { ...functionTable, least: places.end, most: functionTable.most && places.end };
  const { moved, data } = lateTexts(typed, division, texts);
  const module = { ...typed, globals: [...typed.globals, flag], tables: [longer, ...otherTables], data };
  const plan = { division, places, lentPlaces, order, procedure, isLoaded, texts: moved, ...sharing(module) };
  return {
    first: firstModule(module, plan), late: lateModule(module, plan), stubs: division.stubbed.length,
    lateTexts: moved.map(({ bytes }) => bytes),
  };
}
