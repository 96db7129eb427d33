import type { CallObserver, StatusObserver } from '../core/request-trace.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { untilAborted } from '../lib/abort.ts';
import type { CancelSignal } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import { createRefresher } from '../lib/refresher.ts';
import type { Grant, GrantedToken } from './client-credentials.ts';
import { TokenError } from './errors.ts';

/** One access token. Two of them are the same token only if they are the same object. */
export interface AccessToken {
  readonly value: string;
  /** When it was asked for, on the clock. */
  readonly askedAt: number;
}

/** Whether requests can be made in the gateway's name. */
type TokenState = 'none yet' | 'valid' | 'expired';

/**
 * The one place that holds the gateway's access token.
 *
 * - At most one token request is under way, however many callers wait for it; a caller that leaves
 *   does not end it.
 * - A token is renewed ahead of its end: in the last 10 % of its lifetime (at most the last 60 s), at
 *   a moment drawn by chance so that instances do not renew together, by the first caller from then
 *   on, in the background; the old one serves until the new one is there.
 * - A failed request is never kept as an answer, but the next one waits: from 0.5 s, doubling up to
 *   30 s, longer if the endpoint asks for it. Until then callers without a token fail at once, with
 *   `retryAfterMs`.
 * - Lifetimes are counted on the monotonic clock, from when the token was asked for.
 */
export interface TokenCache {
  /** The token, where there is one that needs not be renewed yet: then nobody waits. */
  current(): AccessToken | undefined;
  /**
   * A token that is not expired. `cause` observes whoever needs it. Rejects with a {@link TokenError}, or with the reason
   * of `signal`.
   */
  get(signal: CancelSignal, cause?: StatusObserver): Promise<AccessToken>;
  /**
   * What to use instead of `refused`, a token that the upstream did not accept: a newer one if there
   * is one, else a new one, asked for once for all who come with the same token. One refusal can be
   * about one batch: until there is a new token, the refused one serves all others. Where the upstream
   * refuses every token, no new one helps: after 20 such renewals in a row there is one in 2 s, and
   * in between, and while the endpoint is backed off from, the answer is undefined. Rejects like `get`.
   */
  replace(
    refused: AccessToken,
    signal: CancelSignal,
    cause?: StatusObserver,
  ): Promise<AccessToken | undefined>;
  /** Asks for a token if there is none and none may not be asked for yet; does not wait for it. */
  prime(): void;
  state(): TokenState;
  /** Whether there is none, and the last request for one failed. */
  isFailing(): boolean;
  /** Milliseconds for which the token is still used; 0: there is none. */
  remainingMs(): number;
}

interface TokenCacheOptions {
  grant: Grant;
  clock: Clock;
  telemetry: Telemetry;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

/** What an endpoint asks for by Retry-After is believed up to this. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Renewals of refused tokens: so many at once, and one more for each interval that passes. */
const REFUSAL_BURST = 20;
const REFUSAL_INTERVAL_MS = 2_000;

export function createTokenCache(options: TokenCacheOptions): TokenCache {
  const { grant, clock, telemetry, random } = options;
  let refusalAllowance = REFUSAL_BURST;
  let allowanceCountedAt = clock.now();

  const tokens = createRefresher({
    fetch: (cause: StatusObserver | undefined) => {
      const observed = telemetry.traceTokenCall?.(cause);
      return observed === undefined ? grant() : tellEnd(grant(), observed);
    },
    toValue({ value, lifetimeMs }, askedAt) {
      const window = Math.min(0.1 * lifetimeMs, 60_000);
      telemetry.tokenRenewed?.({ lifetimeMs });
      return {
        value,
        askedAt,
        renewFrom: askedAt + lifetimeMs - window * (0.5 + 0.5 * random()),
        // A little before its end, which it must not meet on its way.
        usableUntil: askedAt + lifetimeMs - Math.min(0.02 * lifetimeMs, 5_000),
      };
    },
    failed({ error, retryAfterMs, failures }) {
      if (!(error instanceof TokenError)) return;
      const { message: reason, requestId } = error;
      telemetry.tokenFailed?.({ reason, requestId, retryAfterMs, failures });
    },
    toError({ error, retryAfterMs }) {
      if (!(error instanceof TokenError)) return error;
      const { kind, message, requestId } = error;
      return new TokenError(kind, message, { requestId, retryAfterMs });
    },
    backoffMs: { first: 500, longest: 30_000 },
    askedWaitMs: (error) =>
      Math.min((error instanceof TokenError && error.retryAfterMs) || 0, LONGEST_RETRY_AFTER_MS),
    clock,
    random,
  });

  function takeRefusalAllowance(): boolean {
    const now = clock.now();
    const earned = (now - allowanceCountedAt) / REFUSAL_INTERVAL_MS;
    refusalAllowance = Math.min(REFUSAL_BURST, refusalAllowance + earned);
    allowanceCountedAt = now;
    if (refusalAllowance < 1) return false;
    refusalAllowance -= 1;
    return true;
  }

  async function get(signal: CancelSignal, cause?: StatusObserver): Promise<AccessToken> {
    const token = tokens.get(cause);
    return token instanceof Promise ? untilAborted(token, signal) : token;
  }

  return {
    current: tokens.current,
    get,
    async replace(refused, signal, cause) {
      if (refused !== tokens.usable()) return get(signal, cause);
      const mayAsk = () => tokens.whyNotNow() === undefined && takeRefusalAllowance();
      return tokens.isFetching() || mayAsk()
        ? untilAborted(tokens.refresh(cause), signal)
        : undefined;
    },
    prime: tokens.prime,
    state() {
      if (tokens.usable() !== undefined) return 'valid';
      return tokens.hasFetched() ? 'expired' : 'none yet';
    },
    isFailing: () => tokens.usable() === undefined && tokens.hasFailed(),
    remainingMs() {
      const token = tokens.usable();
      return token === undefined ? 0 : token.usableUntil - clock.now();
    },
  };
}

async function tellEnd(
  call: Promise<GrantedToken>,
  observed: Pick<CallObserver, 'end'>,
): Promise<GrantedToken> {
  try {
    const granted = await call;
    observed.end(undefined, 'ok');
    return granted;
  } catch (error) {
    const isRefused = error instanceof TokenError && error.kind === 'refused';
    observed.end(undefined, isRefused ? 'refused' : 'fault');
    throw error;
  }
}
