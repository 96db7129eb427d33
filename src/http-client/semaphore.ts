/** What is bounded: it is begun when there is a permit for it. */
export interface Work {
  begin(): void;
}

/**
 * Bounds how many work at a time; others wait in order.
 *
 * The pool of undici has a queue, too. It is not used: what waits in there would go out over connections
 * that are to be renewed, and look as if it had been sent.
 */
export class Semaphore {
  #free: number;
  readonly #waiting = new Set<Work>();

  constructor(permits: number) {
    this.#free = permits;
  }

  /** Begins it now, or when there is a permit. */
  enter(work: Work): void {
    if (this.#free === 0) {
      this.#waiting.add(work);
      return;
    }
    this.#free -= 1;
    work.begin();
  }

  /** Gives its permit to who has waited longest, or ends its wait for one. To be called once. */
  leave(work: Work): void {
    if (this.#waiting.delete(work)) return;
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    // Not from here: should it fail at once, the one after it would begin within, and so on.
    queueMicrotask(() => next.begin());
  }
}
