import type { Caller } from '../core/caller.ts';
import type { CancelSignal } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import { FairSemaphore, type Group, type Permit } from '../lib/fair-semaphore.ts';
import type { Turns } from '../lib/turns.ts';
import { tooManyCalls } from '../upstream/errors.ts';

interface CallSlotsOptions {
  /** Calls at a time. */
  slots: number;
  /** For calls that have waited: slots that were taken together become free together. */
  turns: Turns;
  clock: Clock;
}

/**
 * How many upstream calls are made at a time, and whose. A caller that holds a quarter of the slots leaves an
 * eighth alone, and a participant type that holds half of them the other half, if there were others within the last
 * minute: so who comes next does not wait for calls that hang. Who waits is served fairly by caller.
 */
export interface CallSlots {
  /** Calls that are made now. */
  readonly used: number;
  /** Calls that wait for a slot. */
  readonly waiting: number;
  /**
   * A slot for one call; a promise where it has to wait, that rejects with the reason of `signal`, or with an
   * `UpstreamError` when too many wait. Of those that have waited one begins in a turn of the event loop.
   */
  enter(participantType: string, caller: Caller, signal: CancelSignal): Permit | Promise<Permit>;
}

/** For each slot: so many calls of 300 ms are made within the default deadline of a request. */
const WAITING_PER_SLOT = 16;

export function createCallSlots({ slots, turns, clock }: CallSlotsOptions): CallSlots {
  const semaphore = new FairSemaphore({ capacity: slots, maxWaiting: WAITING_PER_SLOT * slots });
  const callers = new RecentKeys();
  const types = new RecentKeys();
  /** The last one, with its key. */
  let type = { name: '', key: '' };

  function groupOf(recent: RecentKeys, key: string, share: number, reserve: number): Group {
    return {
      key,
      share: Math.max(1, Math.floor(share * slots)),
      reserve: recent.hasOther(key) ? Math.floor(reserve * slots) : 0,
    };
  }

  async function inTurn(
    entering: Promise<Permit>,
    { key }: Caller,
    signal: CancelSignal,
  ): Promise<Permit> {
    const permit = await entering;
    await turns.next(key);
    if (!signal.aborted) return permit;
    permit.leave();
    throw signal.reason;
  }

  return {
    get used() {
      return semaphore.used;
    },
    get waiting() {
      return semaphore.waiting;
    },
    enter(participantType, caller, signal) {
      const now = clock.now();
      if (participantType !== type.name) {
        type = { name: participantType, key: JSON.stringify({ participantType }) };
      }
      callers.add(caller.key, now);
      types.add(type.key, now);
      const ofCaller = groupOf(callers, caller.key, caller.weight / 4, 1 / 8);
      const ofType = groupOf(types, type.key, 1 / 2, 1 / 2);
      const entering = semaphore.acquire(
        { size: 1, groups: [ofCaller, ofType] },
        { signal: () => signal, refused: tooManyCalls, aborted: () => signal.reason },
      );
      return entering instanceof Promise ? inTurn(entering, caller, signal) : entering;
    },
  };
}

/** So long somebody counts who may come again. */
const RECENT_MS = 60_000;

/** Tells whether there were others of late, by the last two that differ. */
class RecentKeys {
  #last = { key: '', at: Number.NEGATIVE_INFINITY };
  #before = this.#last;
  #now = Number.NEGATIVE_INFINITY;

  add(key: string, now: number): void {
    this.#now = now;
    if (this.#last.key === key) {
      this.#last.at = now;
      return;
    }
    this.#before = this.#last;
    this.#last = { key, at: now };
  }

  hasOther(key: string): boolean {
    const other = this.#last.key === key ? this.#before : this.#last;
    return this.#now - other.at < RECENT_MS;
  }
}
