// How a split program starts: `assets/start/start.js` with a host and a browser of our own.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { start } from "../../assets/start/start.js";
import { parse } from "../wasm/module.mjs";
import { split } from "../wasm/split.mjs";
import { FUNCTION, program } from "./sample.mjs";

const FIRST = new URL("http://localhost/program_bg.wasm");
const LATE = new URL("http://localhost/program_late.wasm");
const { first, late } = split(parse(program), (index) => index === FUNCTION.main);

/** What the host has, what was asked of it, and what the program was told. */
let files;
let asked;
let events;
/** Fulfilled when an event of this name was told. */
let told;

const bytesAsText = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte < 128 ? byte : 0xf700 + byte)).join("");

beforeEach(() => {
  files = new Map([[FIRST.href, first], [LATE.href, late]]);
  asked = [];
  events = [];
  const waiting = [];
  told = (name) => new Promise((resolve) => waiting.push({ name, resolve }));
  globalThis.fetch = async (address) => {
    asked.push(["fetch", address]);
    const bytes = files.get(address);
    return bytes ? new Response(bytes, { headers: { "content-type": "application/wasm" } }) : new Response("", { status: 404 });
  };
  globalThis.XMLHttpRequest = class {
    open(_, address, isAsynchronous) {
      assert.equal(isAsynchronous, false);
      this.address = address;
    }
    overrideMimeType(type) {
      assert.match(type, /x-user-defined/);
    }
    send() {
      asked.push(["now", this.address]);
      const bytes = files.get(this.address);
      this.status = bytes ? 200 : 404;
      this.responseText = bytes ? bytesAsText(bytes) : "";
    }
  };
  globalThis.dispatchEvent = ({ type }) => {
    events.push(type);
    for (const { name, resolve } of waiting) if (name === type) resolve();
  };
  // Pauses take no time here.
  globalThis.setTimeout = (task) => setImmediate(task);
  console.warn = () => {};
});

/** A glue whose program does `main` when it is started. */
function glue(main = () => {}) {
  const running = {};
  return {
    running,
    getImports: () => ({ host: { note() {}, lateNote() {} } }),
    finish(instance) {
      running.exports = instance.exports;
      running.result = main(instance.exports);
    },
  };
}

test("the late part is loaded in the background when the first one runs", async () => {
  const it = glue(() => asked.push(["running"]));
  await start(it, FIRST, LATE);
  assert.deepEqual(asked, [["fetch", FIRST.href], ["running"], ["fetch", LATE.href]]);
  assert.equal(it.running.exports.main(3), 112);
  assert.equal(asked.length, 3);
  assert.deepEqual(events, ["kubetab-complete"]);
});

test("a call that comes too early waits for the late part, which is then not loaded again", async () => {
  const it = glue(({ main }) => main(3));
  const complete = told("kubetab-complete");
  await start(it, FIRST, LATE);
  await complete;
  assert.equal(it.running.result, 112);
  assert.deepEqual(asked, [["fetch", FIRST.href], ["now", LATE.href]]);
  assert.deepEqual(events, ["kubetab-complete"]);
});

test("a late part that cannot be loaded is told, asked for again, and called for in vain", async () => {
  files.delete(LATE.href);
  const it = glue();
  const [missing, complete] = [told("kubetab-missing"), told("kubetab-complete")];
  const started = start(it, FIRST, LATE);
  await missing;
  assert.equal(it.running.exports.main(0), 7);
  assert.throws(() => it.running.exports.main(3), /program_late\.wasm could not be loaded: 404/);
  files.set(LATE.href, late);
  await Promise.all([started, complete]);
  assert.equal(it.running.exports.main(3), 112);
  assert.equal(events.at(-1), "kubetab-complete");
});

test("once is chance: nobody is told of a failure that passes", async () => {
  files.delete(LATE.href);
  const fetch = globalThis.fetch;
  globalThis.fetch = async (address) => {
    const response = await fetch(address);
    if (address === LATE.href) files.set(LATE.href, late);
    return response;
  };
  await start(glue(), FIRST, LATE);
  assert.deepEqual(events, ["kubetab-complete"]);
});

test("a program that was not split starts as well", async () => {
  files.set(FIRST.href, program);
  const it = glue(({ main }) => main(3));
  await start(it, FIRST);
  assert.equal(it.running.result, 112);
  assert.deepEqual(events, ["kubetab-complete"]);
});

test("a host that does not know the type of the files will do", async () => {
  const fetch = globalThis.fetch;
  globalThis.fetch = async (address) => new Response(await (await fetch(address)).arrayBuffer());
  const it = glue();
  await start(it, FIRST, LATE);
  assert.equal(it.running.exports.main(3), 112);
});

test("a program whose first part is missing does not start", async () => {
  files.clear();
  await assert.rejects(start(glue(), FIRST, LATE), /program_bg\.wasm could not be loaded: 404/);
});
