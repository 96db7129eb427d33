import {
  CircuitState,
  ConsecutiveBreaker,
  CountBreaker,
  circuitBreaker,
  handleAll,
  type IBreaker,
} from 'cockatiel';
import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import type { CallOutcome } from './outcome.ts';

/** `half-open`: one call is under way that decides. */
export type CircuitBreakerState = 'closed' | 'open' | 'half-open';

/**
 * Keeps calls from an upstream that fails. It opens after 10 faults in a row, or when more than half of
 * the last 50 calls were faults; then no call is made for a second or a little more, then a single one,
 * whose outcome closes it or keeps it open for another second.
 */
export interface CircuitBreaker {
  /** Milliseconds until a call may be made, as far as is known; undefined: one may be made now. */
  waitMs(): number | undefined;
  /**
   * Makes a call, and judges it by its result. One that rejects, as it does when its signal aborts, is not
   * judged, nor is one that is inconclusive. But the call that decides gets a signal that never aborts,
   * since whoever leaves, all the others need its outcome, and only an answer of the upstream closes the
   * circuit. Not to be used while there is a wait.
   */
  execute(
    call: (signal: AbortSignal) => Promise<CallOutcome>,
    signal: AbortSignal,
  ): Promise<CallOutcome>;
  state(): CircuitBreakerState;
}

interface CircuitBreakerOptions {
  clock: Clock;
  telemetry: Telemetry;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

const FAULTS_IN_A_ROW = 10;
/** A fifth of calls that fail, by chance, make it one in many millions that it opens. */
const FAULTS_OF_LAST = { threshold: 0.5, size: 50, minimumNumberOfCalls: 50 };

const WAIT_MS = 1_000;
/** Instances that opened together do not call together. */
const WAIT_JITTER_MS = 250;

const never = new AbortController().signal;

export function createCircuitBreaker({
  clock,
  telemetry,
  random,
}: CircuitBreakerOptions): CircuitBreaker {
  /** How often it opened, or stayed open. */
  let openings = 0;
  let openSince: number | undefined;
  let callFrom = 0;

  const policy = circuitBreaker(
    handleAll.orWhenResult((result) => !isGood(result)),
    {
      breaker: eitherOf(new ConsecutiveBreaker(FAULTS_IN_A_ROW), new CountBreaker(FAULTS_OF_LAST)),
      // cockatiel waits by the wall clock, which can step by an hour: so it does not, and this does.
      halfOpenAfter: Number.NEGATIVE_INFINITY,
    },
  );
  policy.onBreak((reason) => {
    openings += 1;
    callFrom = clock.now() + WAIT_MS + WAIT_JITTER_MS * random();
    // Not each time that it stays open.
    if (openSince !== undefined) return;
    openSince = clock.now();
    const fault = 'value' in reason ? faultOf(reason.value) : undefined;
    telemetry.circuitOpened?.({ fault });
  });
  policy.onReset(() => {
    const openMs = openSince === undefined ? 0 : Math.round(clock.now() - openSince);
    openSince = undefined;
    telemetry.circuitClosed?.({ openMs });
  });

  return {
    waitMs() {
      if (policy.state === CircuitState.Closed) return undefined;
      // Others do not wait for the call that decides.
      if (policy.state === CircuitState.HalfOpen) return WAIT_MS;
      const ms = Math.ceil(callFrom - clock.now());
      return ms > 0 ? ms : undefined;
    },
    async execute(call, signal) {
      if (policy.state !== CircuitState.Closed) return policy.execute(() => call(never));
      const before = openings;
      const result = await call(signal);
      // What was begun before it opened tells nothing of the upstream as it is now.
      if (before === openings && result.kind !== 'inconclusive') await policy.execute(() => result);
      return result;
    },
    state() {
      if (policy.state === CircuitState.Closed) return 'closed';
      return policy.state === CircuitState.HalfOpen ? 'half-open' : 'open';
    },
  };
}

/** A call that is inconclusive does not close the circuit, when it is the one that decides. */
function isGood(result: unknown): boolean {
  return isOutcome(result) && (result.kind === 'ok' || result.kind === 'refused');
}

function faultOf(result: unknown): string | undefined {
  return isOutcome(result) && 'fault' in result ? result.fault : undefined;
}

/** cockatiel hands on what the call came to, without its type. */
function isOutcome(result: unknown): result is CallOutcome {
  return typeof result === 'object' && result !== null && 'kind' in result;
}

/** Opens when one of them would. */
function eitherOf(...breakers: IBreaker[]): IBreaker {
  return {
    state: undefined,
    success: (state) => {
      for (const breaker of breakers) breaker.success(state);
    },
    failure: (state) => breakers.map((breaker) => breaker.failure(state)).some(Boolean),
  };
}
