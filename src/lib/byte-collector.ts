const NONE = Buffer.alloc(0);
const SMALLEST_CAPACITY = 256;

/**
 * Bytes that come in chunks, as one Buffer. A single chunk is kept as it is; of more, the bytes are copied into a
 * buffer that doubles: what is held is at most twice as long as what came, or 256 bytes, however small the chunks.
 */
export class ByteCollector {
  readonly #maxBytes: number;
  #bytes: Buffer = NONE;
  #length = 0;
  /** Whether the buffer is the collector's own, and may be written to. */
  #isOwn = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** How long the buffer is that holds the bytes. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** False when it makes more than `maxBytes`, and from then on; nothing is held any more. */
  add(chunk: Buffer): boolean {
    const length = this.#length + chunk.length;
    if (length > this.#maxBytes) {
      this.#bytes = NONE;
      this.#length = Number.POSITIVE_INFINITY;
      return false;
    }
    if (this.#length === 0) {
      this.#bytes = chunk;
      this.#isOwn = false;
    } else {
      this.#makeRoom(length);
      chunk.copy(this.#bytes, this.#length);
    }
    this.#length = length;
    return true;
  }

  /** All bytes so far. Shares its memory with the collector. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #makeRoom(length: number): void {
    if (this.#isOwn && length <= this.#bytes.length) return;
    const capacity = Math.max(length, SMALLEST_CAPACITY, 2 * this.#length);
    // Not from Node's pool: a small buffer would hold the whole pool.
    const bytes = Buffer.allocUnsafeSlow(Math.min(capacity, this.#maxBytes));
    this.#bytes.copy(bytes, 0, 0, this.#length);
    this.#bytes = bytes;
    this.#isOwn = true;
  }
}
