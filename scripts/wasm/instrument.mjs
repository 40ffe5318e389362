// Makes a module write down which of its functions were called, in the order of their first call.
import { OPCODE, withPrologue } from "./instructions.mjs";
import { KIND, i32Const, parse, write } from "./module.mjs";
import { unsigned } from "./binary.mjs";

const I32 = 0x7f;
const counter = { type: I32, isMutable: true, value: Buffer.from([...i32Const(0), OPCODE.end]) };

/** `if (!called) called = ++calls`, with the places of the two globals. */
const noteCall = (called, calls) => [
  OPCODE.globalGet, ...unsigned(called), OPCODE.i32Eqz, OPCODE.if, OPCODE.emptyBlock,
  OPCODE.globalGet, ...unsigned(calls), ...i32Const(1), OPCODE.i32Add, OPCODE.globalSet, ...unsigned(calls),
  OPCODE.globalGet, ...unsigned(calls), OPCODE.globalSet, ...unsigned(called),
  OPCODE.end,
];

const exportOf = (index) => `called ${index}`;

/** The module with a counter for each function; `firstCalls` reads them. Globals disturb neither memory nor table. */
export function instrumented(bytes) {
  const module = parse(bytes);
  const calls = module.globals.length;
  const functions = module.functions.map(({ type, body }, index) => ({ type, body: withPrologue(body, noteCall(calls + 1 + index, calls)) }));
  const counters = functions.map((_, index) => ({ field: exportOf(index), kind: KIND.global, index: calls + 1 + index }));
  return write({
    ...module, functions,
    globals: [...module.globals, ...new Array(functions.length + 1).fill(counter)],
    exports: [...module.exports, ...counters],
  });
}

/** The functions that an instance of an instrumented module has called, without imported ones, in order of first call. */
export function firstCalls(exports) {
  const order = [];
  for (let index = 0; exports[exportOf(index)]; index++) {
    const call = exports[exportOf(index)].value;
    if (call > 0) order.push([call, index]);
  }
  return order.sort(([left], [right]) => left - right).map(([, index]) => index);
}
