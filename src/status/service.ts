import type { BatchKey } from '../core/batch-key.ts';
import type { Caller } from '../core/caller.ts';
import { DeadlineExceeded } from '../core/errors.ts';
import type { StatusObserver, StatusOrigin } from '../core/request-trace.ts';
import type { CancelSignal } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import { SlotMap } from '../lib/slot-map.ts';
import type { Turns } from '../lib/turns.ts';
import { decodeAgain } from '../upstream/envelope.ts';
import { isOutage, isRefusal, UpstreamError } from '../upstream/errors.ts';
import type { ParticipantService } from '../upstream/participant-service.ts';
import type { EndUser } from '../upstream/request.ts';
import type { CallSlots } from './call-slots.ts';
import { Flight } from './flight.ts';
import type { FoundStatus, StatusSource } from './source.ts';
import { type BatchStatus, toBatchStatus } from './status.ts';
import type { CacheEntry, StatusStore, UnreadEntry } from './store.ts';

/** On whose behalf a status is wanted. */
export interface Requester {
  /** Whose calls wait for each other, when more are to be made than can be. */
  readonly caller: Caller;
  /** The end user that the upstream is told of; undefined: none. Statuses are shared within one user. */
  readonly user: EndUser | undefined;
  /** Aborts when the requester is gone, or its time is up. */
  readonly signal: CancelSignal;
  /** The moment on the clock at which its time is up. */
  readonly deadline: number;
  /** Is told how it comes by the status; undefined: nobody is. */
  readonly observer?: StatusObserver | undefined;
}

/** What a requester gets: a status, or why there is none. */
export type StatusResult = ServedStatus | FailedStatus;

interface ServedStatus {
  readonly status: BatchStatus;
  readonly source: StatusOrigin;
  /** Until when it may be served again, on the clock; 0: it is not from the cache. */
  readonly freshUntil: number;
  /** Because of which failure it is stale; undefined: it is not. */
  readonly staleBecause: UpstreamError | undefined;
  /** Calls that were made because of this requester. */
  readonly upstreamCalls: number;
  /** The X-COREOS-REQUEST-ID of the one of them that brought the status; undefined: none did. */
  readonly upstreamRequestId: string | undefined;
}

interface FailedStatus {
  /** An {@link UpstreamError}, or the reason of the requester's signal. */
  readonly error: unknown;
  readonly upstreamCalls: number;
}

interface StatusServiceOptions {
  participantService: ParticipantService;
  /** By default, the Participant Service. */
  source?: StatusSource | undefined;
  callSlots: CallSlots;
  clock: Clock;
  /** For long statuses, which are read one at a time. */
  turns: Turns;
  tenantId: string;
  /** Of all tenants. */
  store: StatusStore;
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
 * Statuses of a tenant, for the whole process: at most one upstream call under way per key, and a short-lived cache entry of
 * what it answered.
 */
export interface StatusService {
  /**
   * The status from the cache, or the answer of the call that is under way, or of a new one. Never throws or
   * rejects; what is at hand is no promise.
   * Failures are not kept. A requester that leaves does not end what others wait for; when the last one leaves,
   * the call is aborted.
   *
   * When the upstream fails, it is the last status, marked as stale, as long as that is not too old (RFC 5861,
   * `stale-if-error`). While no call may be made, that is at once, or a failure is; and who has an entry does not
   * wait for the one call that sees whether the upstream is back. 400, 403, 404 and other refusals of the batch
   * drop the entry; where the gateway's own credentials are refused, it is kept, but not served.
   */
  get(key: BatchKey, requester: Requester): StatusResult | Promise<StatusResult>;
  /** The same, but what is in the cache is not served, unless the upstream fails. */
  refresh(key: BatchKey, requester: Requester): StatusResult | Promise<StatusResult>;
  /**
   * Has `onFetched` called with each status that the upstream gives from now on, for whomever it was asked, here or on
   * another replica, until the returned function is called. There is one observer of a key at a time. It must not throw.
   */
  observe(
    key: BatchKey,
    user: EndUser | undefined,
    onFetched: (status: BatchStatus) => void,
  ): () => void;
  /** Drops what is kept: its tenant is gone, or has other settings. Nothing is kept from then on. */
  close(): void;
}

interface Observer {
  readonly onFetched: (status: BatchStatus) => void;
  /** When the last status was fetched that it was told of, as `Date.getTime` has it. */
  toldOf: number | undefined;
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
  const { participantService, callSlots, clock, turns, tenantId, finishedStatuses } = options;
  const source: StatusSource = options.source ?? participantService;
  const { store, ttlMs, finishedTtlMs, staleMs } = options;
  const { served } = store;
  const entries = store.ofTenant(tenantId);
  const flights = new SlotMap<Flight>();
  const observers = new Map<string, Observer>();

