import type { Telemetry } from '../core/telemetry.ts';
import { untilAborted } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Grant } from './client-credentials.ts';
import { TokenError } from './errors.ts';

/** One access token. Two of them are the same token only if they are the same object. */
export interface AccessToken {
  readonly value: string;
}

/** Whether requests can be made in the gateway's name. */
export type TokenState = 'none yet' | 'valid' | 'expired';

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
  /** A token that is not expired. Rejects with a {@link TokenError}, or with the reason of `signal`. */
  get(signal: AbortSignal): Promise<AccessToken>;
  /**
   * What to use instead of `refused`, a token that the upstream did not accept: a newer one if there
   * is one, else a new one, asked for once for all who come with the same token. Where the upstream
   * refuses every token, no new one helps: after 20 such renewals in a row there is one in 2 s, and
   * in between, and while the endpoint is backed off from, the answer is undefined and the refused
   * token is kept; also when the endpoint turns out to be down. Rejects like `get`.
   */
  replace(refused: AccessToken, signal: AbortSignal): Promise<AccessToken | undefined>;
  /** Asks for a token if there is none and none may not be asked for yet; does not wait for it. */
  prime(): void;
  state(): TokenState;
}

export interface TokenCacheOptions {
  grant: Grant;
  clock: Clock;
  telemetry: Telemetry;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 30_000;
/** What an endpoint asks for by Retry-After is believed up to this. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Renewals of refused tokens: so many at once, and one more for each interval that passes. */
const REFUSAL_BURST = 20;
const REFUSAL_INTERVAL_MS = 2_000;

interface HeldToken extends AccessToken {
  /** From here on it is renewed in the background. */
  readonly renewFrom: number;
  /** From here on it is not handed out: a little before its end, which it must not meet on its way. */
  readonly usableUntil: number;
}

export function createTokenCache({
  grant,
  clock,
  telemetry,
  random,
}: TokenCacheOptions): TokenCache {
  let held: HeldToken | undefined;
  let everHeld = false;
  let renewal: Promise<HeldToken> | undefined;
  let failures = 0;
  let lastFailure: TokenError | undefined;
  let notBefore = Number.NEGATIVE_INFINITY;
  let refusalAllowance = REFUSAL_BURST;
  let allowanceCountedAt = clock.now();

  function usable(): HeldToken | undefined {
    return held !== undefined && clock.now() < held.usableUntil ? held : undefined;
  }

  function backoffMs(failuresInARow: number): number {
    const ms = Math.min(FIRST_BACKOFF_MS * 2 ** (failuresInARow - 1), LONGEST_BACKOFF_MS);
    return ms * (0.8 + 0.2 * random());
  }

  /** Joins the token request under way, or begins one. */
  function renew(): Promise<HeldToken> {
    renewal ??= requestToken().finally(() => {
      renewal = undefined;
    });
    return renewal;
  }

  async function requestToken(): Promise<HeldToken> {
    const askedAt = clock.now();
    try {
      const { value, lifetimeMs } = await grant();
      const window = Math.min(0.1 * lifetimeMs, 60_000);
      held = {
        value,
        renewFrom: askedAt + lifetimeMs - window * (0.5 + 0.5 * random()),
        usableUntil: askedAt + lifetimeMs - Math.min(0.02 * lifetimeMs, 5_000),
      };
      notBefore = Number.NEGATIVE_INFINITY;
      everHeld = true;
      failures = 0;
      lastFailure = undefined;
      telemetry.tokenRenewed?.({ lifetimeMs });
      return held;
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      failures += 1;
      lastFailure = error;
      notBefore =
        clock.now() +
        Math.max(backoffMs(failures), Math.min(error.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS));
      const failure = postponed(error);
      const { message: reason, requestId, retryAfterMs } = failure;
      telemetry.tokenFailed?.({ reason, requestId, retryAfterMs, failures });
      throw failure;
    }
  }

  /** The failure as it is now: with the time that is left until the next try. */
  function postponed(failure: TokenError): TokenError {
    return new TokenError(failure.kind, failure.message, {
      requestId: failure.requestId,
      retryAfterMs: Math.max(0, Math.ceil(notBefore - clock.now())),
    });
  }

  function mayAsk(): boolean {
    return renewal !== undefined || clock.now() >= notBefore;
  }

  function renewInBackground(): void {
    // The failure is logged and kept for backoff where it happens; nobody waits for it here.
    if (mayAsk()) renew().catch(() => {});
  }

  function takeRefusalAllowance(): boolean {
    const now = clock.now();
    const earned = (now - allowanceCountedAt) / REFUSAL_INTERVAL_MS;
    refusalAllowance = Math.min(REFUSAL_BURST, refusalAllowance + earned);
    allowanceCountedAt = now;
    if (refusalAllowance < 1) return false;
    refusalAllowance -= 1;
    return true;
  }

  async function get(signal: AbortSignal): Promise<AccessToken> {
    const token = usable();
    if (token !== undefined) {
      if (clock.now() >= token.renewFrom) renewInBackground();
      return token;
    }
    if (!mayAsk() && lastFailure !== undefined) throw postponed(lastFailure);
    return untilAborted(renew(), signal);
  }

  return {
    get,
    async replace(refused, signal) {
      if (refused !== held || usable() === undefined) return get(signal);
      if (!mayAsk() || !takeRefusalAllowance()) return undefined;
      const doubted = held;
      held = undefined;
      const renewed = renew();
      renewed.catch((error: unknown) => {
        // One refusal must not take away a token that serves the others when there is no new one.
        if (error instanceof TokenError && error.kind === 'unavailable') held ??= doubted;
      });
      return untilAborted(renewed, signal);
    },
    prime() {
      if (usable() === undefined) renewInBackground();
    },
    state() {
      if (usable() !== undefined) return 'valid';
      return everHeld ? 'expired' : 'none yet';
    },
  };
}
