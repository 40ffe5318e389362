// Finds out which functions of page and engine are needed first: runs both, without a browser, through a visit.
//
// The visit: the page is opened, the cluster comes to life and is looked at for a while; then the page is opened again,
// as it was left; at last the engine dies, the page starts it anew, and is told that a part of it cannot be loaded.
// Whatever that calls is needed first. The rest may come a moment later: see `../wasm/split.mjs`.
import { createHash } from "node:crypto";
import { firstCalls, instrumented } from "../wasm/instrument.mjs";
import { Clock, windowOf, workerScopeOf } from "./surroundings.mjs";

/** So long is the cluster looked at: heartbeats, savings and what else happens by itself take place in it. */
const LOOK_MS = 30_000;
/** So long is a message under way: the worker's clock ticks between a question and its answer. */
const MESSAGE_MS = 25;

/** Runs a program in given surroundings. */
function run({ glue, instantiate }, surroundings) {
  const { getImports, finish } = new Function(...Object.keys(surroundings), glue)(...Object.values(surroundings));
  finish(instantiate(getImports()));
}

/** The class `Worker` of a page: its workers run the engine. `noted` hears all that is said. */
function workerClass(clock, cluster, noted) {
  return class Worker {
    static last;
    onmessage = null;
    onerror = null;
    constructor() {
      Worker.last = this;
      const said = (data) => {
        noted(data);
        clock.after(MESSAGE_MS, () => this.onmessage?.({ data }));
      };
      this.scope = workerScopeOf(clock, said);
      clock.after(0, () => this.#orDie(() => run(cluster, this.scope)));
    }
    #orDie(work) {
      try {
        work();
      } catch (error) {
        this.onerror?.({ message: String(error), preventDefault() {} });
      }
    }
    postMessage(data) {
      noted(data);
      clock.after(MESSAGE_MS, () => this.#orDie(() => this.scope.self.onmessage({ data })));
    }
    terminate() {
      this.onmessage = this.onerror = null;
    }
  };
}

/** Makes the visit; returns a hash of all that page and engine said to each other. */
async function visit(page, cluster) {
  const said = createHash("sha256");
  const noted = (data) => said.update(JSON.stringify(data, (_, value) => (value instanceof Map ? [...value] : value)));
  let kept;
  for (const isLast of [false, true]) {
    const clock = new Clock();
    const Worker = workerClass(clock, cluster, noted);
    const surroundings = windowOf(clock, Worker, kept);
    kept = surroundings.localStorage;
    // The second time it is opened as somebody left it who had stopped time.
    if (isLast) kept.setItem("kubetab.playing", "false");
    run(page, surroundings);
    await clock.run(LOOK_MS);
    if (isLast) {
      // A message that the engine cannot read is a bug of the page, and it dies of it.
      Worker.last.postMessage({ Drawn: "no number" });
      surroundings.window.dispatchEvent({ type: "kubetab-missing" });
      await clock.run(LOOK_MS);
    }
  }
  return said.digest("hex");
}

/** A program that writes down what it calls. */
function watched({ glue, bytes }) {
  const module = new WebAssembly.Module(instrumented(bytes));
  const instances = [];
  const instantiate = (imports) => {
    instances.push(new WebAssembly.Instance(module, imports));
    return instances.at(-1);
  };
  return { glue, instantiate, calls: () => [...new Set(instances.flatMap(({ exports }) => firstCalls(exports)))] };
}

/**
 * The functions of page and engine that a visit calls, by their number among a module's own, and a hash of what was
 * said. Each program is given as `{ glue, bytes }`: the text of a function that returns its glue, and the whole module.
 */
export async function neededFirst(page, cluster) {
  const [watchedPage, watchedCluster] = [watched(page), watched(cluster)];
  const said = await visit(watchedPage, watchedCluster);
  return { page: watchedPage.calls(), cluster: watchedCluster.calls(), said };
}

/** Makes the same visit with first parts alone, and makes sure that they say the same and call nothing that is late. */
export async function rehearse(page, cluster, said) {
  let missed = 0;
  const alone = ({ glue, first }) => {
    const module = new WebAssembly.Module(first);
    const load = () => {
      missed++;
      throw new Error("a late function was called");
    };
    return { glue, instantiate: (imports) => new WebAssembly.Instance(module, { ...imports, late: { load } }) };
  };
  const saidAlone = await visit(alone(page), alone(cluster));
  if (missed > 0) throw new Error(`the visit calls late functions ${missed} times`);
  if (saidAlone !== said) throw new Error("the first parts do not do what the whole programs do");
}