  function keep(id: string, status: BatchStatus, text: string | undefined, ageMs: number): void {
    const freshMs = status.finished ? finishedTtlMs : ttlMs;
    if (freshMs === 0 && staleMs === 0) return;
    const saidAt = clock.now() - ageMs;
    const [freshUntil, staleUntil] = [saidAt + freshMs, saidAt + staleMs];
    // Another replica's may be older than what there is.
    const known = ageMs > 0 ? entries.peek(id) : undefined;
    if (known !== undefined && known.staleUntil > staleUntil) return;
    const { fetchedAt, memory, jsonBytes } = status;
    if (!entries.admits(id, memory.bytes)) return;
    entries.set(
      id,
      text === undefined
        ? { status, freshUntil, staleUntil }
        : { text, fetchedAt, size: memory.bytes, jsonBytes, freshUntil, staleUntil },
    );
  }

  function accept(
    id: string,
    key: BatchKey,
    { envelope, ageMs = 0, fetchedAt, size }: FoundStatus,
  ): BatchStatus {
    const status = toBatchStatus({ key, envelope, fetchedAt, size, finishedStatuses });
    keep(id, status, envelope.text, ageMs);
    return status;
  }

  function tellObserver(id: string, status: BatchStatus, isOfAnother: boolean): void {
    const observer = observers.get(id);
    if (observer === undefined) return;
    const fetchedAt = status.fetchedAt.getTime();
    // Another replica's is published, and may be what a request finds, too.
    if (isOfAnother && fetchedAt === observer.toldOf) return;
    observer.toldOf = fetchedAt;
    observer.onFetched(status);
  }

  /** The status of an entry. A long one waits for its turn to be read. */
  function statusOf(
    id: string,
    key: BatchKey,
    entry: CacheEntry,
  ): BatchStatus | Promise<BatchStatus> {
    if ('status' in entry) return entry.status;
    const isLong = typeof entry.text !== 'string';
    const turn = isLong ? turns.next(key.participantType) : undefined;
    if (turn === undefined) return read(id, key, entry);
    return turn.then(() => {
      // Others may have read it meanwhile.
      const now = entries.peek(id) ?? entry;
      return 'status' in now ? now.status : read(id, key, now);
    });
  }

  /** Is kept as it is read from then on. */
  function read(id: string, key: BatchKey, entry: UnreadEntry): BatchStatus {
    const { text, fetchedAt, size, jsonBytes, freshUntil, staleUntil } = entry;
    const envelope = { ...decodeAgain(text.toString()), jsonBytes };
    const status = toBatchStatus({ key, envelope, fetchedAt, size, finishedStatuses });
    if (entries.has(id)) entries.set(id, { status, freshUntil, staleUntil });
    return status;
  }

  /** The entry that is served when the upstream fails; undefined when it is too old. */
  function staleEntry(id: string): CacheEntry | undefined {
    const entry = entries.get(id);
    return entry && clock.now() < entry.staleUntil ? entry : undefined;
  }

  async function serveStale(
    id: string,
    key: BatchKey,
    entry: CacheEntry,
    cause: Pick<ServedStatus, 'staleBecause' | 'upstreamCalls'>,
  ): Promise<StatusResult> {
    served.stale += 1;
    const status = await statusOf(id, key, entry);
    return {
      status: { ...status, stale: true },
      source: 'stale',
      freshUntil: 0,
      upstreamRequestId: undefined,
      ...cause,
    };
  }

  /** `mayWait`: there is nothing else to answer. */
  function begin(
    id: string,
    key: BatchKey,
    requester: Requester,
    isPoll: boolean,
    mayWait: boolean,
  ): Flight {
    const flight = new Flight(id, requester, {
      key,
      callSlots,
      mayWait,
      isPoll,
      abandoned: forget,
    });
    flights.set(id, flight);
    void ask(key, flight);
    return flight;
  }

  async function ask(key: BatchKey, flight: Flight): Promise<void> {
    try {
      const found = await source.getStatus(key, flight);
      forget(flight);
      flight.isShared = found.ageMs !== undefined;
      if (!flight.isShared) flight.upstreamRequestId = found.requestId;
      const status = accept(flight.id, key, found);
      if (found.staleBecause !== undefined) {
        flight.fail(found.staleBecause);
        return;
      }
      flight.land(status);
      if (observers.size > 0) tellObserver(flight.id, status, found.ageMs !== undefined);
    } catch (error) {
      // Those who wait for it are told; nothing is kept.
      forget(flight);
      // Nor is what was true before: it may be forbidden now, or gone.
      if (isRefusal(error)) entries.delete(flight.id);
      flight.fail(error);
    }
  }

