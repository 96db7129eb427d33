import { batchToText } from '../core/batch-key.ts';
import type { Caller } from '../core/caller.ts';
import type { FollowService } from '../status/follow.ts';
import type { BatchNews } from '../status/poller.ts';
import type { EndUser } from '../upstream/request.ts';
import type { BatchReference, BatchUpdate, GraphQLContext } from './context.ts';
import { toPermittedKey } from './schema/batch-status.ts';

interface UpdateQueueOptions extends Pick<GraphQLContext, 'principal' | 'participantTypes'> {
  followService: FollowService;
  user: EndUser | undefined;
  /** Whose calls the polls count among. */
  caller: Caller;
}

/**
 * What becomes of several batches, as the source of a subscription. Of each batch the latest update alone waits to be
 * taken. It ends when all of them have.
 */
export class UpdateQueue implements AsyncIterableIterator<BatchUpdate> {
  /** Names the batch of the update that was taken last: equal for two updates of one batch. */
  slot = '';
  /** Whether that update has a status. */
  hasStatus = false;
  readonly #waiting = new Map<string, BatchUpdate & { hasStatus: boolean }>();
  /** How to leave each of those that are followed still. */
  readonly #followed = new Map<string, () => void>();
  #wake: (() => void) | undefined;
  #isOver = false;

  constructor(batches: readonly BatchReference[], options: UpdateQueueOptions) {
    for (const batch of batches) this.#follow(batch, options);
  }

  #follow(batch: BatchReference, { followService, user, caller, ...context }: UpdateQueueOptions) {
    const slot = batchToText(batch);
    if (this.#followed.has(slot) || this.#waiting.has(slot)) return;
    try {
      const key = toPermittedKey(batch.participantType, batch.batchId, context);
      // It may end before it is known how to leave it.
      let hasEnded = false;
      const leave = followService.follow(key, user, {
        caller,
        onNews: (news) => this.#put(slot, batch, news),
        onEnd: () => {
          hasEnded = true;
          this.#followed.delete(slot);
          this.#wake?.();
        },
      });
      if (!hasEnded) this.#followed.set(slot, leave);
    } catch (error) {
      this.#put(slot, batch, { error });
    }
  }

  #put(slot: string, batch: BatchReference, news: BatchNews): void {
    const load = () => {
      if ('error' in news) throw news.error;
      return news.status;
    };
    this.#waiting.set(slot, { ...batch, load, hasStatus: 'status' in news });
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<BatchUpdate, undefined>> {
    while (!this.#isOver) {
      for (const [slot, value] of this.#waiting) {
        this.#waiting.delete(slot);
        this.slot = slot;
        this.hasStatus = value.hasStatus;
        return { value };
      }
      if (this.#followed.size === 0) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    return { done: true, value: undefined };
  }

  /** Leaves them all. */
  async return(): Promise<IteratorResult<BatchUpdate, undefined>> {
    this.#isOver = true;
    for (const leave of this.#followed.values()) leave();
    this.#followed.clear();
    this.#waiting.clear();
    this.#wake?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
