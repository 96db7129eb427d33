import type { BatchKey } from '../core/batch-key.ts';
import { MemoryUse } from '../lib/held-memory.ts';
import { isJsonObject, type JsonObject, type JsonValue, member, toNumber } from '../lib/json.ts';
import type { SuccessEnvelope, UpstreamEcho } from '../upstream/envelope.ts';

/** How far a batch is, as the upstream said at one moment. Shared between requests: not to be changed. */
export interface BatchStatus {
  readonly key: BatchKey;
  /** The upstream's payload, whole. */
  readonly data: JsonObject;
  readonly request: UpstreamEcho;
  /** When the upstream said so. */
  readonly fetchedAt: Date;
  /** True for the last status that the upstream gave, served because it fails to give a newer one. */
  readonly stale: boolean;
  /** The state as the upstream words it; null when it sends none. */
  readonly status: string | null;
  /** Whether nothing happens any more, by the status or else by the counts; null when neither tells. */
  readonly finished: boolean | null;
  readonly totalCount: number | null;
  readonly successCount: number | null;
  readonly failureCount: number | null;
  /** The share of the batch that is done, 0 to 1; null when it cannot be told. */
  readonly progress: number | null;
  /** The records that succeeded, as they came; null when the upstream lists none. */
  readonly successes: readonly JsonValue[] | null;
  /** The records that failed, as they came; null when the upstream lists none. */
  readonly failures: readonly JsonValue[] | null;
  /** Of `data` and `request`, at most. */
  readonly memory: MemoryUse;
  /** Bytes that they take at most when they are written out as JSON. */
  readonly jsonBytes: number;
}

interface BatchStatusSource {
  key: BatchKey;
  envelope: Pick<SuccessEnvelope, 'data' | 'request' | 'jsonBytes'>;
  fetchedAt: Date;
  /** Bytes that `data` and `request` take in memory at most. */
  size: number;
  /** In upper case. */
  finishedStatuses: ReadonlySet<string>;
}

/** The counts of a batch's records, each null when the upstream does not send it. */
interface Counts {
  readonly total: number | null;
  readonly success: number | null;
  readonly failure: number | null;
}

/** Where each payload has its records, and then where the other has them. */
const CORE_SUCCESS_LISTS: readonly string[] = ['success', 'successDetails'];
const CORE_FAILURE_LISTS: readonly string[] = ['errors', 'failureDetails'];
const ORDERS_SUCCESS_LISTS = CORE_SUCCESS_LISTS.toReversed();
const ORDERS_FAILURE_LISTS = CORE_FAILURE_LISTS.toReversed();

/**
 * Reads the typed fields out of `data`. The platform has two payloads:
 *
 * - core, of participants, containers and entities: `meta` with `status` and the counts `total`, `success`
 *   and `failed`; beside it the lists `success` and `errors`
 * - orders, of the order services: `status`, `totalCount`, `successCount`, `failureCount`, and the lists
 *   `successDetails` and `failureDetails`
 *
 * No document promises either for this endpoint. So each field is read from where either payload has it,
 * first from the core payload if there is a `meta`; it is null when it is missing or of another type. Names
 * are found without regard to case.
 */
export function toBatchStatus(source: BatchStatusSource): BatchStatus {
  const { key, envelope, fetchedAt, size, finishedStatuses } = source;
  const { data, request, jsonBytes } = envelope;
  const meta = member(data, 'meta');
  const isCore = isJsonObject(meta);
  const core = isCore ? meta : {};
  const status = toStatus(member(core, 'status')) ?? toStatus(member(data, 'status'));
  const counts = {
    total: toCount(member(core, 'total')) ?? toCount(member(data, 'totalCount')),
    success: toCount(member(core, 'success')) ?? toCount(member(data, 'successCount')),
    failure: toCount(member(core, 'failed')) ?? toCount(member(data, 'failureCount')),
  };
  return {
    key,
    data,
    request,
    fetchedAt,
    stale: false,
    memory: new MemoryUse(size),
    jsonBytes,
    status,
    finished: isFinished(status, counts, finishedStatuses),
    totalCount: counts.total,
    successCount: counts.success,
    failureCount: counts.failure,
    progress: toProgress(counts),
    successes: firstList(data, isCore ? CORE_SUCCESS_LISTS : ORDERS_SUCCESS_LISTS),
    failures: firstList(data, isCore ? CORE_FAILURE_LISTS : ORDERS_FAILURE_LISTS),
  };
}

function toStatus(value: JsonValue | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** A GraphQL Int ends at 2^31 - 1. Some serialisers write a count as digits in a string. */
function toCount(value: JsonValue | undefined): number | null {
  const isDigits = typeof value === 'string' && /^\d+$/.test(value);
  const count = isDigits ? Number(value) : toNumber(value);
  return count !== undefined && Number.isInteger(count) && count >= 0 && count < 2 ** 31
    ? count
    : null;
}

function firstList(data: JsonObject, names: readonly string[]): readonly JsonValue[] | null {
  for (const name of names) {
    const list = member(data, name);
    if (Array.isArray(list)) return list;
  }
  return null;
}

function isFinished(
  status: string | null,
  { total, success, failure }: Counts,
  finishedStatuses: ReadonlySet<string>,
): boolean | null {
  if (status !== null && finishedStatuses.has(status.toUpperCase())) return true;
  const areCounted = total !== null && total > 0;
  if (areCounted && (success ?? 0) + (failure ?? 0) >= total) return true;
  // A count that is missing may hold the rest.
  const isUnfinished = areCounted && success !== null && failure !== null;
  return status !== null || isUnfinished ? false : null;
}

function toProgress({ total, success, failure }: Counts): number | null {
  if (total === null || total === 0 || (success === null && failure === null)) return null;
  return Math.min(1, ((success ?? 0) + (failure ?? 0)) / total);
}
