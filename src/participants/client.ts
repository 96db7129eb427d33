import { LRUCache } from 'lru-cache';
import { pause } from '../abort.ts';
import type { Clock } from '../clock.ts';
import { TokenError } from '../tokens/errors.ts';
import type { AccessToken, TokenCache } from '../tokens/token-cache.ts';
import type { BatchKey } from './batch-key.ts';
import type { BatchStatus } from './batch-status.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import { circuitOpen, rateLimitHeld, UpstreamError } from './errors.ts';
import type { RetryPolicy } from './retry-policy.ts';
import type { EndUser, StatusEndpoint, StatusResult } from './status-endpoint.ts';

export interface ParticipantClientOptions {
  endpoint: StatusEndpoint;
  tokens: TokenCache;
  breaker: CircuitBreaker;
  retries: RetryPolicy;
  clock: Clock;
}

/** What goes with a call. */
export interface StatusCall {
  /** Undefined: nobody is named to the upstream. */
  user: EndUser | undefined;
  signal: AbortSignal;
  /** The moment on the clock after which nobody waits any more. It moves when somebody else joins. */
  deadline(): number;
  /** Whether a Retry-After is waited for, as far as there is time: not where there is something else to answer. */
  mayWait: boolean;
  /** Called for every request that goes out to the upstream. */
  onCall(): void;
}

/** The Participant Service, as far as this gateway needs it. */
export interface ParticipantClient {
  /**
   * Asks the upstream for one batch. A token that it refuses is replaced, and the call made once more;
   * so is one that fails in passing, as far as the retry policy has it: each happens once at most. Rejects
   * with an {@link UpstreamError}, or with the reason of `signal`; at once where there is a {@link refusal}.
   */
  getBatchStatus(key: BatchKey, call: StatusCall): Promise<BatchStatus>;
  /**
   * Why no call is made for a participant type now: the circuit is open, or the upstream answered 429 for that
   * type and its Retry-After still runs. Undefined: one may be made.
   */
  refusal(participantType: string): UpstreamError | undefined;
}

/** Types for which a Retry-After is remembered; one that is forgotten costs a call. */
const MAX_HELD_TYPES = 1_000;

export function createParticipantClient(options: ParticipantClientOptions): ParticipantClient {
  const { endpoint, tokens, breaker, retries, clock } = options;

  /** By participant type, when it may be asked for again. */
  const heldUntil = new LRUCache<string, number>({ max: MAX_HELD_TYPES });

  function refusal(participantType: string): UpstreamError | undefined {
    const waitMs = breaker.waitMs();
    if (waitMs !== undefined) return circuitOpen(waitMs);
    const heldMs = Math.ceil((heldUntil.get(participantType) ?? 0) - clock.now());
    return heldMs > 0 ? rateLimitHeld(heldMs) : undefined;
  }

  function holdIfAsked(participantType: string, result: StatusResult): void {
    if (!('error' in result) || result.error.kind !== 'rate-limited') return;
    const { retryAfterMs } = result.error;
    if (retryAfterMs !== undefined) heldUntil.set(participantType, clock.now() + retryAfterMs);
  }

  return {
    refusal,
    async getBatchStatus(key, call) {
      const { signal } = call;
      const { participantType } = key;
      let calls = 0;
      let mayRenewToken = true;
      let tookMs = 0;

      function refuseIfHeld(): void {
        const reason = refusal(participantType);
        if (reason !== undefined) throw reason;
      }

      async function ask(token: AccessToken): Promise<StatusResult> {
        refuseIfHeld();
        if (calls === 0) retries.countCall();
        calls += 1;
        call.onCall();
        const begunAt = clock.now();
        const result = await breaker.execute(
          (signal) => endpoint(key, token, call.user, signal),
          signal,
        );
        tookMs = clock.now() - begunAt;
        holdIfAsked(participantType, result);
        return result;
      }

      async function attempt(): Promise<StatusResult> {
        const token = await withToken(() => tokens.get(signal));
        const result = await ask(token);
        const isRefused = 'error' in result && result.error.upstream?.status === 401;
        if (!isRefused || !mayRenewToken) return result;
        mayRenewToken = false;
        const newer = await withToken(() => tokens.replace(token, signal));
        return newer === undefined ? result : ask(newer);
      }

      refuseIfHeld();
      let result = await attempt();
      if ('error' in result && result.passing && breaker.state() === 'closed') {
        const { retryAfterMs } = result.error;
        const remainingMs = call.deadline() - clock.now();
        const delayMs =
          call.mayWait || retryAfterMs === undefined
            ? retries.delayMs({ retryAfterMs, tookMs }, remainingMs)
            : undefined;
        if (delayMs !== undefined) {
          await pause(delayMs, clock, signal);
          result = await attempt();
        }
      }
      if ('error' in result) throw result.error;
      return result.status;
    },
  };
}

async function withToken<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof TokenError ? fromTokenError(error) : error;
  }
}

function fromTokenError(error: TokenError): UpstreamError {
  const { requestId, retryAfterMs } = error;
  return error.kind === 'refused'
    ? new UpstreamError(
        'unauthenticated',
        `The gateway could not identify itself: ${error.message}.`,
        { requestId },
      )
    : new UpstreamError('token-unavailable', `The gateway has no access token: ${error.message}.`, {
        requestId,
        retryAfterMs,
      });
}
