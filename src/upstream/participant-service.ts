import { LRUCache } from 'lru-cache';
import type { BatchKey } from '../core/batch-key.ts';
import type { StatusObserver, WaitReason } from '../core/request-trace.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { pause } from '../lib/abort.ts';
import { type CancelSignal, neverAborted } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import { upTo } from '../lib/entry-bound.ts';
import { TokenError } from '../tokens/errors.ts';
import type { AccessToken, TokenCache } from '../tokens/token-cache.ts';
import type { CircuitBreakerState } from './circuit-breaker.ts';
import type { Availability, CircuitState, Circuits } from './circuits.ts';
import { noConnectionInTime, rateLimitHeld, UpstreamError } from './errors.ts';
import type { CallOutcome, StatusAnswer } from './outcome.ts';
import type { EndUser, StatusCall } from './request.ts';

interface ParticipantServiceOptions {
  call: StatusCall;
  tokens: TokenCache;
  circuits: Circuits;
  clock: Clock;
  telemetry: Telemetry;
}

/** One of the calls that may be made at a time. */
interface CallSlot {
  /** Gives it back. */
  leave(): void;
}

/** What goes with a request for a status. */
export interface StatusRequest {
  /** Undefined: nobody is named to the upstream. */
  user: EndUser | undefined;
  signal: CancelSignal;
  /** The moment on the clock after which nobody waits any more. It moves when somebody else joins. */
  deadline(): number;
  /** Whether a Retry-After is waited for, as far as there is time: not where there is something else to answer. */
  mayWait: boolean;
  /** Is told of calls, and of what they wait for; undefined: nobody is. */
  observer: StatusObserver | undefined;
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
  /** Every circuit that there is. */
  circuits(): readonly CircuitState[];
  /** What fails, in a few words for the operator; undefined: no circuit is open. */
  problem(): string | undefined;
}

/** Types of which something is remembered; one that is forgotten costs a call. */
const MAX_TYPES = 1_000;
/** Of the last call in the mean of those before. */
const WEIGHT_OF_LAST = 0.2;

export function createParticipantService(options: ParticipantServiceOptions): ParticipantService {
  const { circuits, clock } = options;
  const pace = new Pace(clock);

  function availability(participantType: string): Availability {
    const ofCircuits = circuits.availability(participantType);
    if (ofCircuits.kind === 'held') return ofCircuits;
    const heldMs = pace.heldMs(participantType);
    return heldMs > 0 ? { kind: 'held', error: rateLimitHeld(heldMs) } : ofCircuits;
  }

  const ofInquiries = { ...options, pace, availability };
  return {
    availability,
    circuit: (participantType) => circuits.state(participantType),
    circuits: () => circuits.states(),
    problem: () => circuits.problem(),
    getStatus: (key, request) => new Inquiry(ofInquiries, key, request).answer(),
  };
}

