import { LRUCache } from 'lru-cache';
import type { BatchKey } from '../core/batch-key.ts';
import type { Caller } from '../core/caller.ts';
import { DeadlineExceeded } from '../core/errors.ts';
import { untilAborted } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { isOutage, isRefusal, UpstreamError } from '../upstream/errors.ts';
import type { ParticipantService } from '../upstream/participant-service.ts';
import type { EndUser } from '../upstream/request.ts';
import type { CallSlots } from './call-slots.ts';
import { type BatchStatus, toBatchStatus } from './status.ts';

/** On whose behalf a status is wanted. */
export interface Requester {
  /** Whose calls wait for each other, when more are to be made than can be. */
  readonly caller: Caller;
  /** The end user that the upstream is told of; undefined: none. Statuses are shared within one user. */
  readonly user: EndUser | undefined;
  /** Aborts when the requester is gone, or its time is up. */
  readonly signal: AbortSignal;
  /** The moment on the clock at which its time is up. */
  readonly deadline: number;
}

/** What a requester gets: a status, or why there is none. */
type StatusResult = ServedStatus | FailedStatus;

interface ServedStatus {
  readonly status: BatchStatus;
  /** Until when it may be served again, on the clock; 0: it is not from the cache. */
  readonly freshUntil: number;
  /** Because of which failure it is stale; undefined: it is not. */
  readonly staleBecause: UpstreamError | undefined;
  /** Calls that were made because of this requester. */
  readonly upstreamCalls: number;
}

interface FailedStatus {
  /** An {@link UpstreamError}, or the reason of the requester's signal. */
  readonly error: unknown;
  readonly upstreamCalls: number;
}

interface StatusServiceOptions {
  participantService: ParticipantService;
  callSlots: CallSlots;
  clock: Clock;
  tenantId: string;
  /** Statuses in which a batch is finished, in upper case. */
  finishedStatuses: ReadonlySet<string>;
  /** How long the status of an unfinished batch may be served from the cache, in milliseconds; 0: never. */
  ttlMs: number;
  /** The same for a finished batch. */
  finishedTtlMs: number;
  /** How old the last status may be that is served when the upstream fails, in milliseconds; 0: none is. */
  staleMs: number;
}

/**
 * Statuses for the whole process: at most one upstream call under way per key, and a short-lived cache entry of
 * what it answered.
 */
export interface StatusService {
  /**
   * The status from the cache, or the answer of the call that is under way, or of a new one. Never rejects.
   * Failures are not kept. A requester that leaves does not end what others wait for; when the last one leaves,
   * the call is aborted.
   *
   * When the upstream fails, it is the last status, marked as stale, as long as that is not too old (RFC 5861,
   * `stale-if-error`). While no call may be made, that is at once, or a failure is; and who has an entry does not
   * wait for the one call that sees whether the upstream is back. 400, 403, 404 and other refusals of the batch
   * drop the entry; where the gateway's own credentials are refused, it is kept, but not served.
   */
  get(key: BatchKey, requester: Requester): Promise<StatusResult>;
}

/** Bounds of the cache: in number, and in bytes as they are held. */
const MAX_ENTRIES = 10_000;
const MAX_ENTRIES_SIZE = 32 * 1024 * 1024;
/** What an entry takes beside the upstream's answer: its key, typed fields, dates, its place in the cache. */
const ENTRY_SIZE = 1_024;

interface CacheEntry {
  readonly status: BatchStatus;
  /** Until when it may be served, on the clock. */
  readonly freshUntil: number;
  /** Until when it may be served when the upstream fails. */
  readonly staleUntil: number;
}

interface Flight {
  readonly answer: Promise<BatchStatus>;
  readonly abort: AbortController;
  waiting: number;
  /** The latest of those who have waited for it. */
  deadline: number;
  upstreamCalls: number;
}

/** Under which a status is kept, and a call under way found. */
export function batchStatusKey(
  tenantId: string,
  { participantType, batchId }: BatchKey,
  user: EndUser | undefined,
): string {
  return JSON.stringify([tenantId, participantType, batchId, user && [user.id, user.name]]);
}

