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
  readonly #whole: HeldMemory | undefined;
  #bytes = 0;

  /** `whole`: what is held here counts there, too. */
  constructor(maxBytes: number, whole?: HeldMemory) {
    this.#maxBytes = maxBytes;
    this.#whole = whole;
  }

  /** A part of it, with a bound of its own: 0 to 1 of the whole. */
  part(share: number): HeldMemory {
    return new HeldMemory(share * this.#maxBytes, this);
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
      if (!this.#hasRoom(use.bytes)) return false;
      this.#add(use.bytes);
    }
    use.holders += 1;
    return true;
  }

  /** To be called once for each time that it was held. */
  release(use: MemoryUse): void {
    use.holders -= 1;
    if (use.holders === 0) this.#add(-use.bytes);
  }

  #hasRoom(bytes: number): boolean {
    const hasOwn = this.#bytes + bytes <= this.#maxBytes;
    return hasOwn && (this.#whole === undefined || this.#whole.#hasRoom(bytes));
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#whole !== undefined) this.#whole.#add(bytes);
  }
}
