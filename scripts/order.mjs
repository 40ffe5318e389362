// Puts the functions of a WebAssembly file into an order in which like stands beside like.
//
// What the same generic code became for different types differs in few bytes, but gzip looks back only 32 KiB. Order
// means nothing to the program, and a neighbour that is alike saves about 5 % of what is downloaded.
//
// `likenessNames` gives each function a name that sorts by its place; wasm-opt's --reorder-functions-by-name does the rest.

/** So many bytes in a row are compared at once. */
const GRAM_BYTES = 5;
/** So many of a function's grams, those with the smallest hashes, stand for it. */
const SKETCH_LENGTH = 200;
/** A gram that so many functions have says nothing about likeness. */
const COMMON = 400;

/** Reads numbers and sections of a WebAssembly file. */
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  byte() {
    return this.bytes[this.at++];
  }
  number() {
    let result = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      result += (byte & 127) * 2 ** shift;
      if (byte < 128) return result;
    }
  }
  skip(count) {
    this.at += count;
  }
}

function encode(number) {
  const bytes = [];
  do {
    bytes.push((number & 127) | (number > 127 ? 128 : 0));
    number = Math.floor(number / 128);
  } while (number > 0);
  return Buffer.from(bytes);
}

const limits = (reader) => {
  const flags = reader.number();
  reader.number();
  if (flags & 1) reader.number();
};

/** How many functions are imported; they come before the file's own. */
function importedFunctions(reader) {
  let functions = 0;
  for (let left = reader.number(); left > 0; left--) {
    reader.skip(reader.number());
    reader.skip(reader.number());
    const kind = reader.byte();
    if (kind === 0) {
      reader.number();
      functions++;
    } else if (kind === 1) {
      reader.byte();
      limits(reader);
    } else if (kind === 2) limits(reader);
    else if (kind === 3) reader.skip(2);
    else throw new Error(`an import of kind ${kind}`);
  }
  return functions;
}

function parse(bytes) {
  const reader = new Reader(bytes, 8);
  const sections = [];
  const bodies = [];
  let imported = 0;
  while (reader.at < bytes.length) {
    const start = reader.at;
    const id = reader.byte();
    const length = reader.number();
    const end = reader.at + length;
    if (id === 2) imported = importedFunctions(reader);
    if (id === 10) {
      for (let left = reader.number(); left > 0; left--) {
        const size = reader.number();
        bodies.push(bytes.subarray(reader.at, reader.at + size));
        reader.skip(size);
      }
    }
    if (id !== 0) sections.push(bytes.subarray(start, end));
    reader.at = end;
  }
  return { sections, bodies, imported };
}

function sketch(body) {
  const grams = new Set();
  for (let at = 0; at + GRAM_BYTES <= body.length; at++) {
    let hash = 2166136261;
    for (let byte = 0; byte < GRAM_BYTES; byte++) hash = Math.imul(hash ^ body[at + byte], 16777619);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
    grams.add((hash ^ (hash >>> 13)) >>> 0);
  }
  return [...grams].sort((left, right) => left - right).slice(0, SKETCH_LENGTH);
}

/** The functions in a chain: each is followed by the one most like it that is still left, or else by the largest. */
function chain(bodies) {
  const sketches = bodies.map(sketch);
  const having = new Map();
  sketches.forEach((grams, index) => {
    for (const gram of grams) {
      if (!having.has(gram)) having.set(gram, []);
      having.get(gram).push(index);
    }
  });
  const largestFirst = [...bodies.keys()].sort((left, right) => bodies[right].length - bodies[left].length);
  const left = new Set(largestFirst);
  const order = [];
  let next = largestFirst[0];
  while (left.size > 0) {
    left.delete(next);
    order.push(next);
    const shared = new Map();
    for (const gram of sketches[next]) {
      const others = having.get(gram);
      if (others.length > COMMON) continue;
      for (const other of others) if (left.has(other)) shared.set(other, (shared.get(other) ?? 0) + 1);
    }
    let best = -1;
    let likeness = 0;
    for (const [other, count] of shared) {
      const value = count / (sketches[next].length + sketches[other].length - count);
      if (value > likeness) [best, likeness] = [other, value];
    }
    next = best >= 0 ? best : largestFirst.find((index) => left.has(index));
  }
  return order;
}

/** The file with names for its functions that sort by likeness, and without any other custom section. */
export function likenessNames(bytes) {
  const { sections, bodies, imported } = parse(bytes);
  const places = new Array(bodies.length);
  chain(bodies).forEach((index, place) => (places[index] = place));
  const names = places.map((place, index) => {
    const name = Buffer.from(String(place).padStart(6, "0"));
    return Buffer.concat([encode(index + imported), encode(name.length), name]);
  });
  const map = Buffer.concat([encode(names.length), ...names]);
  const content = Buffer.concat([encode(4), Buffer.from("name"), encode(1), encode(map.length), map]);
  return Buffer.concat([bytes.subarray(0, 8), ...sections, encode(0), encode(content.length), content]);
}
