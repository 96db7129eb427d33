/*
 * What a parsed JSON value takes in V8's heap, as upper bounds of what was measured with `node --expose-gc` (Node 26,
 * 64 bit): an empty object takes 56 bytes, an empty array 32 and one with elements 48, a string 16 and its characters
 * in words of 8, a number that is no small integer 16, and the place of each value in what holds it 8. An object whose
 * names were seen before, in this order, takes no more than that. Other names make a new hidden class, of up to 220
 * bytes a name; from some hundred members on, an object is a hash table. Names that are array indices make a list with
 * holes, of 36 places for one name.
 */
const SLOT = 8;
const OBJECT = 56;
const ARRAY = 48;
const STRING = 24;
const NUMBER = 16;
const NEW_NAME = 220;
const HASHED_NAME = 120;
const INDEX_NAME = 304;
const MAX_FAST_MEMBERS = 100;

/** Estimates, each on the safe side, in bytes. The place in what holds the value is included. */
export const JSON_BYTES = {
  object: SLOT + OBJECT,
  array: SLOT + ARRAY,
  number: SLOT + NUMBER,
  /** A number as it was written, which is an object with a text. */
  rawNumber: SLOT + OBJECT + STRING,
  string: SLOT + STRING,
  /** `true`, `false` and `null`. */
  literal: SLOT,
} as const;

/** Bytes that each character of a text takes in memory: 1, or 2 where one of them is beyond Latin-1. */
export function bytesPerCharacter(text: string): number {
  return BEYOND_LATIN_1.test(text) ? 2 : 1;
}

/** What a text takes in memory, in bytes. */
export function textBytes(text: string): number {
  return STRING + bytesPerCharacter(text) * text.length;
}

// For a text that V8 keeps as Latin-1 it knows without looking.
const BEYOND_LATIN_1 = /[^\0-\xff]/;

/** The names of an object so far, in their order, as V8 keeps them in a hidden class; undefined: not remembered. */
interface KnownShape {
  readonly size: number;
  /** The last name. */
  readonly name: string;
  /** What that takes in an object, now that it is known. */
  readonly bytes: number;
  readonly next: Map<string, KnownShape>;
  /** The one of `next` that came last: mostly it comes again. */
  lastNext: KnownShape | undefined;
}
export type JsonShape = KnownShape | undefined;

/** Bounds of what is remembered; V8 makes hash tables where more than 1,536 names follow on the same. */
const MAX_SHAPES = 4_096;
const MAX_NEXT = 256;
const MAX_NAME_LENGTH = 64;

/** Which names objects had before, in which order: so much less does the next one take that has them. */
export class JsonShapes {
  #root = createShape(undefined, '');
  #count = 0;

  /** Of an object without members. */
  get root(): JsonShape {
    return this.#root;
  }

  /** The shape of such an object with that name, where it is known. */
  known(shape: JsonShape, name: string): JsonShape {
    if (shape === undefined) return undefined;
    if (shape.lastNext?.name === name) return shape.lastNext;
    const known = shape.next.get(name);
    if (known !== undefined) shape.lastNext = known;
    return known;
  }

  /** What `name` adds to an object of that shape, in bytes at most. */
  bytesOfName(shape: JsonShape, name: string, bytesPerCharacter: number): number {
    const known = this.known(shape, name);
    if (known !== undefined) return known.bytes;
    return (bytesBesideText(shape, name) || NEW_NAME) + bytesPerCharacter * name.length;
  }

  /** The shape of such an object with that name, which from now on is known. */
  with(shape: JsonShape, name: string): JsonShape {
    const known = this.known(shape, name);
    if (known !== undefined || shape === undefined) return known;
    if (name.length > MAX_NAME_LENGTH) return undefined;
    // What is forgotten counts as new when it comes again.
    if (shape.next.size >= MAX_NEXT) {
      shape.next.clear();
      shape.lastNext = undefined;
    }
    if (this.#count >= MAX_SHAPES) this.#forget();
    this.#count += 1;
    const added = createShape(shape, name);
    shape.next.set(name, added);
    return added;
  }

  #forget(): void {
    this.#root = createShape(undefined, '');
    this.#count = 0;
  }
}

/** `before`: the shape without the name; undefined: the one that has none. */
function createShape(before: JsonShape, name: string): KnownShape {
  const size = before === undefined ? 0 : before.size + 1;
  const bytes = before === undefined ? 0 : bytesBesideText(before, name);
  return { size, name, bytes, next: new Map(), lastNext: undefined };
}

/** What a name takes in each object, beside its text; 0 where it is a part of the hidden class. */
function bytesBesideText(shape: JsonShape, name: string): number {
  if (isDigit(name.charCodeAt(0))) return INDEX_NAME;
  return shape !== undefined && shape.size > MAX_FAST_MEMBERS ? HASHED_NAME : 0;
}

const MAX_NESTING = 1_000;

/**
 * How many bytes `parseJson` makes of a text at most, without parsing it. Stops counting beyond `enough`, and at what
 * is nested 1,000 deep. For what is no JSON it is any number.
 */
export function estimateParsedBytes(text: string, enough = Number.POSITIVE_INFINITY): number {
  // A character beyond Latin-1 can be written as an escape.
  const width = text.includes('\\') ? 2 : bytesPerCharacter(text);
  // Not shared with other texts: a name that is cut out of a text keeps the whole of it.
  const shapes = new JsonShapes();
  const outer: JsonShape[] = [];
  let shape = shapes.root;
  let bytes = 0;
  let at = 0;
  while (at < text.length && bytes <= enough && outer.length < MAX_NESTING) {
    const code = text.charCodeAt(at);
    at += 1;
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (isName(text, end + 1)) {
        const name = text.slice(at, end);
        bytes += shapes.bytesOfName(shape, name, width);
        shape = shapes.with(shape, name);
      } else {
        bytes += JSON_BYTES.string + width * (end - at);
      }
      at = end + 1;
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      bytes += code === OPEN_OBJECT ? JSON_BYTES.object : JSON_BYTES.array;
      outer.push(shape);
      shape = shapes.root;
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      shape = outer.pop();
    } else if (code === MINUS || isDigit(code)) {
      const end = endOfNumber(text, at);
      bytes += numberBytes(text.slice(at - 1, end));
      at = end;
    } else if (code === T || code === F || code === N) {
      bytes += JSON_BYTES.literal;
      at += 3;
    }
  }
  return bytes;
}

const QUOTE = 0x22;
const MINUS = 0x2d;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const [T, F, N] = [0x74, 0x66, 0x6e];

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Where the quote is that ends the string whose first character is at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end !== -1 && isEscaped(text, start, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end;
}

/** Behind an odd number of backslashes. */
function isEscaped(text: string, start: number, at: number): boolean {
  let first = at;
  while (first > start && text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
  return (at - first) % 2 === 1;
}

/** Whether a colon comes next. */
function isName(text: string, after: number): boolean {
  let at = after;
  while (isBlank(text.charCodeAt(at))) at += 1;
  return text.charCodeAt(at) === COLON;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** It is kept as it was written where it may not fit into a number. */
function numberBytes(number: string): number {
  const mayBeRaw = number.length > 15 || /[eE]/.test(number);
  return mayBeRaw ? JSON_BYTES.rawNumber + number.length : JSON_BYTES.number;
}

function endOfNumber(text: string, start: number): number {
  let end = start;
  while (isPartOfNumber(text.charCodeAt(end))) end += 1;
  return end;
}

function isPartOfNumber(code: number): boolean {
  return (
    isDigit(code) || code === MINUS || code === 0x2b || code === 0x2e || (code | 0x20) === 0x65
  );
}
