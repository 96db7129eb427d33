import DataLoader from 'dataloader';
import { type BatchKey, toEntityId } from '../core/batch-key.ts';
import { FieldError } from '../core/errors.ts';
import { UpstreamError } from '../upstream/errors.ts';
import type { HeldStatuses } from './held-statuses.ts';
import type { Requester, StatusResult, StatusService } from './service.ts';
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
  /** The `jsonBytes` of the longest of them; 0 where there is none. */
  readonly longestJson: number;
}

/**
 * Statuses within one request: equal keys are asked for once, different keys go out together. One for each
 * request, never shared between two.
 */
export interface StatusLoader {
  /**
   * Rejects with an `UpstreamError`, the reason of the requester's signal, or a {@link FieldError}: for too many keys,
   * and where there is no memory for the status.
   */
  load(key: BatchKey): Promise<BatchStatus>;
  summary(): LoadSummary;
  /** To be called when what was loaded is not needed any more: it may hold much memory. */
  release(): void;
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
  heldStatuses: HeldStatuses,
): StatusLoader {
  const held: object[] = [];
  let isReleased = false;
  let asked = 0;
  let upstreamCalls = 0;
  let staleStatuses = 0;
  let freshUntil = Number.POSITIVE_INFINITY;
  let longestJson = 0;
  const staleBecause: UpstreamError[] = [];

  function loadOne(key: BatchKey): BatchStatus | Error | Promise<BatchStatus | Error> {
    const result = service.get(key, requester);
    return result instanceof Promise ? result.then(accept) : accept(result);
  }

  function accept(result: StatusResult): BatchStatus | Error {
    upstreamCalls += result.upstreamCalls;
    if ('error' in result) {
      const { error } = result;
      if (!(error instanceof UpstreamError)) return toError(error);
      return hold(error, error.size) ? error : overloaded();
    }
    const { status } = result;
    if (!hold(status.data, status.size)) return overloaded();
    freshUntil = Math.min(freshUntil, result.freshUntil);
    longestJson = Math.max(longestJson, status.jsonBytes);
    const failure = result.staleBecause;
    if (failure !== undefined) {
      if (!hold(failure, failure.size)) return overloaded();
      staleStatuses += 1;
      if (!staleBecause.some(({ kind }) => kind === failure.kind)) staleBecause.push(failure);
    }
    return status;
  }

  /** Until the loader is released. */
  function hold(object: object, bytes: number): boolean {
    // The request has its answer already.
    if (isReleased) return false;
    const isHeld = heldStatuses.hold(object, bytes);
    if (isHeld) held.push(object);
    return isHeld;
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
    // All fields of a level ask within one tick.
    { cacheKeyFn: toEntityId, batchScheduleFn: queueMicrotask },
  );
  return {
    load: (key) => loader.load(key),
    summary: () => ({ upstreamCalls, staleStatuses, staleBecause, freshUntil, longestJson }),
    release() {
      isReleased = true;
      for (const object of held.splice(0)) heldStatuses.release(object);
    },
  };
}

/** An abort's reason can be anything; DataLoader tells a failure by its being an Error. */
function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the request was aborted', { cause: reason });
}

function overloaded(): FieldError {
  const message =
    'The requests under way hold as much as there is memory for: try again in a moment.';
  return new FieldError('OVERLOADED', message);
}
