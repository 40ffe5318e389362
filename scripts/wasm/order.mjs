// Puts functions into an order in which like stands beside like.
//
// What the same generic code became for different types differs in few bytes, but gzip looks back only 32 KiB. Order
// means nothing to the program, and a neighbour that is alike saves about 5 % of what is downloaded.

/** So many bytes in a row are compared at once. */
const GRAM_BYTES = 5;
/** So many of a function's grams, those with the smallest hashes, stand for it. */
const SKETCH_LENGTH = 200;
/** A gram that so many functions have says nothing about likeness. */
const COMMON = 400;

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

/** The numbers of bodies in a chain: each is followed by the one most like it that is still left, or else by the largest. */
export function byLikeness(bodies) {
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
