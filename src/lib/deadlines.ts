import type { Clock } from './clock.ts';
import { SlotSet } from './slot-set.ts';

/** What ends at a deadline, unless it is over before. */
export interface Expiring {
  /** A moment on the clock. */
  readonly deadline: number;
  /** May be called again as long as it is not over: then it does nothing. */
  expire(): void;
}

/**
 * Deadlines of many things that are under way, with one timer for all: a timer for each would cost more than most of
 * them take. It is set for the next deadline, and looks through all of them when it runs.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #entries = new SlotSet<Expiring>();
  #lookAt = Number.POSITIVE_INFINITY;
  #cancelTimer = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Has an entry expire at its deadline, or up to a millisecond before. Returns its slot, by which it is to be
   * deleted, whether it has expired or not.
   */
  add(entry: Expiring): number {
    if (entry.deadline < this.#lookAt) this.#lookNextAt(entry.deadline);
    return this.#entries.add(entry);
  }

  /** To be called once, when it is over. */
  delete(slot: number): void {
    this.#entries.delete(slot);
    if (this.#entries.size === 0) this.#lookNextAt(Number.POSITIVE_INFINITY);
  }

  #lookNextAt(moment: number): void {
    this.#cancelTimer();
    this.#lookAt = moment;
    if (moment === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#clock.after(moment - this.#clock.now(), () => this.#look());
  }

  #look(): void {
    const dueBefore = this.#clock.now() + TIMER_PRECISION_MS;
    let next = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#entries) {
      if (deadline >= dueBefore) next = Math.min(next, deadline);
    }
    this.#lookNextAt(next);
    // One that expires may end others.
    for (const entry of this.#entries) if (entry.deadline < dueBefore) entry.expire();
  }
}

/** A timer runs so much too early at most: Node cuts off what is less. */
const TIMER_PRECISION_MS = 1;
