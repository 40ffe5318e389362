// Finds out which functions of page and engine are needed first: runs both, without a browser, through a visit.
//
// The visit: the page is opened, the cluster comes to life and is looked at for a while; then the page is opened again,
// as it was left; at last the engine dies, and the page starts it anew. Whatever that calls is needed first. The rest
// may come a moment later: see `../wasm/split.mjs`.
import { firstCalls, instrumented } from "../wasm/instrument.mjs";
import { Clock, windowOf, workerScopeOf } from "./surroundings.mjs";

/** So long is the cluster looked at: heartbeats, savings and what else happens by itself take place in it. */
const LOOK_MS = 30_000;

/** So long is a message under way: the worker's clock ticks between a question and its answer. */
const MESSAGE_MS = 25;

/** A program as it runs in given surroundings. */
function run({ glue, module }, surroundings, called) {
  const { getImports, finish } = new Function(...Object.keys(surroundings), glue)(...Object.values(surroundings));
  const instance = new WebAssembly.Instance(module, getImports());
  called.push(() => firstCalls(instance.exports));
  finish(instance, module);
}

/** The class `Worker` of a page: its workers run the engine. */
function workerClass(clock, cluster, called) {
  return class Worker {
    onmessage = null;
    onerror = null;
    constructor() {
      const heard = (data) => clock.after(MESSAGE_MS, () => this.onmessage?.({ data }));
      const scope = workerScopeOf(clock, heard);
      this.tell = (data) => this.#orDie(() => scope.self.onmessage({ data }));
      clock.after(0, () => this.#orDie(() => run(cluster, scope, called)));
    }
    #orDie(work) {
      try {
        work();
      } catch (error) {
        this.onerror?.({ message: String(error), preventDefault() {} });
      }
    }
    postMessage(data) {
      clock.after(MESSAGE_MS, () => this.tell(data));
    }
    terminate() {
      this.onmessage = null;
    }
  };
}

/** The functions that were called, in the order in which a visit comes to them first. */
const collected = (called) => [...new Set(called.flatMap((read) => read()))];

/**
 * The functions of page and engine that a visit calls, by their number among a module's own. Each program is given as
 * `{ glue, bytes }`: the text of a function that returns wasm-bindgen's glue, and the whole module.
 */
export async function visit(page, cluster) {
  const compiled = ({ glue, bytes }) => ({ glue, module: new WebAssembly.Module(instrumented(bytes)) });
  const [pageProgram, clusterProgram] = [compiled(page), compiled(cluster)];
  const [pageCalled, clusterCalled] = [[], []];
  let kept;
  let worker;
  for (let visits = 0; visits < 2; visits++) {
    const clock = new Clock();
    const Worker = class extends workerClass(clock, clusterProgram, clusterCalled) {
      constructor() {
        super();
        worker = this;
      }
    };
    const window = windowOf(clock, Worker, kept);
    kept = window.localStorage;
    run(pageProgram, window, pageCalled);
    await clock.run(LOOK_MS);
    if (visits === 1) {
      window.window.dispatchEvent({ type: "kubetab-missing" });
      worker.tell({ Drawn: "no number" });
      await clock.run(LOOK_MS);
    }
  }
  return { page: collected(pageCalled), cluster: collected(clusterCalled) };
}