  /** Whoever comes from now on begins anew: the flight is over, or about to be aborted. */
  function forget(flight: Flight): void {
    if (flights.get(flight.id) === flight) flights.delete(flight.id);
  }

  function fetch(
    id: string,
    key: BatchKey,
    requester: Requester,
    isPoll: boolean,
    stale?: CacheEntry,
  ): StatusResult | Promise<StatusResult> {
    const { signal } = requester;
    if (signal.aborted) return { error: signal.reason, upstreamCalls: 0 };
    const underWay = flights.get(id);
    const flight = underWay ?? begin(id, key, requester, isPoll, stale === undefined);
    if (underWay !== undefined) requester.observer?.joined(key, flight.observer);
    const callsMade = () => (underWay === undefined ? flight.upstreamCalls : 0);
    return flight.join<StatusResult>(
      requester,
      (status) => {
        const isOwn = underWay === undefined;
        const source = isOwn ? (flight.isShared ? 'shared' : 'fetched') : 'joined';
        served[source] += 1;
        return {
          status,
          source,
          freshUntil: 0,
          staleBecause: undefined,
          upstreamCalls: callsMade(),
          upstreamRequestId: isOwn ? flight.upstreamRequestId : undefined,
        };
      },
      (error: unknown) => {
        const staleBecause = toOutage(error);
        const last = staleBecause && staleEntry(id);
        const upstreamCalls = callsMade();
        if (last === undefined) return { error, upstreamCalls };
        return serveStale(id, key, last, { staleBecause, upstreamCalls });
      },
    );
  }

  /** `entry`: the last status, which is not served unless the upstream fails. */
  function fetchOrServeStale(
    id: string,
    key: BatchKey,
    requester: Requester,
    entry: CacheEntry | undefined,
    isPoll: boolean,
  ): StatusResult | Promise<StatusResult> {
    const stale = entry !== undefined && clock.now() < entry.staleUntil ? entry : undefined;
    const availability = participantService.availability(key.participantType);
    if (availability.kind === 'available') return fetch(id, key, requester, isPoll, stale);
    if (stale !== undefined) {
      if (availability.kind === 'probing' && flights.get(id) === undefined) {
        begin(id, key, requester, isPoll, false);
      }
      return serveStale(id, key, stale, { staleBecause: availability.error, upstreamCalls: 0 });
    }
    // Where no call may be made, another replica may have a status.
    if (availability.kind === 'probing' || source !== participantService) {
      return fetch(id, key, requester, isPoll);
    }
    // A call of before is joined only if something is to be hoped of it.
    const mayJoin =
      participantService.circuit(key.participantType) === 'closed' && flights.get(id) !== undefined;
    if (mayJoin) return fetch(id, key, requester, isPoll);
    return { error: availability.error, upstreamCalls: 0 };
  }

  return {
    get(key, requester) {
      const id = batchStatusKey(tenantId, key, requester.user);
      const entry = entries.get(id);
      if (entry === undefined || clock.now() >= entry.freshUntil) {
        store.misses += 1;
        return fetchOrServeStale(id, key, requester, entry, false);
      }
      served.cached += 1;
      const { freshUntil } = entry;
      const serve = (status: BatchStatus): StatusResult => ({
        status,
        source: 'cached',
        freshUntil,
        staleBecause: undefined,
        upstreamCalls: 0,
        upstreamRequestId: undefined,
      });
      const status = statusOf(id, key, entry);
      return status instanceof Promise ? status.then(serve) : serve(status);
    },
    refresh(key, requester) {
      const id = batchStatusKey(tenantId, key, requester.user);
      return fetchOrServeStale(id, key, requester, entries.get(id), true);
    },
    observe(key, user, onFetched) {
      const id = batchStatusKey(tenantId, key, user);
      observers.set(id, { onFetched, toldOf: undefined });
      const unwatch = source.watch?.(key, user, (found) => {
        tellObserver(id, accept(id, key, found), true);
      });
      return () => {
        observers.delete(id);
        unwatch?.();
      };
    },
    close: () => entries.close(),
  };
}

/** The failure of the upstream that an error tells of; undefined: none. */
function toOutage(error: unknown): UpstreamError | undefined {
  if (isOutage(error)) return error;
  if (!(error instanceof DeadlineExceeded)) return undefined;
  return new UpstreamError('timeout', error.message, { requestId: undefined });
}
