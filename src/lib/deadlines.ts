import type { Clock } from './clock.ts';

/** What ends at a deadline, unless it is over before. */
export interface Expiring {
  expire(): void;
}

/**
 * Deadlines of many things that are under way, with one timer for all: a timer for each would cost more than most of
 * them take. It is set for the next deadline, and looks through all of them when it runs.
 */
export class Deadlines {
  readonly #clock: Clock;
  /** Moments on the clock. */
  readonly #deadlines = new Map<Expiring, number>();
  #lookAt = Number.POSITIVE_INFINITY;
  #cancelTimer = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Has `entry` expire at `deadline`, a moment on the clock, or up to a millisecond before. */
  add(entry: Expiring, deadline: number): void {
    this.#deadlines.set(entry, deadline);
    if (deadline < this.#lookAt) this.#lookNextAt(deadline);
  }

  /** To be called when it is over. Does nothing the second time. */
  delete(entry: Expiring): void {
    this.#deadlines.delete(entry);
    if (this.#deadlines.size === 0) this.#lookNextAt(Number.POSITIVE_INFINITY);
  }

  #lookNextAt(moment: number): void {
    this.#cancelTimer();
    this.#lookAt = moment;
    if (moment === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#clock.after(moment - this.#clock.now(), () => this.#look());
  }

  #look(): void {
    const dueBefore = this.#clock.now() + TIMER_PRECISION_MS;
    const due: Expiring[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [entry, deadline] of this.#deadlines) {
      if (deadline < dueBefore) due.push(entry);
      else if (deadline < next) next = deadline;
    }
    this.#lookNextAt(next);
    for (const entry of due) {
      // One that expires may end others.
      if (this.#deadlines.delete(entry)) entry.expire();
    }
  }
}

/** A timer runs so much too early at most: Node cuts off what is less. */
const TIMER_PRECISION_MS = 1;
