import type { Clock } from '../lib/clock.ts';

/** A call that failed in a way that the next one may not. */
export interface RetryableFailure {
  /** Milliseconds for which the upstream asks to wait; undefined: it did not say. */
  retryAfterMs: number | undefined;
  /** How long the call took, in milliseconds. */
  tookMs: number;
}

/**
 * How many of the calls that failed are made once more: of the calls of the last 10 seconds a tenth, or 3 where
 * that is more. So an upstream that can do no more is not asked twice for everything.
 */
export interface RetryBudget {
  /** Counts a call that goes out and is no retry. */
  countCall(): void;
  hasRetry(): boolean;
  /** Counts a retry. */
  takeRetry(): void;
}

const JITTER_MS = 200;

/**
 * Milliseconds to wait before the second call; undefined: there is no time for it. It is as long as the upstream
 * asks for, and up to 200 ms more by chance (`random`, in [0, 1)): full jitter, so that those who failed
 * together do not come back together. Nothing is begun that would end after the time that remains, should it take
 * as long as the call that failed.
 */
export function delayBeforeRetryMs(
  { retryAfterMs = 0, tookMs }: RetryableFailure,
  remainingMs: number,
  random: () => number,
): number | undefined {
  const delayMs = retryAfterMs + JITTER_MS * random();
  return delayMs + tookMs < remainingMs ? delayMs : undefined;
}

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

export function createRetryBudget(clock: Clock): RetryBudget {
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

  return {
    countCall() {
      tallyNow().calls += 1;
    },
    hasRetry() {
      // Those that are older than the window go.
      tallyNow();
      const calls = tallies.reduce((sum, tally) => sum + tally.calls, 0);
      const retries = tallies.reduce((sum, tally) => sum + tally.retries, 0);
      return retries + 1 <= Math.max(AT_LEAST, SHARE_OF_CALLS * calls);
    },
    takeRetry() {
      tallyNow().retries += 1;
    },
  };
}
