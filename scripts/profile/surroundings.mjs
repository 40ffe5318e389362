// What a program finds around it in a browser, as far as the profile needs it: a clock that goes when it is told to, and
// a document that nobody sees. Nothing in here asks the real time or chance, so that the same program always does the same.

/** A clock with timers. */
export class Clock {
  now = 0;
  #timers = [];
  #last = 0;

  after(milliseconds, task, every) {
    this.#timers.push({ at: this.now + Math.max(0, milliseconds), id: ++this.#last, task, every });
    return this.#last;
  }
  cancel(id) {
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  }
  /** Lets time pass. Between two timers all that waits for promises gets its turn, as in a browser. */
  async run(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const [next] = this.#timers.sort((left, right) => left.at - right.at || left.id - right.id);
      if (!next || next.at > end) break;
      this.cancel(next.id);
      this.now = next.at;
      if (next.every) this.#timers.push({ ...next, at: this.now + next.every });
      next.task();
    }
    this.now = end;
  }
}

const FRAME_MS = 16;
const SIZE = { left: 0, top: 0, width: 1200, height: 800 };
const nothing = () => {};

/** What page and worker have in common. */
export function worldOf(clock) {
  return {
    performance: { now: () => clock.now, mark: nothing },
    setTimeout: (task, milliseconds = 0) => clock.after(milliseconds, task),
    setInterval: (task, milliseconds) => clock.after(milliseconds, task, milliseconds),
    clearTimeout: (id) => clock.cancel(id),
    clearInterval: (id) => clock.cancel(id),
    queueMicrotask,
    // When garbage is collected is chance.
    FinalizationRegistry: class {
      register() {}
      unregister() {}
    },
    console: { log: nothing, warn: nothing, error: nothing, info: nothing, debug: nothing },
  };
}

class Node {
  parentNode = null;
  childNodes = [];
  nodeValue = "";

  get isConnected() {
    return true;
  }
  get firstElementChild() {
    return this.childNodes.find((child) => child instanceof Element) ?? null;
  }
  get lastElementChild() {
    return this.childNodes.findLast((child) => child instanceof Element) ?? null;
  }
  set textContent(text) {
    this.childNodes = text ? [Object.assign(new Node(), { nodeValue: text, parentNode: this })] : [];
  }
  insertBefore(child, next) {
    child.remove();
    const place = next ? this.childNodes.indexOf(next) : this.childNodes.length;
    const added = child instanceof Fragment ? child.childNodes.splice(0) : [child];
    for (const each of added) each.parentNode = this;
    this.childNodes.splice(place, 0, ...added);
    return child;
  }
  appendChild(child) {
    return this.insertBefore(child, null);
  }
  remove() {
    const siblings = this.parentNode?.childNodes;
    siblings?.splice(siblings.indexOf(this), 1);
    this.parentNode = null;
  }
  contains(other) {
    return other === this || this.childNodes.some((child) => child.contains(other));
  }
  cloneNode(isDeep) {
    const clone = new this.constructor(this.tag);
    clone.nodeValue = this.nodeValue;
    if (isDeep) for (const child of this.childNodes) clone.appendChild(child.cloneNode(true));
    return clone;
  }
  addEventListener() {}
  removeEventListener() {}
}

class Fragment extends Node {}

class Element extends Node {
  #attributes = new Map();
  content = new Fragment();
  classList = { add: nothing, remove: nothing };
  style = { setProperty: nothing, removeProperty: () => "" };

  constructor(tag) {
    super();
    this.tag = tag;
  }
  /** Only the outermost element is made: nobody looks into what was given as text. */
  set innerHTML(html) {
    const [, tag] = /^\s*<([\w-]+)/.exec(html) ?? [];
    this.childNodes = tag && this.tag !== "template" ? [new Element(tag)] : [];
    if (this.tag === "template" && tag) this.content.appendChild(new Element(tag));
  }
  setAttribute(name, value) {
    this.#attributes.set(name, value);
  }
  getAttribute(name) {
    return this.#attributes.get(name) ?? null;
  }
  removeAttribute(name) {
    this.#attributes.delete(name);
  }
  getBoundingClientRect() {
    return SIZE;
  }
  focus() {}
}

/** Hears events that are dispatched to it: `window`, or a worker's scope. */
class Scope {
  #listeners = [];
  addEventListener(type, listener) {
    this.#listeners.push({ type, listener });
  }
  removeEventListener() {}
  dispatchEvent(event) {
    for (const { type, listener } of this.#listeners) if (type === event.type) listener(event);
  }
}

class Window extends Scope {}

class ResizeObserver {
  #changed;
  constructor(changed) {
    this.#changed = changed;
  }
  observe() {
    queueMicrotask(() => this.#changed([], this));
  }
}

/** An editor that takes whatever it is told. */
const EDITOR = "data:text/javascript,export const create = () => new Proxy({}, { get: () => () => '' });";

function documentOf() {
  const metas = { "kubetab-cluster": "cluster.js", "kubetab-editor": EDITOR };
  return {
    baseURI: "http://localhost/",
    body: new Element("body"),
    documentElement: new Element("html"),
    createElement: (tag) => new Element(tag),
    createElementNS: (_, tag) => new Element(tag),
    createTextNode: (text) => Object.assign(new Node(), { nodeValue: text }),
    createComment: (text) => Object.assign(new Node(), { nodeValue: text }),
    getElementById: () => null,
    querySelector(selector) {
      const [, name] = /^meta\[name="?([\w-]+)"?\]$/.exec(selector) ?? [];
      const content = metas[name];
      return content ? Object.assign(new Element("meta"), { content, getAttribute: () => content }) : null;
    },
  };
}

function storage() {
  const kept = new Map();
  return { getItem: (name) => kept.get(name) ?? null, setItem: (name, text) => kept.set(name, text) };
}

/** What the page finds. `kept` is what the browser kept of its last visit, as `localStorage`. */
export function windowOf(clock, Worker, kept = storage()) {
  const world = worldOf(clock);
  const window = Object.assign(new Window(), world, {
    document: documentOf(),
    localStorage: kept,
    location: { hash: "", search: "", pathname: "/" },
    history: { replaceState: nothing },
    navigator: { language: "en", userAgent: "" },
    matchMedia: () => ({ matches: false, addEventListener: nothing }),
    requestAnimationFrame: (task) => clock.after(FRAME_MS, () => task(clock.now)),
  });
  window.window = window.self = window;
  return { ...world, ...window, self: window, window, globalThis: window, Window, Node, Element, ShadowRoot: class {}, ResizeObserver, Worker };
}

/** What the worker finds; `heard` hears what it says. */
export function workerScopeOf(clock, heard) {
  const world = worldOf(clock);
  const scope = Object.assign(new Scope(), world, { onmessage: null, postMessage: heard });
  return { ...world, self: scope, globalThis: scope, window: undefined };
}
