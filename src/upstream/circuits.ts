import { type BatchKey, toEntityId } from '../core/batch-key.ts';
import type { CircuitName, Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import {
  type CircuitBreaker,
  type CircuitBreakerState,
  createCircuitBreaker,
  type Judgement,
} from './circuit-breaker.ts';
import { circuitOpen, type UpstreamError } from './errors.ts';
import type { CallOutcome } from './outcome.ts';
import {
  createRetryBudget,
  delayBeforeRetryMs,
  type RetryableFailure,
  type RetryBudget,
} from './retry-budget.ts';

/** Whether the upstream is called now for a participant type. */
export type Availability =
  /** Calls are made. */
  | { readonly kind: 'available' }
  /** One call may be made, to see whether the upstream is back: who has something to answer does not wait for it. */
  | { readonly kind: 'probing'; readonly error: UpstreamError }
  /** No call is made, and this is why. */
  | { readonly kind: 'held'; readonly error: UpstreamError };

/**
 * Keeps failures where they are. Each participant type that has answered 200 has a circuit breaker and a retry
 * budget of its own, of which only faults of different batches count; those that never did share one of each.
 * Over all stand a circuit breaker for what no batch can bring about, a connection that cannot be had, and a
 * retry budget.
 */
export interface Circuits {
  /** Calls are held while the circuit of the type is open, or the one over all. */
  availability(participantType: string): Availability;
  /** `closed` where both the circuit of the type and the one over all are. */
  state(participantType: string): CircuitBreakerState;
  /** Begins a call. Not to be used while calls are held. */
  begin(key: BatchKey): CircuitCall;
  /** Counts a call that goes out and is no retry. */
  countCall(participantType: string): void;
  /** See {@link delayBeforeRetryMs}. A retry takes from the budget of the type and from the one over all. */
  retryDelayMs(
    participantType: string,
    failure: RetryableFailure,
    remainingMs: number,
  ): number | undefined;
  /** What fails, in a few words for the operator, and 3 names at most; undefined: no circuit is open. */
  problem(): string | undefined;
  /** Of each circuit that there is. */
  states(): readonly CircuitState[];
}

/** A circuit, and whether it lets calls through. */
export interface CircuitState {
  readonly name: CircuitName;
  readonly state: CircuitBreakerState;
}

/** A call that is judged by its outcome. */
interface CircuitCall {
  /** Whether it decides about a circuit: then it is not to be aborted, because all the others need its outcome. */
  readonly decides: boolean;
  /** To be called once; `outcome` is undefined for a call that was aborted, which is inconclusive. */
  end(outcome: CallOutcome | undefined): void;
}

interface CircuitsOptions {
  clock: Clock;
  telemetry: Telemetry;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

/** Types that have a circuit of their own. */
const MAX_TYPES = 1_000;
/** One batch alone, or a few, open nothing for the others of their type. */
const MIN_BATCHES = 5;

/** The participant types that fail together. */
interface Group {
  readonly name: CircuitName;
  readonly breaker: CircuitBreaker;
  readonly retries: RetryBudget;
}

const AVAILABLE: Availability = { kind: 'available' };

export function createCircuits({ clock, telemetry, random }: CircuitsOptions): Circuits {
  const createGroup = (name: CircuitName, minBatches: number): Group => ({
    name,
    breaker: createCircuitBreaker({ name, minBatches, clock, telemetry, random }),
    retries: createRetryBudget(clock),
  });
  const service = createGroup({ circuit: 'service' }, 1);
  const newTypes = createGroup({ circuit: 'new participant types' }, MIN_BATCHES);
  /** By participant type, the one first whose last 200 is the oldest. */
  const proven = new Map<string, Group>();
  /** The last in there. */
  let lastProven: string | undefined;

  function groupOf(participantType: string): Group {
    return proven.get(participantType) ?? newTypes;
  }

  function firstClosed(): string | undefined {
    for (const [participantType, group] of proven) if (isClosed(group)) return participantType;
    return undefined;
  }

  /** Gives a type that has answered 200 a group of its own, as long as there is room. */
  function prove(participantType: string): void {
    if (participantType === lastProven) return;
    lastProven = participantType;
    const known = proven.get(participantType);
    if (known !== undefined) {
      proven.delete(participantType);
      proven.set(participantType, known);
      return;
    }
    if (proven.size >= MAX_TYPES) {
      const closed = firstClosed();
      if (closed === undefined) {
        lastProven = undefined;
        return;
      }
      proven.delete(closed);
    }
    const group = createGroup({ circuit: 'participant type', participantType }, MIN_BATCHES);
    proven.set(participantType, group);
  }

  function allGroups(): readonly Group[] {
    return [service, newTypes, ...proven.values()];
  }

  return {
    availability(participantType) {
      const group = groupOf(participantType);
      if (isClosed(service) && isClosed(group)) return AVAILABLE;
      const open = [service, group].filter((it) => !isClosed(it));
      const [holding = group] = open.filter(({ breaker }) => breaker.waitMs() !== undefined);
      const waits = open.flatMap(({ breaker }) => breaker.waitMs() ?? []);
      const error = circuitOpen(holding.name, Math.max(0, ...waits));
      return { kind: waits.length === 0 ? 'probing' : 'held', error };
    },
    state(participantType) {
      const states = [service, groupOf(participantType)].map(({ breaker }) => breaker.state());
      if (states.includes('half-open')) return 'half-open';
      return states.includes('open') ? 'open' : 'closed';
    },
    begin(key) {
      const ofType = groupOf(key.participantType).breaker.begin();
      const ofService = service.breaker.begin();
      return {
        decides: ofType.decides || ofService.decides,
        end(outcome) {
          const judged = outcome === undefined ? UNJUDGED : judge(outcome, key);
          if (outcome?.kind === 'ok') prove(key.participantType);
          ofType.end(judged.ofType);
          ofService.end(judged.ofService);
        },
      };
    },
    countCall(participantType) {
      groupOf(participantType).retries.countCall();
      service.retries.countCall();
    },
    retryDelayMs(participantType, failure, remainingMs) {
      const budgets = [groupOf(participantType).retries, service.retries];
      const delayMs = delayBeforeRetryMs(failure, remainingMs, random);
      if (delayMs === undefined || !budgets.every((budget) => budget.hasRetry())) return undefined;
      for (const budget of budgets) budget.takeRetry();
      return delayMs;
    },
    problem() {
      const groups = allGroups().filter((group) => !isClosed(group));
      const [first] = groups;
      if (first === undefined) return undefined;
      const state = `the circuit is ${first.breaker.state()}`;
      if (first === service) return `the Participant Service fails; ${state}`;
      const names = groups.map(({ name }) => name.participantType ?? name.circuit);
      if (groups.length === 1) return `the Participant Service fails for ${names}; ${state}`;
      const shown = names.slice(0, MAX_SHOWN).join(', ');
      const more = names.length > MAX_SHOWN ? ', …' : '';
      return `the Participant Service fails for ${names.length} participant types (${shown}${more}); their circuits are open`;
    },
    states: () => allGroups().map(({ name, breaker }) => ({ name, state: breaker.state() })),
  };
}

const MAX_SHOWN = 3;

function isClosed({ breaker }: Group): boolean {
  return breaker.state() === 'closed';
}

interface JudgedCall {
  readonly ofType: Judgement;
  readonly ofService: Judgement;
}

const SUCCESS: Judgement = { kind: 'success' };
const INCONCLUSIVE: Judgement = { kind: 'inconclusive' };
const ANSWERED: JudgedCall = { ofType: SUCCESS, ofService: SUCCESS };
const UNJUDGED: JudgedCall = { ofType: INCONCLUSIVE, ofService: INCONCLUSIVE };

/** What an outcome tells of a participant type, and of the service as a whole: that is reached, or not. */
function judge(outcome: CallOutcome, key: BatchKey): JudgedCall {
  switch (outcome.kind) {
    case 'ok':
      return ANSWERED;
    case 'refused':
    case 'foreign':
      return { ofType: { kind: 'refusal', batch: toEntityId(key) }, ofService: SUCCESS };
    case 'transient':
    case 'fault': {
      const fault: Judgement = { kind: 'fault', batch: toEntityId(key), fault: outcome.fault };
      return outcome.connected
        ? { ofType: fault, ofService: SUCCESS }
        : { ofType: INCONCLUSIVE, ofService: fault };
    }
    case 'inconclusive':
      return { ofType: INCONCLUSIVE, ofService: outcome.connected ? SUCCESS : INCONCLUSIVE };
  }
}