export function createStatusService(options: StatusServiceOptions): StatusService {
  const { participantService, callSlots, clock, tenantId, finishedStatuses } = options;
  const { ttlMs, finishedTtlMs, staleMs } = options;
  const flights = new Map<string, Flight>();
  const entries = new LRUCache<string, CacheEntry>({
    max: MAX_ENTRIES,
    maxSize: MAX_ENTRIES_SIZE,
    sizeCalculation: ({ status }) => status.size + ENTRY_SIZE,
    perf: clock,
    ttlResolution: 0,
  });

  function keep(id: string, status: BatchStatus): void {
    const freshMs = status.finished ? finishedTtlMs : ttlMs;
    const ttl = Math.max(freshMs, staleMs);
    if (ttl === 0) return;
    const now = clock.now();
    entries.set(id, { status, freshUntil: now + freshMs, staleUntil: now + staleMs }, { ttl });
  }

  /** The last status; undefined when it is too old. */
  function staleStatus(id: string): BatchStatus | undefined {
    const entry = entries.get(id);
    return entry && clock.now() < entry.staleUntil ? { ...entry.status, stale: true } : undefined;
  }

  function begin(id: string, key: BatchKey, { caller, user, deadline }: Requester): Flight {
    const abort = new AbortController();
    const { signal } = abort;
    const request = {
      user,
      signal,
      enter: () => callSlots.enter(key.participantType, caller, signal),
      deadline: () => flight.deadline,
      mayWait: staleStatus(id) === undefined,
      onCall() {
        flight.upstreamCalls += 1;
      },
    };
    const answer = participantService.getStatus(key, request).then(
      (found) => {
        forget(id, flight);
        const status = toBatchStatus({ key, ...found, finishedStatuses });
        keep(id, status);
        return status;
      },
      (error: unknown) => {
        // Those who wait for it are told; nothing is kept.
        forget(id, flight);
        // Nor is what was true before: it may be forbidden now, or gone.
        if (isRefusal(error)) entries.delete(id);
        throw error;
      },
    );
    const flight: Flight = { answer, abort, waiting: 0, deadline, upstreamCalls: 0 };
    flights.set(id, flight);
    return flight;
  }

  function forget(id: string, flight: Flight): void {
    if (flights.get(id) === flight) flights.delete(id);
  }

  /** Waits for a call that is under way. */
  async function join(id: string, flight: Flight, requester: Requester): Promise<BatchStatus> {
    flight.waiting += 1;
    flight.deadline = Math.max(flight.deadline, requester.deadline);
    try {
      return await untilAborted(flight.answer, requester.signal);
    } finally {
      flight.waiting -= 1;
      if (flight.waiting === 0 && flights.get(id) === flight) {
        // Whoever comes now begins anew, rather than join a call that is being aborted.
        forget(id, flight);
        flight.abort.abort(requester.signal.reason);
      }
    }
  }

  async function fetch(id: string, key: BatchKey, requester: Requester): Promise<StatusResult> {
    if (requester.signal.aborted) return { error: requester.signal.reason, upstreamCalls: 0 };
    const underWay = flights.get(id);
    const flight = underWay ?? begin(id, key, requester);
    const callsMade = () => (underWay === undefined ? flight.upstreamCalls : 0);
    try {
      const status = await join(id, flight, requester);
      return { status, freshUntil: 0, staleBecause: undefined, upstreamCalls: callsMade() };
    } catch (error) {
      const failure = toOutage(error);
      const stale = failure && staleStatus(id);
      const upstreamCalls = callsMade();
      if (stale === undefined) return { error, upstreamCalls };
      return { status: stale, freshUntil: 0, staleBecause: failure, upstreamCalls };
    }
  }

  return {
    async get(key, requester) {
      const id = batchStatusKey(tenantId, key, requester.user);
      const entry = entries.get(id);
      if (entry !== undefined && clock.now() < entry.freshUntil) {
        const { status, freshUntil } = entry;
        return { status, freshUntil, staleBecause: undefined, upstreamCalls: 0 };
      }
      const availability = participantService.availability(key.participantType);
      if (availability.kind === 'available') return fetch(id, key, requester);

      const stale = staleStatus(id);
      if (stale !== undefined) {
        if (availability.kind === 'probing' && !flights.has(id)) {
          begin(id, key, requester).answer.catch(() => {});
        }
        return {
          status: stale,
          freshUntil: 0,
          staleBecause: availability.error,
          upstreamCalls: 0,
        };
      }
      if (availability.kind === 'probing') return fetch(id, key, requester);
      // A call of before is joined only if something is to be hoped of it.
      const mayJoin =
        participantService.circuit(key.participantType) === 'closed' && flights.has(id);
      if (mayJoin) return fetch(id, key, requester);
      return { error: availability.error, upstreamCalls: 0 };
    },
  };
}

/** The failure of the upstream that an error tells of; undefined: none. */
function toOutage(error: unknown): UpstreamError | undefined {
  if (isOutage(error)) return error;
  if (!(error instanceof DeadlineExceeded)) return undefined;
  return new UpstreamError('timeout', error.message, { requestId: undefined });
}
