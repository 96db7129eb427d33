import DataLoader from 'dataloader';
import type { BatchKey } from '../core/batch-key.ts';
import { FieldError } from '../core/errors.ts';
import type { StatusReport } from '../core/request-trace.ts';
import type { HeldMemory, MemoryUse } from '../lib/held-memory.ts';
import { UpstreamError } from '../upstream/errors.ts';
import type { Requester, StatusResult, StatusService } from './service.ts';
import type { BatchStatus } from './status.ts';

const LOADER_OPTIONS = {
  // A participant type has no "/": no two keys are the same text.
  cacheKeyFn: ({ participantType, batchId }: BatchKey) =>
    batchId === null ? participantType : `${participantType}/${batchId}`,
  // All fields of a level ask within one tick.
  batchScheduleFn: queueMicrotask,
};

/**
 * Statuses within one request: equal keys are asked for once, different keys go out together. One for each
 * request, never shared between two. The upstream has no bulk endpoint, so the batch function fans out; a key that
 * fails is an Error in its place and leaves the others alone.
 */
export class StatusLoader {
  readonly #service: Pick<StatusService, 'get'>;
  readonly #requester: Requester;
  readonly #maxKeys: number;
  readonly #heldMemory: HeldMemory;
  readonly #loader: DataLoader<BatchKey, BatchStatus, string>;
  readonly #held: MemoryUse[] = [];
  #isReleased = false;
  #asked = 0;
  /** Calls that were made because of this request. */
  upstreamCalls = 0;
  /** The X-COREOS-REQUEST-ID of each of them that brought a status. */
  readonly upstreamRequestIds: string[] = [];
  /** Statuses that are older than they should be, because the upstream fails. */
  staleStatuses = 0;
  /** Because of which failures, one of each kind. */
  readonly staleBecause: UpstreamError[] = [];
  /**
   * Until when every status may be served again, on the gateway's clock: 0 where one is not from the cache,
   * Infinity where there is none.
   */
  freshUntil = Number.POSITIVE_INFINITY;
  /** The `jsonBytes` of the longest of them; 0 where there is none. */
  longestJson = 0;
  /** The batches whose statuses it has; undefined: nobody wants to know. */
  readonly batches: BatchKey[] | undefined;

  constructor(
    service: Pick<StatusService, 'get'>,
    requester: Requester,
    maxKeys: number,
    heldMemory: HeldMemory,
    isAudited = false,
  ) {
    this.#service = service;
    this.#requester = requester;
    this.#maxKeys = maxKeys;
    this.#heldMemory = heldMemory;
    this.batches = isAudited ? [] : undefined;
    this.#loader = new DataLoader((keys) => this.#loadAll(keys), LOADER_OPTIONS);
  }

  /**
   * Rejects with an `UpstreamError`, the reason of the requester's signal, or a {@link FieldError}: where there is
   * no memory for the status, and for keys that come together and make it more than `maxKeys` different ones in all.
   */
  load(key: BatchKey): Promise<BatchStatus> {
    return this.#loader.load(key);
  }

  /** To be called when what was loaded is not needed any more: it may hold much memory. */
  release(): void {
    this.#isReleased = true;
    for (const use of this.#held) this.#heldMemory.release(use);
    this.#held.length = 0;
  }

  #loadAll(keys: readonly BatchKey[]): Promise<(BatchStatus | Error)[]> {
    this.#asked += keys.length;
    if (this.#asked > this.#maxKeys) {
      const refusal = new FieldError(
        'OPERATION_TOO_COMPLEX',
        `The request asks for more than ${this.#maxKeys} different batches.`,
      );
      return Promise.resolve(keys.map(() => refusal));
    }
    const results = keys.map((key) => this.#get(key));
    const [first] = results;
    // Most requests ask for one.
    return first instanceof Promise && results.length === 1
      ? first.then((result) => [this.#accept(result)])
      : Promise.all(results.map((result) => this.#acceptLater(result)));
  }

  #get(key: BatchKey): StatusResult | Promise<StatusResult> {
    const { observer } = this.#requester;
    const result = this.#service.get(key, this.#requester);
    if (observer === undefined) return result;
    const tell = (settled: StatusResult) => {
      observer.got(key, toReport(settled));
      return settled;
    };
    return result instanceof Promise ? result.then(tell) : tell(result);
  }

  #acceptLater(
    result: StatusResult | Promise<StatusResult>,
  ): BatchStatus | Error | Promise<BatchStatus | Error> {
    return result instanceof Promise
      ? result.then((settled) => this.#accept(settled))
      : this.#accept(result);
  }

  #accept(result: StatusResult): BatchStatus | Error {
    this.upstreamCalls += result.upstreamCalls;
    if ('error' in result) {
      const { error } = result;
      if (!(error instanceof UpstreamError)) return toError(error);
      return this.#hold(error.memory) ? error : tooMuchHeld();
    }
    const { status, staleBecause: failure } = result;
    if (!this.#hold(status.memory)) return tooMuchHeld();
    this.batches?.push(status.key);
    if (result.upstreamRequestId !== undefined) {
      this.upstreamRequestIds.push(result.upstreamRequestId);
    }
    this.freshUntil = Math.min(this.freshUntil, result.freshUntil);
    this.longestJson = Math.max(this.longestJson, status.jsonBytes);
    if (failure !== undefined) {
      if (!this.#hold(failure.memory)) return tooMuchHeld();
      this.staleStatuses += 1;
      if (!this.staleBecause.some(({ kind }) => kind === failure.kind)) {
        this.staleBecause.push(failure);
      }
    }
    return status;
  }

  /** Until the loader is released. */
  #hold(use: MemoryUse): boolean {
    // The request has its answer already.
    if (this.#isReleased) return false;
    const isHeld = this.#heldMemory.hold(use);
    if (isHeld) this.#held.push(use);
    return isHeld;
  }
}

function toReport(result: StatusResult): StatusReport {
  if ('error' in result) return { source: 'failed', fetchedAt: undefined, error: result.error };
  const { source, status, staleBecause } = result;
  return { source, fetchedAt: status.fetchedAt, error: staleBecause };
}

/** An abort's reason can be anything; DataLoader tells a failure by its being an Error. */
function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the request was aborted', { cause: reason });
}

/** More would be held than there is memory for. */
export function tooMuchHeld(): FieldError {
  const message =
    'The requests under way hold as much as there is memory for: try again in a moment.';
  return new FieldError('OVERLOADED', message);
}
