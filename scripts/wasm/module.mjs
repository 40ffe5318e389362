// A WebAssembly module in pieces that can be taken out, added and written again.
//
// Only what the splitter has to understand is taken apart: imports, functions, tables, globals, exports, element and
// data segments, and bodies. Custom sections are left out.
import { Reader, list, name, sized, unsigned } from "./binary.mjs";

export const KIND = { function: 0, table: 1, memory: 2, global: 3 };
const SECTION = { type: 1, import: 2, function: 3, table: 4, memory: 5, global: 6, export: 7, start: 8, element: 9, code: 10, data: 11, dataCount: 12 };
const I32_CONST = 0x41;

const limits = (reader) => {
  const flags = reader.number();
  return { least: reader.number(), most: flags & 1 ? reader.number() : undefined, flags };
};
const tableType = (reader) => ({ type: reader.byte(), ...limits(reader) });
const globalType = (reader) => ({ type: reader.byte(), isMutable: reader.byte() === 1 });

const readers = { [KIND.function]: (reader) => reader.number(), [KIND.table]: tableType, [KIND.memory]: limits, [KIND.global]: globalType };

function readImport(reader) {
  const [module, field, kind] = [reader.name(), reader.name(), reader.byte()];
  if (!readers[kind]) throw new Error(`an import of kind ${kind} is not expected from rustc`);
  return { module, field, kind, type: readers[kind](reader) };
}

/** An expression that is one constant instruction and an end. */
function constant(reader) {
  const start = reader.at;
  const opcode = reader.byte();
  if (opcode === 0x43) reader.skip(4);
  else if (opcode === 0x44) reader.skip(8);
  else reader.skipNumber();
  if (reader.byte() !== 0x0b) throw new Error("a constant of more than one instruction is not expected from rustc");
  return reader.bytes.subarray(start, reader.at);
}

function readElements(reader) {
  if (reader.number() !== 0) throw new Error("an element segment that is not for the first table is not expected from rustc");
  const offset = constant(reader);
  if (offset[0] !== I32_CONST) throw new Error("an element segment whose place is not constant is not expected from rustc");
  return { offset: new Reader(offset, 1).number(), functions: reader.list((item) => item.number()) };
}

function readData(reader) {
  if (reader.number() !== 0) throw new Error("a data segment that is not at once in the memory is not expected from rustc");
  const offset = constant(reader);
  if (offset[0] !== I32_CONST) throw new Error("a data segment whose place is not constant is not expected from rustc");
  return { offset: new Reader(offset, 1).number(), bytes: reader.sized() };
}

const readFunctionType = (reader) => {
  const start = reader.at;
  if (reader.byte() !== 0x60) throw new Error("a type that is not a function's is not expected from rustc");
  return { parameters: reader.sized(), results: reader.sized(), bytes: reader.bytes.subarray(start, reader.at) };
};

/** Takes a module apart. `functions` are its own, without the imported ones that come before them in the count. */
export function parse(bytes) {
  const sections = new Map();
  const file = new Reader(bytes, 8);
  while (!file.isAtEnd) sections.set(file.byte(), new Reader(file.sized()));
  const items = (id, read) => sections.get(id)?.list(read) ?? [];
  const types = items(SECTION.type, readFunctionType);
  const imports = items(SECTION.import, readImport);
  const typeIndices = items(SECTION.function, (reader) => reader.number());
  const tables = items(SECTION.table, tableType);
  const globals = items(SECTION.global, (reader) => ({ ...globalType(reader), value: constant(reader) }));
  const exports = items(SECTION.export, (reader) => ({ field: reader.name(), kind: reader.byte(), index: reader.number() }));
  const start = sections.get(SECTION.start)?.number();
  const elements = items(SECTION.element, readElements);
  const functions = items(SECTION.code, (reader) => reader.sized()).map((body, index) => ({ type: typeIndices[index], body }));
  const memories = items(SECTION.memory, limits);
  const data = items(SECTION.data, readData);
  return { types, imports, functions, tables, memories, globals, exports, start, elements, data };
}

const writeLimits = ({ least, most, flags }) => [...unsigned(flags), ...unsigned(least), ...(most === undefined ? [] : unsigned(most))];
const writeTable = ({ type, ...rest }) => [type, ...writeLimits(rest)];
const writeGlobal = ({ type, isMutable }) => [type, isMutable ? 1 : 0];
const writers = { [KIND.function]: unsigned, [KIND.table]: writeTable, [KIND.memory]: writeLimits, [KIND.global]: writeGlobal };

const writeImport = ({ module, field, kind, type }) => Buffer.concat([name(module), name(field), Buffer.from([kind, ...writers[kind](type)])]);
const writeExport = ({ field, kind, index }) => Buffer.concat([name(field), Buffer.from([kind, ...unsigned(index)])]);
const writeElements = ({ offset, functions }) =>
  Buffer.concat([Buffer.from([0, ...i32Const(offset), 0x0b]), list(functions.map(unsigned))]);

const writeData = ({ offset, bytes }) => Buffer.concat([Buffer.from([0, ...i32Const(offset), 0x0b]), sized(bytes)]);

/** The instruction that puts a number that is not negative onto the stack. */
export function i32Const(number) {
  const bytes = unsigned(number);
  // The number is read as a signed one: its highest bit must not look like a sign.
  if (bytes.at(-1) & 64) bytes.push(bytes.pop() | 128, 0);
  return [I32_CONST, ...bytes];
}

/** Puts a module together. */
export function write(module) {
  const { types, imports, functions, tables, memories, globals, exports, start, elements, data } = module;
  const section = (id, content) => [Buffer.from([id]), sized(content)];
  const items = (id, array, writeItem) => (array.length > 0 ? section(id, list(array.map(writeItem))) : []);
  return Buffer.concat([
    Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
    ...items(SECTION.type, types, (type) => type.bytes),
    ...items(SECTION.import, imports, writeImport),
    ...items(SECTION.function, functions, ({ type }) => unsigned(type)),
    ...items(SECTION.table, tables, writeTable),
    ...items(SECTION.memory, memories, writeLimits),
    ...items(SECTION.global, globals, (global) => [...writeGlobal(global), ...global.value]),
    ...items(SECTION.export, exports, writeExport),
    ...(start === undefined ? [] : section(SECTION.start, Buffer.from(unsigned(start)))),
    ...items(SECTION.element, elements, writeElements),
    ...(data.length > 0 ? section(SECTION.dataCount, Buffer.from(unsigned(data.length))) : []),
    ...items(SECTION.code, functions, ({ body }) => sized(body)),
    ...items(SECTION.data, data, writeData),
  ]);
}

/** How many functions are imported; they come first in the count of functions. */
export const importedFunctions = (module) => module.imports.filter(({ kind }) => kind === KIND.function).length;
