import type { Clock } from '../../src/clock.ts';

/** A clock that stands still until a test moves it. */
export class TestClock implements Clock {
  #now = 1_000;
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
    this.#wall += ms;
    const due = [...this.#tasks].filter((task) => task.at <= this.#now);
    for (const task of due.sort((a, b) => a.at - b.at)) {
      if (this.#tasks.delete(task)) task.run();
    }
  }

  /** Moves the wall clock only, as a correction of the machine's time does. */
  stepWallClock(ms: number): void {
    this.#wall += ms;
  }
}
