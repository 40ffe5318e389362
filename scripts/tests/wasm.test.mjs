import assert from "node:assert/strict";
import { test } from "node:test";
import { Reader, signed, unsigned } from "../wasm/binary.mjs";
import { functionReferences } from "../wasm/instructions.mjs";
import { firstCalls, instrumented } from "../wasm/instrument.mjs";
import { i32Const, parse, write } from "../wasm/module.mjs";
import { byLikeness } from "../wasm/order.mjs";
import { split } from "../wasm/split.mjs";
import { FUNCTION, assembled, program } from "./sample.mjs";

/** What a program from outside sees: results, what it was told, what is in memory. */
function played(instance, told) {
  const { main, byAddress, exported } = instance.exports;
  const results = [main(0), main(3), byAddress(1, 10), byAddress(2, 10), byAddress(3, 20), exported(), main(4)];
  return { results, told, memory: [...new Uint8Array(instance.exports.memory.buffer, 0, 32)] };
}

function host() {
  const told = [];
  const imports = { host: { note: (number) => told.push(["note", number]), lateNote: (number) => told.push(["late note", number]) } };
  return { told, imports };
}

function playedWhole() {
  const { told, imports } = host();
  return played(new WebAssembly.Instance(new WebAssembly.Module(program), imports), told);
}

/** The two modules together, as `assets/start/start.js` puts them; `loads` counts how often the late one was asked for. */
function joined(first, late) {
  const { told, imports } = host();
  const state = { told, loads: 0 };
  imports.late = {
    load() {
      state.loads++;
      const table = state.first["table 0"];
      const places = new Proxy({}, { get: (_, place) => table.get(parseInt(place, 36)) });
      new WebAssembly.Instance(new WebAssembly.Module(late), { ...imports, first: state.first, table: places });
    },
  };
  state.instance = new WebAssembly.Instance(new WebAssembly.Module(first), imports);
  state.first = state.instance.exports;
  return { state, load: imports.late.load };
}

const splitAt = (...firstOnes) => split(parse(program), (index) => firstOnes.includes(index));

test("numbers are written as they are read", () => {
  for (const number of [0, 1, 63, 64, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1]) {
    assert.equal(new Reader(unsigned(number)).number(), number);
  }
  assert.deepEqual(signed(-1), [0x7f]);
  assert.deepEqual(signed(64), [0xc0, 0x00]);
  assert.deepEqual(signed(-65), [0xbf, 0x7f]);
  assert.deepEqual(i32Const(63), [0x41, 63]);
  assert.deepEqual(i32Const(64), [0x41, 0xc0, 0x00]);
});

test("a module that is taken apart and put together is the same", () => {
  assert.deepEqual(write(parse(program)), program);
});

test("a text that nothing first can find is late, and any other stays", () => {
  const module = parse(assembled(`(module (memory 1) (table 1 funcref)
    (data (i32.const 8) "found by a number, found by an offset, found by data, late")
    (data (i32.const 128) "\\2f\\00\\00\\00")
    (func (export "first") (result i32) (drop (i32.load8_u offset=28 (i32.const 0))) (i32.load8_u (i32.const 9)))
    (func (export "late") (result i32) (i32.load8_u (i32.const 63))))`));
  const texts = ["found by a number", "found by an offset", "found by data", "late"].map((text) => Buffer.from(text));
  const late = texts.at(-1);
  const at = module.data[0].offset + module.data[0].bytes.indexOf(late);
  const parts = split(module, (index) => index === 0, undefined, [...texts, Buffer.from("nowhere")]);
  assert.deepEqual(parts.lateTexts, [late]);
  assert.ok(!parse(parts.first).data[0].bytes.includes(late));
  assert.deepEqual(parse(parts.late).data, [{ offset: at, bytes: late }]);
});

test("an instruction that rustc does not write is refused", () => {
  const v128 = Buffer.from([0, 0xfd, 0x0c, 0x0b]);
  assert.throws(() => [...functionReferences(v128)], /unknown instruction/);
  const memoryInit = Buffer.from([0, 0xfc, 8, 0, 0, 0x0b]);
  assert.throws(() => [...functionReferences(memoryInit)], /memory\.init/);
});

