import type { Clock } from './clock.ts';

/** Moments of the clock, in milliseconds: from when a value is renewed, and until when it is handed out. */
export interface Lifetime {
  readonly renewFrom: number;
  readonly usableUntil: number;
}

/** A failure, how many there were in a row, and the milliseconds until there may be a next fetch, rounded up. */
export interface FailedFetch {
  readonly error: unknown;
  readonly failures: number;
  readonly retryAfterMs: number;
}

interface RefresherOptions<Fetched, Value extends Lifetime, Cause> {
  /** `cause`: whoever it is begun for; undefined: in the background. */
  fetch: (cause: Cause | undefined) => Promise<Fetched>;
  /** The value that is kept, of what was asked for at that moment of the clock. */
  toValue: (fetched: Fetched, askedAt: number) => Value;
  /** Called once for each failure. Must not throw. */
  failed: (failure: FailedFetch) => void;
  /** Whether a failure means that the last value is not good any more. Default: none does. */
  withdraws?: (error: unknown) => boolean;
  /** What those are rejected with who wait for a fetch that fails, or come before there may be another. */
  toError: (failure: FailedFetch) => unknown;
  /** The wait after a failure: doubles from the first to the longest, less up to 20 % by chance. */
  backoffMs: { first: number; longest: number };
  /** The wait that a failure itself asks for, in milliseconds: used where it is longer. Default: none. */
  askedWaitMs?: (error: unknown) => number;
  clock: Clock;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

/**
 * Keeps a value that is fetched. At most one fetch is under way, for all who wait; who leaves does not end
 * it. The last good value stays until there is a new one, or it is withdrawn. A failure is never kept as an answer, but the next
 * fetch waits, and who needs one meanwhile fails at once.
 */
export function createRefresher<Fetched, Value extends Lifetime, Cause = never>(
  options: RefresherOptions<Fetched, Value, Cause>,
) {
  const { backoffMs, askedWaitMs = () => 0, clock, random } = options;
  let last: Value | undefined;
  let fetching: Promise<Value> | undefined;
  let lastError: unknown;
  let failures = 0;
  let notBefore = Number.NEGATIVE_INFINITY;

  const usable = () => (last !== undefined && clock.now() < last.usableUntil ? last : undefined);

  async function fetchValue(cause: Cause | undefined): Promise<Value> {
    const askedAt = clock.now();
    try {
      last = options.toValue(await options.fetch(cause), askedAt);
      failures = 0;
      return last;
    } catch (error) {
      const longest = Math.min(backoffMs.first * 2 ** failures, backoffMs.longest);
      notBefore = clock.now() + Math.max(longest * (0.8 + 0.2 * random()), askedWaitMs(error));
      lastError = error;
      failures += 1;
      if (options.withdraws?.(error)) last = undefined;
      options.failed(failure());
      throw options.toError(failure());
    }
  }

  function failure(): FailedFetch {
    const retryAfterMs = Math.max(0, Math.ceil(notBefore - clock.now()));
    return { error: lastError, failures, retryAfterMs };
  }

  /** The failure whose wait is not over; undefined: there may be a fetch, or one is under way. */
  function whyNotNow(): FailedFetch | undefined {
    return clock.now() < notBefore ? failure() : undefined;
  }

  /** Joins the fetch under way, or begins one. Rejects with what `toError` makes of a failure. */
  function refresh(cause?: Cause): Promise<Value> {
    const reason = whyNotNow();
    if (reason !== undefined) return Promise.reject(options.toError(reason));
    fetching ??= fetchValue(cause).finally(() => {
      fetching = undefined;
    });
    return fetching;
  }

  function refreshInBackground(): void {
    if (whyNotNow() === undefined) refresh().catch(() => {});
  }

  /** The value, where it is usable and need not be renewed yet. */
  function current(): Value | undefined {
    return last !== undefined && clock.now() < Math.min(last.renewFrom, last.usableUntil)
      ? last
      : undefined;
  }

  /** The value if it is usable, renewed in the background when it is time; else that of `refresh`. */
  function get(cause?: Cause): Value | Promise<Value> {
    const value = usable();
    if (value !== undefined && clock.now() >= value.renewFrom) refreshInBackground();
    return value ?? refresh(cause);
  }

  /** Begins a fetch if there is no usable value and there may be one; does not wait for it. */
  function prime(): void {
    if (usable() === undefined) refreshInBackground();
  }

  const isFetching = () => fetching !== undefined;
  /** Whether there is a value, however old. */
  const hasFetched = () => last !== undefined;
  /** Whether the last fetch failed. */
  const hasFailed = () => failures > 0;
  return { current, get, refresh, prime, usable, isFetching, hasFetched, hasFailed, whyNotNow };
}
