// Numbers and bytes as a WebAssembly file holds them.

/** Reads one number after the other. */
export class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  byte() {
    return this.bytes[this.at++];
  }
  /** An unsigned LEB128 number, up to what a double holds exactly. */
  number() {
    let result = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      result += (byte & 127) * 2 ** shift;
      if (byte < 128) return result;
    }
  }
  /** Passes over a LEB128 number of any sign and width. */
  skipNumber() {
    while (this.byte() >= 128);
  }
  skip(count) {
    this.at += count;
  }
  /** So many bytes. */
  take(count) {
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
  /** A length and that many bytes. */
  sized() {
    return this.take(this.number());
  }
  name() {
    return Buffer.from(this.sized()).toString();
  }
  /** A count and that many items. */
  list(readItem) {
    return Array.from({ length: this.number() }, () => readItem(this));
  }
  get isAtEnd() {
    return this.at >= this.bytes.length;
  }
}

/** An unsigned LEB128 number as an array of bytes. */
export function unsigned(number) {
  const bytes = [];
  do {
    const rest = Math.floor(number / 128);
    bytes.push((number % 128) | (rest > 0 ? 128 : 0));
    number = rest;
  } while (number > 0);
  return bytes;
}

/** A signed LEB128 number of at most 32 bits as an array of bytes. */
export function signed(number) {
  const bytes = [];
  for (;;) {
    const low = number & 127;
    number >>= 7;
    const isLast = number === (low & 64 ? -1 : 0);
    bytes.push(isLast ? low : low | 128);
    if (isLast) return bytes;
  }
}

/** Bytes with their length before them. */
export const sized = (bytes) => Buffer.concat([Buffer.from(unsigned(bytes.length)), bytes]);

/** A name with its length before it. */
export const name = (text) => sized(Buffer.from(text));

/** Items, each already bytes, with their count before them. */
export const list = (items) => Buffer.concat([Buffer.from(unsigned(items.length)), ...items.map((item) => Buffer.from(item))]);