test("calls are found behind every kind of operand", () => {
  const [body] = parse(assembled(`(module (memory 1) (func $a
    (drop (i64.load offset=300 align=1 (i32.const -1)))
    (drop (f32.const 1)) (drop (f64.const 1)) (drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3)))
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))
    (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
    (block (br_table 0 0 0 (i32.const 0)))
    (drop (ref.is_null (ref.null extern)))
    (call $a)))`)).functions;
  assert.deepEqual(Array.from(functionReferences(body.body), ({ index }) => index), [0]);
});

const divisions = {
  "the callers are first": [FUNCTION.main, FUNCTION.helper, FUNCTION.byAddress],
  "what is called by address is late": [FUNCTION.main, FUNCTION.byAddress, FUNCTION.exported],
  "what the late part calls has no address": [FUNCTION.main, FUNCTION.byAddress, FUNCTION.addressed, FUNCTION.lateOnly],
  "everything is late": [],
  "nothing is late": Object.values(FUNCTION),
};

for (const [what, first] of Object.entries(divisions)) {
  test(`in two parts a program does the same: ${what}`, () => {
    const parts = splitAt(...first);
    const { state, load } = joined(parts.first, parts.late);
    load();
    assert.deepEqual(played(state.instance, state.told), playedWhole());
    assert.equal(state.loads, 1, "it is there: nobody asks again");
  });
  test(`also when the late part comes only when it is called for: ${what}`, () => {
    const parts = splitAt(...first);
    const { state } = joined(parts.first, parts.late);
    assert.deepEqual(played(state.instance, state.told), playedWhole());
    assert.equal(state.loads, first.length === Object.values(FUNCTION).length ? 0 : 1);
  });
}

test("the first part runs alone as long as it calls nothing late", () => {
  const parts = splitAt(FUNCTION.main, FUNCTION.byAddress, FUNCTION.helper);
  const { state } = joined(parts.first, Buffer.from("no module"));
  assert.equal(state.first.main(0), 7);
  assert.equal(state.first.byAddress(2, 2), 10);
  assert.equal(state.first.late.value, 0);
  assert.throws(() => state.first.main(1), WebAssembly.CompileError);
});

test("a call that could not load the late part fails, and the next one tries again", () => {
  const parts = splitAt(FUNCTION.main);
  const { told, imports } = host();
  let loads = 0;
  imports.late = {
    load() {
      loads++;
      throw new Error("offline");
    },
  };
  const { main } = new WebAssembly.Instance(new WebAssembly.Module(parts.first), imports).exports;
  assert.throws(() => main(1), /offline/);
  assert.throws(() => main(1), /offline/);
  assert.equal(loads, 2);
  assert.equal(main(0), 7);
  assert.deepEqual(told, [["note", 1], ["note", 1], ["note", 0]]);
});

test("what only the late part reaches leaves nothing in the first one", () => {
  const { first } = splitAt(FUNCTION.main, FUNCTION.helper, FUNCTION.addressed, FUNCTION.byAddress, FUNCTION.exported);
  const module = parse(first);
  // Five of its own, what makes sure that the rest is there, and a stub for `late`; none for `lateOnly`.
  assert.equal(module.functions.length, 5 + 1 + 1);
  assert.deepEqual(module.imports.map(({ field }) => field), ["note", "load"]);
});

test("the same module is split into the same bytes", () => {
  assert.deepEqual(splitAt(FUNCTION.main), splitAt(FUNCTION.main));
});

test("an instrumented module knows what was called, in the order of the first calls", () => {
  const { told, imports } = host();
  const instance = new WebAssembly.Instance(new WebAssembly.Module(instrumented(program)), imports);
  assert.deepEqual(firstCalls(instance.exports), []);
  instance.exports.byAddress(2, 1);
  instance.exports.main(3);
  instance.exports.byAddress(1, 1);
  const { byAddress, helper, main, late, lateOnly, addressed } = FUNCTION;
  assert.deepEqual(firstCalls(instance.exports), [byAddress, helper, main, late, lateOnly, addressed]);
  assert.equal(told.length, 2);
});

test("like stands beside like, and nobody is lost", () => {
  const body = (seed, tail) => Buffer.from([...Array.from({ length: 60 }, (_, index) => (index * seed) % 251), tail]);
  const bodies = [body(7, 1), body(11, 1), body(7, 2), body(11, 2), body(7, 3)];
  const order = byLikeness(bodies);
  assert.deepEqual([...order].sort(), [0, 1, 2, 3, 4]);
  const kinds = order.map((index) => index % 2);
  assert.equal(kinds.filter((kind, index) => index > 0 && kind !== kinds[index - 1]).length, 1);
});
