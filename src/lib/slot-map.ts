import { SlotSet } from './slot-set.ts';

/** A map from texts to objects that come and go with each request: see {@link SlotSet}, in which the objects are. */
export class SlotMap<T extends object> {
  /** Old tables of this keep texts alone. */
  readonly #slots = new Map<string, number>();
  readonly #values = new SlotSet<T>();

  get(key: string): T | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#values.at(slot);
  }

  /** Puts it in the place of what was there. */
  set(key: string, value: T): void {
    this.delete(key);
    this.#slots.set(key, this.#values.add(value));
  }

  /** Does nothing where there is none. */
  delete(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#values.delete(slot);
  }
}
