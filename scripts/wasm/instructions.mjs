// Walks the instructions of a function's body, as far as it takes to find the functions that it names.
//
// It knows what rustc and wasm-opt write with the features of `features.mjs`, and refuses whatever else
// it meets: an instruction passed over wrongly would become a wrong program.
import { Reader, unsigned } from "./binary.mjs";

export const OPCODE = {
  end: 0x0b, call: 0x10, callIndirect: 0x11, localGet: 0x20, globalGet: 0x23, globalSet: 0x24, i32Const: 0x41, i32Eqz: 0x45,
  i32Add: 0x6a, if: 0x04, emptyBlock: 0x40, refFunc: 0xd2,
};

const none = () => {};
const one = (reader) => reader.skipNumber();
const two = (reader) => {
  reader.skipNumber();
  reader.skipNumber();
};
const bytes = (count) => (reader) => reader.skip(count);
const refuse = (what) => () => {
  throw new Error(`${what} is not expected from rustc`);
};

/** What follows each opcode, as a function that passes over it. */
const operands = new Array(256).fill(refuse("an unknown instruction"));
const define = (from, to, skip) => operands.fill(skip, from, to + 1);
define(0x00, 0x01, none); // unreachable, nop
define(0x02, 0x04, one); // block, loop, if
define(0x05, 0x05, none); // else
define(0x0b, 0x0b, none); // end
define(0x0c, 0x0d, one); // br, br_if
define(0x0e, 0x0e, (reader) => { // br_table
  for (let left = reader.number(); left >= 0; left--) reader.skipNumber();
});
define(0x0f, 0x0f, none); // return
define(0x10, 0x10, one); // call
define(0x11, 0x11, two); // call_indirect
define(0x1a, 0x1b, none); // drop, select
define(0x1c, 0x1c, (reader) => reader.skip(reader.number())); // select with types
define(0x20, 0x26, one); // local.*, global.*, table.get, table.set
define(0x28, 0x3e, (reader) => { // loads and stores
  if (reader.number() >= 64) refuse("a second memory")();
  reader.skipNumber();
});
define(0x3f, 0x42, one); // memory.size, memory.grow, i32.const, i64.const
define(0x43, 0x43, bytes(4)); // f32.const
define(0x44, 0x44, bytes(8)); // f64.const
define(0x45, 0xc4, none); // arithmetic
define(0xd0, 0xd0, one); // ref.null
define(0xd1, 0xd1, none); // ref.is_null
define(0xd2, 0xd2, one); // ref.func
define(0xfc, 0xfc, (reader) => extended[reader.number()](reader));

/** What follows 0xfc and a number. */
const extended = [
  none, none, none, none, none, none, none, none, // saturating truncations
  refuse("memory.init"), refuse("data.drop"), two, one, // memory.copy, memory.fill
  refuse("table.init"), refuse("elem.drop"), two, one, one, one, // table.copy, table.grow, table.size, table.fill
];

const skipLocals = (reader) => reader.list(two);

/** The places in a body where a function is named: where its index stands, how long that is, and the index. */
export function* functionReferences(body) {
  const reader = new Reader(body);
  skipLocals(reader);
  while (!reader.isAtEnd) {
    const opcode = reader.byte();
    if (opcode === OPCODE.call) {
      const at = reader.at;
      const index = reader.number();
      yield { at, length: reader.at - at, index };
    } else if (opcode === OPCODE.refFunc) refuse("ref.func")();
    else operands[opcode](reader);
  }
}

/** The numbers in a body that may be addresses in the memory: constants, and what loads and stores add to theirs. */
export function addressesOf(body) {
  const reader = new Reader(body);
  const addresses = [];
  skipLocals(reader);
  while (!reader.isAtEnd) {
    const opcode = reader.byte();
    if (opcode === OPCODE.i32Const) addresses.push(reader.number());
    else if (opcode >= 0x28 && opcode <= 0x3e) {
      reader.skipNumber();
      addresses.push(reader.number());
    } else operands[opcode](reader);
  }
  return addresses;
}

/** The functions that a body calls; each may come more than once. */
export const calleesOf = (body) => Array.from(functionReferences(body), ({ index }) => index);

/** The body with each function's index replaced by what `renumber` makes of it. */
export function renumbered(body, renumber) {
  const parts = [];
  let from = 0;
  for (const { at, length, index } of functionReferences(body)) {
    parts.push(body.subarray(from, at), Buffer.from(unsigned(renumber(index))));
    from = at + length;
  }
  return Buffer.concat([...parts, body.subarray(from)]);
}

/** The body with instructions put before its first one. */
export function withPrologue(body, instructions) {
  const reader = new Reader(body);
  skipLocals(reader);
  return Buffer.concat([body.subarray(0, reader.at), Buffer.from(instructions), body.subarray(reader.at)]);
}
