import assert from "node:assert/strict";
import { test } from "node:test";
import { Clock, windowOf } from "../profile/surroundings.mjs";

test("a clock goes when it is told to, and keeps the order of its timers", async () => {
  const clock = new Clock();
  const said = [];
  const say = (word) => () => said.push(`${word} ${clock.now}`);
  clock.after(20, say("later"));
  clock.after(10, say("sooner"));
  clock.after(10, say("second"));
  const ticking = clock.after(8, say("tick"), 8);
  clock.after(17, () => clock.cancel(ticking));
  clock.after(12, () => Promise.resolve().then(say("promised")));
  await clock.run(30);
  assert.deepEqual(said, ["tick 8", "sooner 10", "second 10", "promised 12", "tick 16", "later 20"]);
  assert.equal(clock.now, 30);
});

test("a document keeps its nodes in order", () => {
  const { document, Element, window, Window } = windowOf(new Clock(), class {});
  const [list, one, two] = ["ul", "li", "li"].map((tag) => document.createElement(tag));
  list.appendChild(two);
  list.insertBefore(one, two);
  list.insertBefore(document.createComment(""), one);
  assert.equal(list.firstElementChild, one);
  assert.equal(list.lastElementChild, two);
  one.remove();
  assert.equal(list.firstElementChild, two);
  assert.ok(list.contains(two) && !list.contains(one));
  const template = document.createElement("template");
  template.innerHTML = "<svg><path/></svg>";
  assert.ok(template.content.cloneNode(true).firstElementChild instanceof Element);
  assert.ok(window instanceof Window);
});
