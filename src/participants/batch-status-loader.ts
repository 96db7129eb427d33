import DataLoader from 'dataloader';
import { type BatchKey, toEntityId } from './batch-key.ts';
import type { BatchStatus } from './batch-status.ts';
import type { BatchStatusCache, Requester } from './batch-status-cache.ts';
import { TooManyBatchesError } from './errors.ts';

/** Statuses within one request: equal keys are asked for once, different keys go out together. */
export type BatchStatusLoader = DataLoader<BatchKey, BatchStatus, string>;

/**
 * One for each request, never shared between two. The upstream has no bulk endpoint, so the batch
 * function fans out, bounded by the connections of the upstream's pool; a key that fails is an Error
 * in its place and leaves the others alone. Of keys that come together and make it more than
 * `maxKeys` different ones in all, none is asked for.
 */
export function createBatchStatusLoader(
  cache: BatchStatusCache,
  requester: Requester,
  maxKeys: number,
): BatchStatusLoader {
  let asked = 0;
  return new DataLoader<BatchKey, BatchStatus, string>(
    async (keys) => {
      asked += keys.length;
      if (asked > maxKeys) {
        const refusal = new TooManyBatchesError(
          `The request asks for more than ${maxKeys} different batches.`,
        );
        return keys.map(() => refusal);
      }
      const results = await Promise.allSettled(keys.map((key) => cache.get(key, requester)));
      return results.map((result) =>
        result.status === 'fulfilled' ? result.value : toError(result.reason),
      );
    },
    { cacheKeyFn: toEntityId },
  );
}

/** An abort's reason can be anything; DataLoader tells a failure by its being an Error. */
function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the request was aborted', { cause: reason });
}
