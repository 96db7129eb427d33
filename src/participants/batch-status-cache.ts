import { LRUCache } from 'lru-cache';
import { untilAborted } from '../abort.ts';
import type { Clock } from '../clock.ts';
import type { BatchKey } from './batch-key.ts';
import type { BatchStatus } from './batch-status.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { ParticipantClient } from './client.ts';
import { circuitOpen, isOutage, isRefusal, type UpstreamError } from './errors.ts';
import type { EndUser } from './status-endpoint.ts';

/** On whose behalf a status is wanted. */
export interface Requester {
  /** The end user that the upstream is told of; undefined: none. Statuses are shared within one user. */
  readonly user: EndUser | undefined;
  /** Aborts when the requester is gone, or its time is up. */
  readonly signal: AbortSignal;
  /** The moment on the clock at which its time is up. */
  readonly deadline: number;
  /** Called for every request that is sent upstream because of this requester. */
  onUpstreamCall(): void;
  /**
   * Called for every status that is handed out: with the end of the copy, or 0 when it is no copy; with the
   * failure because of which it is stale, if it is.
   */
  onStatus(status: BatchStatus, freshUntil: number, failure?: UpstreamError): void;
}

export interface BatchStatusCacheOptions {
  client: ParticipantClient;
  breaker: CircuitBreaker;
  clock: Clock;
  tenantId: string;
  /** How long a copy of an unfinished batch's status may be served; 0: never. */
  ttlMs: number;
  /** The same for a finished batch. */
  finishedTtlMs: number;
  /** How old the last copy may be that is served when the upstream fails; 0: none is. */
  staleMs: number;
}

/**
 * Statuses for the whole process: at most one upstream call under way per key, and a short-lived
 * copy of what it answered.
 */
export interface BatchStatusCache {
  /**
   * A copy that may still be served, or the answer of the call that is under way, or of a new one.
   * Rejects as the client does, or with the reason of the requester's signal. Failures are not kept. A
   * requester that leaves does not end what others wait for; when the last one leaves, the call is
   * aborted.
   *
   * When the upstream fails, it is the last copy, marked as stale, as long as that is not too old (RFC 5861,
   * `stale-if-error`). While no call may be made, that is at once, or an error is; and who has a copy does not
   * wait for the one call that sees whether the upstream is back. 400, 403, 404 and other refusals of the batch
   * drop the copy; where the gateway's own credentials are refused, it is kept, but not served.
   */
  get(key: BatchKey, requester: Requester): Promise<BatchStatus>;
}

/**
 * Bounds of the copies: in number, and in characters of the answers that they came from (parsed, they
 * take several times that).
 */
const MAX_COPIES = 10_000;
const MAX_COPIES_SIZE = 16 * 1024 * 1024;

interface Copy {
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
}

/** Under which a status is kept, and a call under way found. */
export function batchStatusKey(
  tenantId: string,
  { participantType, batchId }: BatchKey,
  user: EndUser | undefined,
): string {
  return JSON.stringify([tenantId, participantType, batchId, user && [user.id, user.name]]);
}

export function createBatchStatusCache(options: BatchStatusCacheOptions): BatchStatusCache {
  const { client, breaker, clock, tenantId, ttlMs, finishedTtlMs, staleMs } = options;
  const flights = new Map<string, Flight>();
  const copies = new LRUCache<string, Copy>({
    max: MAX_COPIES,
    maxSize: MAX_COPIES_SIZE,
    sizeCalculation: ({ status }) => status.size + 1,
    perf: clock,
    ttlResolution: 0,
  });

  function keep(id: string, status: BatchStatus): void {
    const freshMs = status.finished ? finishedTtlMs : ttlMs;
    const ttl = Math.max(freshMs, staleMs);
    if (ttl === 0) return;
    const now = clock.now();
    copies.set(id, { status, freshUntil: now + freshMs, staleUntil: now + staleMs }, { ttl });
  }

  /** The last copy; undefined when it is too old. */
  function staleStatus(id: string): BatchStatus | undefined {
    const copy = copies.get(id);
    return copy && clock.now() < copy.staleUntil ? { ...copy.status, stale: true } : undefined;
  }

  function begin(id: string, key: BatchKey, requester: Requester): Flight {
    const abort = new AbortController();
    const { signal } = abort;
    const { user } = requester;
    const onCall = () => requester.onUpstreamCall();
    const deadline = () => flight.deadline;
    const mayWait = staleStatus(id) === undefined;
    const call = { user, signal, deadline, mayWait, onCall };
    const answer = client.getBatchStatus(key, call).then(
      (status) => {
        forget(id, flight);
        keep(id, status);
        return status;
      },
      (error: unknown) => {
        // Those who wait for it are told; nothing is kept.
        forget(id, flight);
        // Nor is what was true before: it may be forbidden now, or gone.
        if (isRefusal(error)) copies.delete(id);
        throw error;
      },
    );
    const flight: Flight = { answer, abort, waiting: 0, deadline: requester.deadline };
    flights.set(id, flight);
    return flight;
  }

  function forget(id: string, flight: Flight): void {
    if (flights.get(id) === flight) flights.delete(id);
  }

  /** Waits for the call that is under way, or begins one. */
  async function fetch(id: string, key: BatchKey, requester: Requester): Promise<BatchStatus> {
    requester.signal.throwIfAborted();
    const flight = flights.get(id) ?? begin(id, key, requester);
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

  return {
    async get(key, requester) {
      const id = batchStatusKey(tenantId, key, requester.user);
      const copy = copies.get(id);
      if (copy !== undefined && clock.now() < copy.freshUntil) {
        requester.onStatus(copy.status, copy.freshUntil);
        return copy.status;
      }
      const refusal = client.refusal(key.participantType);
      const isClosed = breaker.state() === 'closed';
      if (refusal !== undefined || !isClosed) {
        const stale = staleStatus(id);
        if (stale !== undefined) {
          if (refusal === undefined && !flights.has(id))
            begin(id, key, requester).answer.catch(() => {});
          requester.onStatus(stale, 0, refusal ?? circuitOpen(0));
          return stale;
        }
        // A call of before is joined only if something is to be hoped of it.
        if (refusal !== undefined && !(isClosed && flights.has(id))) throw refusal;
      }
      try {
        const status = await fetch(id, key, requester);
        requester.onStatus(status, 0);
        return status;
      } catch (error) {
        if (!isOutage(error)) throw error;
        const stale = staleStatus(id);
        if (stale === undefined) throw error;
        requester.onStatus(stale, 0, error);
        return stale;
      }
    },
  };
}
