import { LRUCache } from 'lru-cache';
import { untilAborted } from '../abort.ts';
import type { Clock } from '../clock.ts';
import type { BatchKey } from './batch-key.ts';
import type { BatchStatus } from './batch-status.ts';
import type { EndUser, ParticipantClient } from './client.ts';

/** On whose behalf a status is wanted. */
export interface Requester {
  /** The end user that the upstream is told of; undefined: none. Statuses are shared within one user. */
  readonly user: EndUser | undefined;
  /** Aborts when the requester is gone, or its time is up. */
  readonly signal: AbortSignal;
  /** Called for every request that is sent upstream because of this requester. */
  onUpstreamCall(): void;
  /** Called for every status that is handed out: with the end of the copy, or 0 when it is no copy. */
  onStatus(freshUntil: number): void;
}

export interface BatchStatusCacheOptions {
  client: ParticipantClient;
  clock: Clock;
  tenantId: string;
  /** How long a copy of an unfinished batch's status may be served; 0: never. */
  ttlMs: number;
  /** The same for a finished batch. */
  finishedTtlMs: number;
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
  /** When the copy ends, on the clock. */
  readonly freshUntil: number;
}

interface Flight {
  readonly answer: Promise<BatchStatus>;
  readonly abort: AbortController;
  waiting: number;
}

export function createBatchStatusCache(options: BatchStatusCacheOptions): BatchStatusCache {
  const { client, clock, tenantId, ttlMs, finishedTtlMs } = options;
  const flights = new Map<string, Flight>();
  const copies = new LRUCache<string, Copy>({
    max: MAX_COPIES,
    maxSize: MAX_COPIES_SIZE,
    sizeCalculation: ({ status }) => status.size + 1,
    perf: clock,
    ttlResolution: 0,
  });

  function keep(id: string, status: BatchStatus): void {
    const ttl = status.finished ? finishedTtlMs : ttlMs;
    if (ttl > 0) copies.set(id, { status, freshUntil: clock.now() + ttl }, { ttl });
  }

  function begin(id: string, key: BatchKey, requester: Requester): Flight {
    const abort = new AbortController();
    const { signal } = abort;
    const { user } = requester;
    const onCall = () => requester.onUpstreamCall();
    const answer = client.getBatchStatus(key, { user, signal, onCall }).then(
      (status) => {
        forget(id, flight);
        keep(id, status);
        return status;
      },
      (error: unknown) => {
        // Those who wait for it are told; nothing is kept.
        forget(id, flight);
        throw error;
      },
    );
    const flight: Flight = { answer, abort, waiting: 0 };
    flights.set(id, flight);
    return flight;
  }

  function forget(id: string, flight: Flight): void {
    if (flights.get(id) === flight) flights.delete(id);
  }

  return {
    async get(key, requester) {
      const { participantType, batchId } = key;
      const id = JSON.stringify([tenantId, participantType, batchId, requester.user]);
      const copy = copies.get(id);
      if (copy !== undefined) {
        requester.onStatus(copy.freshUntil);
        return copy.status;
      }
      requester.signal.throwIfAborted();
      const flight = flights.get(id) ?? begin(id, key, requester);
      flight.waiting += 1;
      try {
        const status = await untilAborted(flight.answer, requester.signal);
        requester.onStatus(0);
        return status;
      } finally {
        flight.waiting -= 1;
        if (flight.waiting === 0 && flights.get(id) === flight) {
          // Whoever comes now begins anew, rather than join a call that is being aborted.
          forget(id, flight);
          flight.abort.abort();
        }
      }
    },
  };
}
