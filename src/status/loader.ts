import DataLoader from 'dataloader';
import { type BatchKey, toEntityId } from '../core/batch-key.ts';
import { FieldError } from '../core/errors.ts';
import type { UpstreamError } from '../upstream/errors.ts';
import type { Requester, StatusService } from './service.ts';
import type { BatchStatus } from './status.ts';

/** What the statuses of one request came to. */
export interface LoadSummary {
  readonly upstreamCalls: number;
  /** Statuses that are older than they should be, because the upstream fails. */
  readonly staleStatuses: number;
  /** Because of which failures, one of each kind. */
  readonly staleBecause: readonly UpstreamError[];
  /**
   * Until when every status may be served again, on the gateway's clock: 0 where one is not from the cache,
   * Infinity where there is none.
   */
  readonly freshUntil: number;
  /** The `size` of the largest of them; 0 where there is none. */
  readonly largestSize: number;
}

/**
 * Statuses within one request: equal keys are asked for once, different keys go out together. One for each
 * request, never shared between two.
 */
export interface StatusLoader {
  /** Rejects with an `UpstreamError`, or the reason of the requester's signal. */
  load(key: BatchKey): Promise<BatchStatus>;
  summary(): LoadSummary;
}

/**
 * The upstream has no bulk endpoint, so the batch function fans out, bounded by the connections of the HTTP
 * client; a key that fails is an Error in its place and leaves the others alone. Of keys that come together and
 * make it more than `maxKeys` different ones in all, none is asked for: {@link FieldError}.
 */
export function createStatusLoader(
  service: StatusService,
  requester: Requester,
  maxKeys: number,
): StatusLoader {
  let asked = 0;
  let upstreamCalls = 0;
  let staleStatuses = 0;
  let freshUntil = Number.POSITIVE_INFINITY;
  let largestSize = 0;
  const staleBecause: UpstreamError[] = [];

  async function loadOne(key: BatchKey): Promise<BatchStatus | Error> {
    const result = await service.get(key, requester);
    upstreamCalls += result.upstreamCalls;
    if ('error' in result) return toError(result.error);
    freshUntil = Math.min(freshUntil, result.freshUntil);
    largestSize = Math.max(largestSize, result.status.size);
    const failure = result.staleBecause;
    if (failure !== undefined) {
      staleStatuses += 1;
      if (!staleBecause.some(({ kind }) => kind === failure.kind)) staleBecause.push(failure);
    }
    return result.status;
  }

  const loader = new DataLoader<BatchKey, BatchStatus, string>(
    async (keys) => {
      asked += keys.length;
      if (asked > maxKeys) {
        const refusal = new FieldError(
          'OPERATION_TOO_COMPLEX',
          `The request asks for more than ${maxKeys} different batches.`,
        );
        return keys.map(() => refusal);
      }
      return Promise.all(keys.map(loadOne));
    },
    { cacheKeyFn: toEntityId },
  );
  return {
    load: (key) => loader.load(key),
    summary: () => ({ upstreamCalls, staleStatuses, staleBecause, freshUntil, largestSize }),
  };
}

/** An abort's reason can be anything; DataLoader tells a failure by its being an Error. */
function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the request was aborted', { cause: reason });
}
