import { bytesPerCharacter } from '../lib/json-size.ts';
import { encodingOf } from '../lib/long-text.ts';

/** The last answer about a batch as it came: it is parsed when somebody asks again. */
export interface TextEntry {
  readonly text: string;
  readonly fetchedAt: Date;
  /** Bytes that it takes in memory at most, once it is parsed. */
  readonly size: number;
  /** Bytes that its `data` and `request` take at most when they are written out as JSON. */
  readonly jsonBytes: number;
  /** Until when it may be served, on the clock. */
  readonly freshUntil: number;
  /** Until when it may be served when the upstream fails. */
  readonly staleUntil: number;
}

const BLOCK_BYTES = 256 * 1024;
const MAX_BLOCKS = 64;

/** Where an entry has what, in bytes from its place, which is a multiple of 8. */
const LENGTH = 0;
const BYTES_PER_CHARACTER = 8;
const FETCHED_AT = 16;
const SIZE = 24;
const JSON_BYTES = 32;
const FRESH_UNTIL = 40;
const STALE_UNTIL = 48;
const TEXT = 56;

/**
 * Entries outside of V8's heap. There they are most of what a request leaves behind: moved twice, and a reason to
 * collect all of the heap, again and again. Here a collection does not look at them. They are written one behind the
 * other into 64 blocks of 256 KiB, and a block is written to again when no entry is left in it: most are deleted in the
 * order in which they came.
 */
export class TextEntries {
  /** What was never written to takes no memory. */
  readonly #memory = new ArrayBuffer(MAX_BLOCKS * BLOCK_BYTES);
  readonly #bytes = Buffer.from(this.#memory);
  readonly #numbers = new DataView(this.#memory);
  /** How many entries there are in each block. */
  readonly #counts = new Uint32Array(MAX_BLOCKS);
  /** The block that is written to, and where the next entry begins. */
  #block = 0;
  #end = 0;

  /** Gives the place of the entry, a whole number; undefined where there is no room for it. */
  add(entry: TextEntry): number | undefined {
    const { text } = entry;
    const width = bytesPerCharacter(text);
    const bytes = TEXT + width * text.length;
    if (!this.#makeRoom(bytes)) return undefined;
    const place = this.#end;
    const numbers = this.#numbers;
    numbers.setFloat64(place + LENGTH, text.length);
    numbers.setFloat64(place + BYTES_PER_CHARACTER, width);
    numbers.setFloat64(place + FETCHED_AT, entry.fetchedAt.getTime());
    numbers.setFloat64(place + SIZE, entry.size);
    numbers.setFloat64(place + JSON_BYTES, entry.jsonBytes);
    numbers.setFloat64(place + FRESH_UNTIL, entry.freshUntil);
    numbers.setFloat64(place + STALE_UNTIL, entry.staleUntil);
    this.#bytes.write(text, place + TEXT, encodingOf(width));
    this.#count(place, 1);
    this.#end = place + Math.ceil(bytes / 8) * 8;
    return place;
  }

  /** Whether there are so many bytes where the next entry begins. */
  #makeRoom(bytes: number): boolean {
    if (this.#end + bytes <= (this.#block + 1) * BLOCK_BYTES) return true;
    if (bytes > BLOCK_BYTES) return false;
    // The first of them, so that few are ever written to.
    const empty = this.#counts.indexOf(0);
    if (empty === -1) return false;
    this.#block = empty;
    this.#end = empty * BLOCK_BYTES;
    return true;
  }

  get(place: number): TextEntry {
    const numbers = this.#numbers;
    const width = numbers.getFloat64(place + BYTES_PER_CHARACTER);
    const begin = place + TEXT;
    const end = begin + width * numbers.getFloat64(place + LENGTH);
    return {
      text: this.#bytes.toString(encodingOf(width), begin, end),
      fetchedAt: new Date(numbers.getFloat64(place + FETCHED_AT)),
      size: numbers.getFloat64(place + SIZE),
      jsonBytes: numbers.getFloat64(place + JSON_BYTES),
      freshUntil: numbers.getFloat64(place + FRESH_UNTIL),
      staleUntil: numbers.getFloat64(place + STALE_UNTIL),
    };
  }

  /** Bytes of the text of an entry. */
  textBytes(place: number): number {
    const numbers = this.#numbers;
    return numbers.getFloat64(place + LENGTH) * numbers.getFloat64(place + BYTES_PER_CHARACTER);
  }

  /** To be called once for an entry, whose place must not be used from then on. */
  delete(place: number): void {
    this.#count(place, -1);
  }

  #count(place: number, change: 1 | -1): void {
    const block = Math.floor(place / BLOCK_BYTES);
    this.#counts[block] = (this.#counts[block] ?? 0) + change;
  }
}
