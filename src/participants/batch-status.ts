import type { BatchKey } from './batch-key.ts';
import { type JsonObject, member, type SuccessEnvelope, type UpstreamEcho } from './envelope.ts';

/** How far a batch is, as the upstream said at one moment. Shared between requests: not to be changed. */
export interface BatchStatus {
  readonly key: BatchKey;
  /** The upstream's payload, whole. */
  readonly data: JsonObject;
  readonly request: UpstreamEcho;
  /** When the upstream said so. */
  readonly fetchedAt: Date;
  /** True for a copy that is older than copies should be, because the upstream fails. */
  readonly stale: boolean;
  /** `data.status` as the upstream words it. */
  readonly status: string | null;
  /** Whether that is a status in which nothing happens any more; null when there is no status. */
  readonly finished: boolean | null;
  readonly totalCount: number | null;
  readonly successCount: number | null;
  readonly failureCount: number | null;
  /** The share of the batch that is done, 0 to 1; null when it cannot be told. */
  readonly progress: number | null;
  /** Length of the answer's text, a measure for the memory it takes. */
  readonly size: number;
}

export interface BatchStatusSource {
  key: BatchKey;
  envelope: SuccessEnvelope;
  fetchedAt: Date;
  size: number;
  /** In upper case. */
  finishedStatuses: ReadonlySet<string>;
}

/**
 * Reads the typed fields out of `data`. No document promises them for this endpoint (only its
 * siblings have them), so each is null when it is missing or of another type; names are found
 * without regard to case.
 */
export function toBatchStatus(source: BatchStatusSource): BatchStatus {
  const { key, envelope, fetchedAt, size, finishedStatuses } = source;
  const { data, request } = envelope;
  const status = member(data, 'status');
  const statusText = typeof status === 'string' && status !== '' ? status : null;
  const totalCount = toCount(member(data, 'totalCount'));
  const successCount = toCount(member(data, 'successCount'));
  const failureCount = toCount(member(data, 'failureCount'));
  return {
    key,
    data,
    request,
    fetchedAt,
    stale: false,
    size,
    status: statusText,
    finished: statusText === null ? null : finishedStatuses.has(statusText.toUpperCase()),
    totalCount,
    successCount,
    failureCount,
    progress: toProgress(totalCount, successCount, failureCount),
  };
}

/** A GraphQL Int ends at 2^31 - 1. */
function toCount(value: unknown): number | null {
  const isCount = typeof value === 'number' && Number.isInteger(value) && value >= 0;
  return isCount && value < 2 ** 31 ? value : null;
}

function toProgress(
  total: number | null,
  success: number | null,
  failure: number | null,
): number | null {
  if (total === null || total === 0 || (success === null && failure === null)) return null;
  return Math.min(1, ((success ?? 0) + (failure ?? 0)) / total);
}
