/** What something takes in memory, in bytes, and how many hold it. */
export class MemoryUse {
  readonly bytes: number;
  holders = 0;

  constructor(bytes: number) {
    this.bytes = bytes;
  }
}

/** Bounds the memory of what several can hold at a time. */
export class HeldMemory {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The part of its bound that is held, 0 to 1. */
  get share(): number {
    return this.#bytes / this.#maxBytes;
  }

  /**
   * Counts something as long as somebody holds it, once however many do. False where that would be too much: then it
   * is not held, and must be let go.
   */
  hold(use: MemoryUse): boolean {
    if (use.holders === 0) {
      if (this.#bytes + use.bytes > this.#maxBytes) return false;
      this.#bytes += use.bytes;
    }
    use.holders += 1;
    return true;
  }

  /** To be called once for each time that it was held. */
  release(use: MemoryUse): void {
    use.holders -= 1;
    if (use.holders === 0) this.#bytes -= use.bytes;
  }
}