/** What is known of the pace of calls for a participant type. */
class Pace {
  readonly #clock: Clock;
  /** By participant type, when it may be asked for again. */
  readonly #heldUntil = new LRUCache<string, number>(upTo(MAX_TYPES));
  /** By participant type, how long a call takes: one that waited is not begun where nobody could wait so long. */
  readonly #usual = new LRUCache<string, { ms: number }>(upTo(MAX_TYPES));

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until a type may be asked for again, as its last 429 said; 0: now. */
  heldMs(participantType: string): number {
    // Most upstreams never answer 429.
    if (this.#heldUntil.size === 0) return 0;
    const until = this.#heldUntil.get(participantType) ?? 0;
    return Math.max(0, Math.ceil(until - this.#clock.now()));
  }

  /** An answer that was longer on its way does not shorten it. */
  hold(participantType: string, forMs: number): void {
    const until = this.#clock.now() + forMs;
    if (until > (this.#heldUntil.get(participantType) ?? 0)) {
      this.#heldUntil.set(participantType, until);
    }
  }

  /** How long a call for a type takes, in milliseconds; 0 where nothing is known. */
  usualMs(participantType: string): number {
    return this.#usual.get(participantType)?.ms ?? 0;
  }

  addCall(participantType: string, tookMs: number): void {
    const usual = this.#usual.get(participantType);
    if (usual === undefined) this.#usual.set(participantType, { ms: tookMs });
    else usual.ms += WEIGHT_OF_LAST * (tookMs - usual.ms);
  }
}

interface InquiryOptions extends ParticipantServiceOptions {
  pace: Pace;
  availability(participantType: string): Availability;
}

/** One status that is asked for, in up to four calls. */
class Inquiry {
  readonly #options: InquiryOptions;
  readonly #key: BatchKey;
  readonly #request: StatusRequest;
  #calls = 0;
  #mayRenewToken = true;
  /** How long the last call took. */
  #tookMs = 0;

  constructor(options: InquiryOptions, key: BatchKey, request: StatusRequest) {
    this.#options = options;
    this.#key = key;
    this.#request = request;
  }

  async answer(): Promise<StatusAnswer> {
    let token = this.#options.tokens.current();
    if (token === undefined) {
      // No token is asked for in vain.
      this.#throwIfHeld();
      token = await this.#getToken();
    }
    const outcome = await this.#ask(token);
    return outcome.kind === 'ok' ? outcome.answer : this.#recover(token, outcome);
  }

  #getToken(): Promise<AccessToken> {
    const { signal, observer } = this.#request;
    return this.#timed(
      'token',
      withToken(() => this.#options.tokens.get(signal, observer)),
    );
  }

  /** The same, whose time the observer is told. */
  #timed<T>(reason: WaitReason, wait: Promise<T>): Promise<T> {
    const { observer } = this.#request;
    if (observer === undefined) return wait;
    const { clock } = this.#options;
    const begunAt = clock.now();
    return wait.finally(() => observer.waited(this.#key, reason, clock.now() - begunAt));
  }

  /** After a call with that token that failed. */
  async #recover(token: AccessToken, failed: CallOutcome): Promise<StatusAnswer> {
    let outcome = await this.#renewIfRefused(token, failed);
    const delayMs = this.#retryDelayMs(outcome);
    if (delayMs !== undefined) {
      await this.#timed('retry', pause(delayMs, this.#options.clock, this.#request.signal));
      const secondToken = this.#options.tokens.current() ?? (await this.#getToken());
      outcome = await this.#renewIfRefused(secondToken, await this.#ask(secondToken));
    }
    if (outcome.kind !== 'ok') throw outcome.error;
    return outcome.answer;
  }

  /** The outcome of a call with a new token where the old one was refused; else the same. */
  async #renewIfRefused(token: AccessToken, outcome: CallOutcome): Promise<CallOutcome> {
    const isRefused = outcome.kind === 'refused' && outcome.error.upstream?.status === 401;
    if (!isRefused || !this.#mayRenewToken) return outcome;
    this.#mayRenewToken = false;
    const { tokens } = this.#options;
    const { signal, observer } = this.#request;
    const newer = await this.#timed(
      'token',
      withToken(() => tokens.replace(token, signal, observer)),
    );
    return newer === undefined ? outcome : this.#ask(newer);
  }

  #ask(token: AccessToken): Promise<CallOutcome> {
    this.#throwIfHeld();
    const entering = this.#request.enter();
    return entering instanceof Promise
      ? this.#askAfter(entering, token)
      : this.#call(token, entering);
  }

  async #askAfter(entering: Promise<CallSlot>, token: AccessToken): Promise<CallOutcome> {
    const slot = await this.#timed('slot', entering);
    try {
      // The circuit may have opened meanwhile, or the time be up before there is an answer.
      this.#throwIfHeld();
      this.#throwIfTooLate();
    } catch (error) {
      slot.leave();
      throw error;
    }
    return this.#call(token, slot);
  }

  #call(token: AccessToken, slot: CallSlot): Promise<CallOutcome> {
    const { call, circuits, clock, telemetry } = this.#options;
    const { user, signal, observer } = this.#request;
    const isRetry = this.#calls > 0;
    if (!isRetry) circuits.countCall(this.#key.participantType);
    this.#calls += 1;
    this.#request.onCall();
    const begunAt = clock.now();
    const judged = circuits.begin(this.#key);
    const end = (outcome: CallOutcome | undefined) => {
      judged.end(outcome);
      slot.leave();
      this.#tookMs = clock.now() - begunAt;
      telemetry.upstreamCall?.({
        participantType: this.#key.participantType,
        outcome: outcome?.kind ?? 'aborted',
        isRetry,
        durationMs: this.#tookMs,
      });
    };
    const until = judged.decides ? neverAborted : signal;
    return call(this.#key, token, user, until, observer).then(
      (outcome) => {
        end(outcome);
        this.#learn(outcome);
        return outcome;
      },
      (error: unknown) => {
        end(undefined);
        throw error;
      },
    );
  }

  #learn(outcome: CallOutcome): void {
    const { pace } = this.#options;
    const { participantType } = this.#key;
    if (outcome.kind === 'ok') pace.addCall(participantType, this.#tookMs);
    if (outcome.kind === 'refused' && outcome.error.kind === 'rate-limited') {
      pace.hold(participantType, outcome.error.retryAfterMs ?? 0);
    }
  }

  /** Milliseconds until the second attempt; undefined: there is none. */
  #retryDelayMs(outcome: CallOutcome): number | undefined {
    if (outcome.kind === 'ok') return undefined;
    const { circuits, clock } = this.#options;
    const { participantType } = this.#key;
    if (circuits.state(participantType) !== 'closed') return undefined;
    const { kind, retryAfterMs } = outcome.error;
    const mayPass =
      outcome.kind === 'transient' ||
      outcome.kind === 'foreign' ||
      (kind === 'rate-limited' && retryAfterMs !== undefined);
    if (!mayPass || (retryAfterMs !== undefined && !this.#request.mayWait)) return undefined;
    const remainingMs = this.#request.deadline() - clock.now();
    return circuits.retryDelayMs(
      participantType,
      { retryAfterMs, tookMs: this.#tookMs },
      remainingMs,
    );
  }

  #throwIfHeld(): void {
    const now = this.#options.availability(this.#key.participantType);
    if (now.kind === 'held') throw now.error;
  }

  #throwIfTooLate(): void {
    const usualMs = this.#options.pace.usualMs(this.#key.participantType);
    const remainingMs = this.#request.deadline() - this.#options.clock.now();
    if (remainingMs < usualMs) throw noConnectionInTime();
  }
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
