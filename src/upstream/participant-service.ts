import { LRUCache } from 'lru-cache';
import type { BatchKey } from '../core/batch-key.ts';
import { pause } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { TokenError } from '../tokens/errors.ts';
import type { AccessToken, TokenCache } from '../tokens/token-cache.ts';
import type { CircuitBreakerState } from './circuit-breaker.ts';
import type { Availability, Circuits } from './circuits.ts';
import { noConnectionInTime, rateLimitHeld, UpstreamError } from './errors.ts';
import type { CallOutcome, StatusAnswer } from './outcome.ts';
import type { EndUser, StatusCall } from './request.ts';

interface ParticipantServiceOptions {
  call: StatusCall;
  tokens: TokenCache;
  circuits: Circuits;
  clock: Clock;
}

/** One of the calls that may be made at a time. */
interface CallSlot {
  /** Gives it back. */
  leave(): void;
}

/** What goes with a request for a status. */
interface StatusRequest {
  /** Undefined: nobody is named to the upstream. */
  user: EndUser | undefined;
  signal: AbortSignal;
  /** The moment on the clock after which nobody waits any more. It moves when somebody else joins. */
  deadline(): number;
  /** Whether a Retry-After is waited for, as far as there is time: not where there is something else to answer. */
  mayWait: boolean;
  /** Waits for the slot of a call. Rejects when there is none in time. */
  enter(): CallSlot | Promise<CallSlot>;
  /** Called for every call that goes out to the upstream. */
  onCall(): void;
}

/** The Participant Service, as far as this gateway needs it: one call under its policies. */
export interface ParticipantService {
  /**
   * Asks for the status of one batch. A token that the upstream refuses is replaced, and the call made once
   * more; so is a transient failure, as far as the retry budget has it: each happens once at most. Rejects
   * with an {@link UpstreamError}, or with the reason of the signal; at once where calls are held.
   */
  getStatus(key: BatchKey, request: StatusRequest): Promise<StatusAnswer>;
  /**
   * Calls are held for a participant type while its circuit is open, or the one over all, and when the upstream
   * answered 429 for it while its Retry-After runs.
   */
  availability(participantType: string): Availability;
  /** `closed` where both the circuit of the type and the one over all are. */
  circuit(participantType: string): CircuitBreakerState;
  /** What fails, in a few words for the operator; undefined: no circuit is open. */
  problem(): string | undefined;
}

/** Types of which something is remembered; one that is forgotten costs a call. */
const MAX_TYPES = 1_000;
/** Of the last call in the mean of those before. */
const WEIGHT_OF_LAST = 0.2;

export function createParticipantService(options: ParticipantServiceOptions): ParticipantService {
  const { call, tokens, circuits, clock } = options;
  /** By participant type, when it may be asked for again. */
  const heldUntil = new LRUCache<string, number>({ max: MAX_TYPES });
  /** By participant type, how long a call takes: a call that waited is not begun where nobody could wait so long. */
  const usualMsOf = new LRUCache<string, number>({ max: MAX_TYPES });

  function availability(participantType: string): Availability {
    const ofCircuits = circuits.availability(participantType);
    if (ofCircuits.kind === 'held') return ofCircuits;
    const heldMs = Math.ceil((heldUntil.get(participantType) ?? 0) - clock.now());
    return heldMs > 0 ? { kind: 'held', error: rateLimitHeld(heldMs) } : ofCircuits;
  }

  function holdIfAsked(participantType: string, outcome: CallOutcome): void {
    if (outcome.kind !== 'refused' || outcome.error.kind !== 'rate-limited') return;
    const until = clock.now() + (outcome.error.retryAfterMs ?? 0);
    // An answer that was longer on its way must not shorten it.
    if (until > (heldUntil.get(participantType) ?? 0)) heldUntil.set(participantType, until);
  }

  return {
    availability,
    circuit: (participantType) => circuits.state(participantType),
    problem: () => circuits.problem(),
    async getStatus(key, request) {
      const { signal } = request;
      const { participantType } = key;
      let calls = 0;
      let mayRenewToken = true;
      let tookMs = 0;

      function throwIfHeld(): void {
        const now = availability(participantType);
        if (now.kind === 'held') throw now.error;
      }

      function throwIfTooLate(): void {
        const usualMs = usualMsOf.get(participantType) ?? 0;
        if (request.deadline() - clock.now() < usualMs) throw noConnectionInTime();
      }

      async function ask(token: AccessToken): Promise<CallOutcome> {
        throwIfHeld();
        const entering = request.enter();
        const slot = entering instanceof Promise ? await entering : entering;
        try {
          // The circuit may have opened meanwhile, or the time be up before there is an answer.
          throwIfHeld();
          if (entering !== slot) throwIfTooLate();
          if (calls === 0) circuits.countCall(participantType);
          calls += 1;
          request.onCall();
          const begunAt = clock.now();
          const outcome = await circuits.execute(
            key,
            (callSignal) => call(key, token, request.user, callSignal),
            signal,
          );
          tookMs = clock.now() - begunAt;
          if (outcome.kind === 'ok') {
            const before = usualMsOf.get(participantType) ?? tookMs;
            usualMsOf.set(participantType, before + WEIGHT_OF_LAST * (tookMs - before));
          }
          holdIfAsked(participantType, outcome);
          return outcome;
        } finally {
          slot.leave();
        }
      }

      async function attempt(): Promise<CallOutcome> {
        const token = await withToken(() => tokens.get(signal));
        const outcome = await ask(token);
        const isRefused = outcome.kind === 'refused' && outcome.error.upstream?.status === 401;
        if (!isRefused || !mayRenewToken) return outcome;
        mayRenewToken = false;
        const newer = await withToken(() => tokens.replace(token, signal));
        return newer === undefined ? outcome : ask(newer);
      }

      /** Milliseconds until the second attempt; undefined: there is none. */
      function retryDelayMs(outcome: CallOutcome): number | undefined {
        if (outcome.kind === 'ok' || circuits.state(participantType) !== 'closed') return undefined;
        const { kind, retryAfterMs } = outcome.error;
        const mayPass =
          outcome.kind === 'transient' ||
          outcome.kind === 'foreign' ||
          (kind === 'rate-limited' && retryAfterMs !== undefined);
        if (!mayPass || (retryAfterMs !== undefined && !request.mayWait)) return undefined;
        const remainingMs = request.deadline() - clock.now();
        return circuits.retryDelayMs(participantType, { retryAfterMs, tookMs }, remainingMs);
      }

      throwIfHeld();
      let outcome = await attempt();
      const delayMs = retryDelayMs(outcome);
      if (delayMs !== undefined) {
        await pause(delayMs, clock, signal);
        outcome = await attempt();
      }
      if (outcome.kind !== 'ok') throw outcome.error;
      return outcome.answer;
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
