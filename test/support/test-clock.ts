import type { Clock } from '../../src/lib/clock.ts';

/** A clock that stands still until a test moves it. */
export class TestClock implements Clock {
  #now = 1_000;
  /** Whether the wall clock stays where it is, whatever passes. */
  wallStandsStill = false;
  #wall = Date.parse('2026-01-31T12:00:00.000Z');
  readonly #tasks = new Set<{ at: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(this.#wall);
  }

  after(ms: number, run: () => void): () => void {
    const task = { at: this.#now + ms, run };
    this.#tasks.add(task);
    return () => this.#tasks.delete(task);
  }

  /** Moves both clocks, and runs what is due. */
  advance(ms: number): void {
    this.#now += ms;
    if (!this.wallStandsStill) this.#wall += ms;
    const due = [...this.#tasks].filter((task) => task.at <= this.#now);
    for (const task of due.sort((a, b) => a.at - b.at)) {
      if (this.#tasks.delete(task)) task.run();
    }
  }

  /**
   * Lets time pass until `promise` settles: a millisecond whenever everything in this process has had
   * its turn, so that nothing on loopback looks slow. Rejects when an hour has passed.
   */
  async elapse<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const noted = promise.finally(() => {
      settled = true;
    });
    noted.catch(() => {});
    for (let ms = 0; !settled; ms += 1) {
      if (ms > 3_600_000) throw new Error('it has not settled within an hour');
      await new Promise((resolve) => setImmediate(resolve));
      if (!settled) this.advance(1);
    }
    return noted;
  }

  /** Tasks that are waiting for their time. */
  get pending(): number {
    return this.#tasks.size;
  }

  /** Moves the wall clock only, as a correction of the machine's time does. */
  stepWallClock(ms: number): void {
    this.#wall += ms;
  }
}
