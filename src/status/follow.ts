import type { BatchKey } from '../core/batch-key.ts';
import { FieldError } from '../core/errors.ts';
import type { EndUser } from '../upstream/request.ts';
import { type Follower, Poller, type PollerOptions } from './poller.ts';
import { batchStatusKey } from './service.ts';

interface FollowOptions extends PollerOptions {
  tenantId: string;
  /** How many different batches are followed at a time. */
  maxPollers: number;
  /** Called at each poll. */
  onPoll(): void;
}

/** Batches of a tenant, followed for the whole process: one poller for each, however many follow it. */
export interface FollowService {
  /** Batches that are polled now, by how many followers together. */
  use(): { readonly batches: number; readonly followers: number };
  /**
   * Tells a follower of a batch until its end, or until the returned function is called. Throws a {@link FieldError},
   * OVERLOADED, when too many different batches are followed.
   */
  follow(key: BatchKey, user: EndUser | undefined, follower: Follower): () => void;
}

export function createFollowService(options: FollowOptions): FollowService {
  const { tenantId, maxPollers, onPoll } = options;
  const pollers = new Map<string, Poller>();

  function pollerOf(key: BatchKey, user: EndUser | undefined): Poller {
    const id = batchStatusKey(tenantId, key, user);
    const known = pollers.get(id);
    if (known !== undefined) return known;
    if (pollers.size >= maxPollers) {
      throw new FieldError(
        'OVERLOADED',
        'The gateway follows as many batches as it can: ask with a query, or try again in a moment.',
      );
    }
    const poller = new Poller(key, user, options, {
      polled: onPoll,
      ended: () => void pollers.delete(id),
    });
    pollers.set(id, poller);
    return poller;
  }

  return {
    use() {
      let followers = 0;
      for (const poller of pollers.values()) followers += poller.followers;
      return { batches: pollers.size, followers };
    },
    follow: (key, user, follower) => pollerOf(key, user).add(follower),
  };
}
