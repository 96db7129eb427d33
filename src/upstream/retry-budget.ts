import type { Clock } from '../lib/clock.ts';

/** A call that failed in a way that the next one may not. */
interface RetryableFailure {
  /** Milliseconds for which the upstream asks to wait; undefined: it did not say. */
  retryAfterMs: number | undefined;
  /** How long the call took, in milliseconds. */
  tookMs: number;
}

/**
 * Whether a call that failed is made once more. Retries have a budget: of the calls of the last 10 seconds
 * a tenth, or 3 where that is more. So an upstream that can do no more is not asked twice for everything.
 */
export interface RetryBudget {
  /** Counts a call that goes out and is no retry. */
  countCall(): void;
  /**
   * Milliseconds to wait before the second call; undefined: there is none. It is as long as the upstream
   * asks for, and up to 200 ms more by chance: full jitter, so that those who failed together do not
   * come back together. Nothing is begun that would end after the time that remains, should it take as
   * long as the call that failed. Takes from the budget.
   */
  delayMs(failure: RetryableFailure, remainingMs: number): number | undefined;
}

interface RetryBudgetOptions {
  clock: Clock;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

const JITTER_MS = 200;

const WINDOW_S = 10;
const SHARE_OF_CALLS = 0.1;
/** Where there is next to no traffic, a tenth of it would be nothing. */
const AT_LEAST = 3;

/** What happened in one second. */
interface Tally {
  second: number;
  calls: number;
  retries: number;
}

export function createRetryBudget({ clock, random }: RetryBudgetOptions): RetryBudget {
  /** The seconds of the window in which there was anything, the oldest first. */
  const tallies: Tally[] = [];

  function tallyNow(): Tally {
    const second = Math.floor(clock.now() / 1000);
    const last = tallies.at(-1);
    if (last?.second === second) return last;
    const begun = { second, calls: 0, retries: 0 };
    tallies.push(begun);
    while (tallies[0] !== undefined && tallies[0].second <= second - WINDOW_S) tallies.shift();
    return begun;
  }

  function takeRetry(): boolean {
    const now = tallyNow();
    const calls = tallies.reduce((sum, tally) => sum + tally.calls, 0);
    const retries = tallies.reduce((sum, tally) => sum + tally.retries, 0);
    if (retries + 1 > Math.max(AT_LEAST, SHARE_OF_CALLS * calls)) return false;
    now.retries += 1;
    return true;
  }

  return {
    countCall() {
      tallyNow().calls += 1;
    },
    delayMs({ retryAfterMs = 0, tookMs }, remainingMs) {
      const delayMs = retryAfterMs + JITTER_MS * random();
      return delayMs + tookMs < remainingMs && takeRetry() ? delayMs : undefined;
    },
  };
}
