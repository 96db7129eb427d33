import type { Clock } from '../lib/clock.ts';

const INTERVAL_MS = 60_000;
const MAX_NAMES = 100;

/** Bounds the lines about what goes on for long, such as a setting that is wrong: whoever causes it must not fill the log. */
export class RepeatLimit {
  readonly #clock: Clock;
  /** When each name was told, the oldest first. */
  readonly #toldAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a line about a name may be written: one in a minute, for 100 names. */
  admits(name: string): boolean {
    const now = this.#clock.now();
    for (const [told, at] of this.#toldAt) {
      if (now - at < INTERVAL_MS) break;
      this.#toldAt.delete(told);
    }
    if (this.#toldAt.has(name) || this.#toldAt.size >= MAX_NAMES) return false;
    this.#toldAt.set(name, now);
    return true;
  }
}
