import { bytesPerCharacter } from './json-size.ts';

/**
 * Characters of a text that takes a millisecond or so to be parsed as JSON. With two bytes each, it is a block of its own
 * in V8's heap.
 */
export const LONG_TEXT_LENGTH = 64 * 1024;

/** Memory of that length is used again; a longer piece is new memory each time, which costs more than its use. */
const PART_LENGTH = 32 * 1024;

/** How a text is written outside of V8's heap: neither changes it, whatever is in it. */
type TextEncoding = 'latin1' | 'utf16le';

/** That of a text whose characters take so many bytes each. */
export function encodingOf(bytesPerCharacter: number): TextEncoding {
  return bytesPerCharacter === 1 ? 'latin1' : 'utf16le';
}

/**
 * A long text to be kept, in parts outside of V8's heap: there each would be a block of its own, which a collection
 * gives back while everything waits.
 */
export class LongText {
  /** Bytes that it takes. */
  readonly bytes: number;
  /** In characters. */
  readonly length: number;
  readonly #encoding: TextEncoding;
  readonly #parts: readonly Buffer[];

  constructor(text: string) {
    this.length = text.length;
    this.#encoding = encodingOf(bytesPerCharacter(text));
    this.#parts = partsOf(text).map((part) => Buffer.from(part, this.#encoding));
    this.bytes = this.#parts.reduce((bytes, part) => bytes + part.length, 0);
  }

  toString(): string {
    return this.#parts.map((part) => part.toString(this.#encoding)).join('');
  }
}

/** A text in parts, none of which ends within a character. */
export function partsOf(text: string): string[] {
  const parts: string[] = [];
  for (let begin = 0; begin < text.length; ) {
    const end = begin + PART_LENGTH;
    const isWithin = (text.charCodeAt(end - 1) & 0xfc00) === 0xd800;
    parts.push(text.slice(begin, isWithin ? end - 1 : end));
    begin = isWithin ? end - 1 : end;
  }
  return parts;
}
