import type { CircuitName, Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';

/** `half-open`: one call is under way that decides. */
export type CircuitBreakerState = 'closed' | 'open' | 'half-open';

/** What one call tells of the part of the upstream that a circuit stands for. */
export type Judgement =
  /** That part works. */
  | { readonly kind: 'success' }
  /** That part fails. */
  | { readonly kind: 'fault'; readonly batch: string; readonly fault: string }
  /** It answers, but what a caller or a batch can bring about neither opens nor closes a circuit. */
  | { readonly kind: 'refusal'; readonly batch: string }
  /** Nothing is known. */
  | { readonly kind: 'inconclusive' };

/** A call, from when it goes out. */
interface BegunCall {
  /** Whether its outcome decides about the circuit: others wait for it, whoever leaves. */
  readonly decides: boolean;
  /** To be called once, with what the call came to. */
  end(judgement: Judgement): void;
}

/**
 * Keeps calls from a part of the upstream that fails. It opens after 10 faults in a row, or when more than
 * half of the last 50 calls were faults; of both only if the faults among the last 50 calls are of
 * `minBatches` different batches. Refusals and inconclusive calls are not counted. Then no call is made for a
 * second or a little more, then a single one that decides: a success closes it; a fault, or a call that is
 * inconclusive, keeps it open for another second; after a refusal the next call decides at once, and refusals
 * of 5 different batches without a fault in between close it.
 */
export interface CircuitBreaker {
  state(): CircuitBreakerState;
  /** Milliseconds until a call may be made, as far as is known; undefined: one may be made now. */
  waitMs(): number | undefined;
  /** Not to be used while there is a wait. */
  begin(): BegunCall;
}

interface CircuitBreakerOptions {
  /** How telemetry names it. */
  name: CircuitName;
  minBatches: number;
  clock: Clock;
  telemetry: Telemetry;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

const WAIT_MS = 1_000;
/** Instances that opened together do not call together. */
const WAIT_JITTER_MS = 250;

const REFUSALS_TO_CLOSE = 5;

export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { name, minBatches, clock, telemetry, random } = options;
  const calls = createRecentCalls(minBatches);
  let state: CircuitBreakerState = 'closed';
  /** How often it opened, or stayed open. */
  let openings = 0;
  let openSince = 0;
  let callFrom = 0;
  /** Batches of the deciding calls that were refused. */
  const refused = new Set<string>();
  /** For all calls that are begun until the circuit opens. */
  let ordinaryCall = createOrdinaryCall();

  function createOrdinaryCall(): BegunCall {
    const before = openings;
    return {
      decides: false,
      end(judgement) {
        // What was begun before it opened tells nothing of the upstream as it is now.
        if (before === openings) count(judgement);
      },
    };
  }

  function stayOpen(waitMs: number): void {
    state = 'open';
    openings += 1;
    callFrom = clock.now() + waitMs;
  }

  function waitAnew(): void {
    stayOpen(WAIT_MS + WAIT_JITTER_MS * random());
  }

  function close(): void {
    state = 'closed';
    refused.clear();
    ordinaryCall = createOrdinaryCall();
    telemetry.circuitClosed?.({ ...name, openMs: Math.round(clock.now() - openSince) });
  }

  function decide(judgement: Judgement): void {
    switch (judgement.kind) {
      case 'success':
        close();
        break;
      case 'refusal':
        refused.add(judgement.batch);
        if (refused.size < REFUSALS_TO_CLOSE) stayOpen(0);
        else close();
        break;
      case 'fault':
        refused.clear();
        waitAnew();
        break;
      case 'inconclusive':
        waitAnew();
        break;
    }
  }

  function count(judgement: Judgement): void {
    if (judgement.kind === 'success') calls.addSuccess();
    if (judgement.kind !== 'fault' || !calls.addFault(judgement.batch)) return;
    calls.clear();
    openSince = clock.now();
    waitAnew();
    telemetry.circuitOpened?.({ ...name, fault: judgement.fault });
  }

  return {
    state: () => state,
    waitMs() {
      if (state === 'closed') return undefined;
      // Others do not wait for the call that decides.
      if (state === 'half-open') return WAIT_MS;
      const ms = Math.ceil(callFrom - clock.now());
      return ms > 0 ? ms : undefined;
    },
    begin() {
      if (state !== 'open') return ordinaryCall;
      state = 'half-open';
      return { decides: true, end: decide };
    },
  };
}

const FAULTS_IN_A_ROW = 10;
/** A fifth of calls that fail, by chance, make it one in many millions that it opens. */
const RECENT_CALLS = 50;
const SHARE_OF_FAULTS = 0.5;

/** The calls that a closed circuit goes by. */
function createRecentCalls(minBatches: number) {
  /** The last ones: the batch of a fault, undefined for a success. The next one comes in the place of the oldest. */
  let recent: (string | undefined)[] = [];
  let next = 0;
  let inARow = 0;
  let faults = 0;

  function add(batch: string | undefined): void {
    if (recent[next] !== undefined) faults -= 1;
    recent[next] = batch;
    next = (next + 1) % RECENT_CALLS;
  }

  return {
    addSuccess(): void {
      add(undefined);
      inARow = 0;
    },
    /** Whether that opens the circuit. */
    addFault(batch: string): boolean {
      add(batch);
      inARow += 1;
      faults += 1;
      const tooMany =
        inARow >= FAULTS_IN_A_ROW ||
        (recent.length === RECENT_CALLS && faults > SHARE_OF_FAULTS * RECENT_CALLS);
      if (!tooMany) return false;
      return new Set(recent.filter((one) => one !== undefined)).size >= minBatches;
    },
    clear(): void {
      recent = [];
      next = 0;
      inARow = 0;
      faults = 0;
    },
  };
}
