import { StringDecoder } from 'node:string_decoder';

/** A shorter chunk is copied: an object for each would take more than its bytes. */
const MIN_CHUNK_BYTES = 512;
/** Such chunks are copied into blocks of this length. */
const BLOCK_BYTES = 8 * 1024;
const EMPTY = Buffer.alloc(0);

/**
 * Bytes that come in chunks, as one Buffer. Chunks are kept as they are, but for short ones behind the first, which
 * are copied together: what is held is at most a block longer than what came, and a fifth of it for objects, however
 * small the chunks.
 */
export class ByteCollector {
  readonly #maxBytes: number;
  #length = 0;
  #parts: Buffer[] = [];
  /** What is left of the block that short chunks are copied into. */
  #block = EMPTY;
  /** Bytes at its beginning that are no part yet. */
  #filled = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Objects that hold the bytes. */
  get parts(): number {
    return this.#parts.length + (this.#filled > 0 ? 1 : 0);
  }

  /** False when it makes more than `maxBytes`, and from then on; nothing is held any more. */
  add(chunk: Buffer): boolean {
    this.#length += chunk.length;
    if (this.#length > this.#maxBytes) {
      this.#parts = [];
      this.#block = EMPTY;
      this.#filled = 0;
      this.#length = Number.POSITIVE_INFINITY;
      return false;
    }
    if (this.#parts.length > 0 && chunk.length < MIN_CHUNK_BYTES) {
      this.#copy(chunk);
    } else if (chunk.length > 0) {
      this.#endPart();
      this.#parts.push(chunk);
    }
    return true;
  }

  /** All bytes so far. May share its memory with the chunks. */
  bytes(): Buffer {
    this.#endPart();
    const [first] = this.#parts;
    return first !== undefined && this.#parts.length === 1 ? first : Buffer.concat(this.#parts);
  }

  /**
   * All bytes so far, read as UTF-8. Of many parts each is read on its own: one buffer for all of a long body would be
   * new memory, which costs more than what is done with it.
   */
  text(): string {
    this.#endPart();
    const [first] = this.#parts;
    if (first !== undefined && this.#parts.length === 1) return first.toString('utf8');
    const decoder = new StringDecoder('utf8');
    return this.#parts.map((part) => decoder.write(part)).join('') + decoder.end();
  }

  #copy(chunk: Buffer): void {
    if (this.#filled + chunk.length > this.#block.length) {
      this.#endPart();
      // Not from Node's pool: a small buffer would hold the whole pool.
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    }
    chunk.copy(this.#block, this.#filled);
    this.#filled += chunk.length;
  }

  #endPart(): void {
    if (this.#filled === 0) return;
    this.#parts.push(this.#block.subarray(0, this.#filled));
    this.#block = this.#block.subarray(this.#filled);
    this.#filled = 0;
  }
}
