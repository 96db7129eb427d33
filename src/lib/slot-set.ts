/**
 * A set of objects that come and go with each request. It holds nothing but what is in it. A `Set` or `Map` would: V8
 * replaces its table again and again, the old table refers to the new one and to what was in it then, and once one
 * of them has grown old, all that follow live until the next full collection, with the requests that are in them.
 */
export class SlotSet<T extends object> {
  readonly #slots: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  /** Returns its slot, by which it is deleted. */
  add(item: T): number {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = item;
    return slot;
  }

  at(slot: number): T | undefined {
    return this.#slots[slot];
  }

  /** To be called once for each slot. */
  delete(slot: number): void {
    this.#slots[slot] = undefined;
    this.#free.push(slot);
  }

  /** What was added meanwhile may be among them. */
  *[Symbol.iterator](): Generator<T> {
    for (const item of this.#slots) if (item !== undefined) yield item;
  }
}
