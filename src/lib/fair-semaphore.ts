import type { CancelSignal } from './cancellation.ts';

/** A group that an entry belongs to, such as its caller, and what the group may hold while others wait. */
export interface Group {
  /** Equal for two entries of one group. */
  readonly key: string;
  /** So much it may hold, whoever else waits. */
  readonly share: number;
  /** So much of the capacity it leaves alone once it holds its share: others may come. */
  readonly reserve: number;
}

/** What is to be admitted: it holds a part of the capacity until it leaves. */
export interface Entry {
  /** What it holds. One that is larger than the capacity is admitted alone. */
  readonly size: number;
  /** The first is the group between which the capacity is shared out fairly: the caller. */
  readonly groups: readonly [Group, ...Group[]];
  /** What it holds now, as the semaphore keeps it; undefined: it was not admitted, or has left. */
  held: number | undefined;
  /** Called when it is admitted after a wait. */
  admitted(): void;
  /** Called when it is turned away after a wait, in favour of a caller with fewer entries. */
  refused(): void;
}

/** What an admitted entry holds. */
export interface Permit {
  /** How much that is; undefined: it was given back. */
  readonly held: number | undefined;
  /** Sets how much that is, once it is known better. */
  resize(size: number): void;
  /** Gives it back. Does nothing the second time. */
  leave(): void;
}

/** How a wait can end without a permit. */
interface Waiting {
  /** Asked for only where there is a wait. */
  signal(): CancelSignal;
  refused(): unknown;
  aborted(): unknown;
}

/**
 * Shares a capacity out. Nobody waits while there is room, except that a group which holds its share leaves its
 * reserve alone. Of those that wait, those come first whose groups are below their shares, then those whose caller
 * would hold least of its share, then those that came first. At most `maxWaiting` wait: then the caller with most
 * entries among them gives way.
 */
export class FairSemaphore {
  readonly #capacity: number;
  readonly #maxWaiting: number;
  #used = 0;
  /** By the key of the group. */
  readonly #heldBy = new Map<string, number>();
  /** A queue for those that belong to the same groups, in the order in which they came; none is empty. */
  readonly #queues = new Map<string, Queue>();
  #waiting = 0;
  #entered = 0;

  constructor({ capacity, maxWaiting }: { capacity: number; maxWaiting: number }) {
    this.#capacity = capacity;
    this.#maxWaiting = maxWaiting;
  }

  get hasWaiting(): boolean {
    return this.#waiting > 0;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** How much of the capacity is held. */
  get used(): number {
    return this.#used;
  }

  /**
   * What {@link enter} does, as a value: the permit, or a promise where it has to wait. That rejects with `refused()`
   * when too many wait, and with `aborted()` when the signal aborts before.
   */
  acquire(
    { size, groups }: Pick<Entry, 'size' | 'groups'>,
    waiting: Waiting,
  ): Permit | Promise<Permit> {
    const entry = new PermitEntry(this, size, groups);
    if (!this.#mayEnter(entry)) return this.#wait(entry, waiting);
    this.#hold(entry);
    return entry;
  }

  #wait(entry: PermitEntry, { signal, refused, aborted }: Waiting): Promise<Permit> {
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const giveUp = () => {
      this.leave(entry);
      reject(aborted());
    };
    entry.onAdmitted = () => {
      signal().removeEventListener('abort', giveUp);
      resolve(entry);
    };
    entry.onRefused = () => {
      signal().removeEventListener('abort', giveUp);
      reject(refused());
    };
    if (this.#enqueue(entry) === 'full') reject(refused());
    else if (signal().aborted) giveUp();
    else signal().addEventListener('abort', giveUp);
    return promise;
  }

  /** `full`: it was turned away, because too many wait already. */
  enter(entry: Entry): 'admitted' | 'waiting' | 'full' {
    if (!this.#mayEnter(entry)) return this.#enqueue(entry);
    this.#hold(entry);
    return 'admitted';
  }

  #enqueue(entry: Entry): 'waiting' | 'full' {
    if (this.#waiting >= this.#maxWaiting && !this.#makeRoomFor(entry)) return 'full';
    const key = queueKey(entry);
    const queue: Queue = this.#queues.get(key) ?? new Map();
    this.#entered += 1;
    queue.set(entry, this.#entered);
    this.#queues.set(key, queue);
    this.#waiting += 1;
    return 'waiting';
  }

  /** Ends the wait of an entry, or gives back what it holds. Does nothing the second time. */
  leave(entry: Entry): void {
    const { held } = entry;
    if (held !== undefined) {
      entry.held = undefined;
      this.#count(entry, -held);
      this.#admitNext();
    } else if (this.#stopWaiting(entry) && this.#used < this.#capacity) {
      // Smaller ones may have waited behind it.
      this.#admitNext();
    }
  }

  /** Sets what an admitted entry holds, once that is known better. */
  resize(entry: Entry, size: number): void {
    const before = entry.held;
    if (before === undefined) return;
    entry.held = size;
    this.#count(entry, size - before);
    if (size < before) this.#admitNext();
  }

  #admitNext(): void {
    for (let next = this.#best(); next !== undefined; next = this.#best()) {
      this.#stopWaiting(next);
      this.#hold(next);
      next.admitted();
    }
  }

  #hold(entry: Entry): void {
    entry.held = entry.size;
    this.#count(entry, entry.size);
  }

  #count({ groups }: Entry, change: number): void {
    this.#used += change;
    for (const { key } of groups) {
      const held = (this.#heldBy.get(key) ?? 0) + change;
      if (held === 0) this.#heldBy.delete(key);
      else this.#heldBy.set(key, held);
    }
  }

  /** False where it does not wait. */
  #stopWaiting(entry: Entry): boolean {
    const key = queueKey(entry);
    const queue = this.#queues.get(key);
    if (!queue?.delete(entry)) return false;
    if (queue.size === 0) this.#queues.delete(key);
    this.#waiting -= 1;
    return true;
  }

  /** The one with the best claim of those that wait and are not held back; undefined where that does not fit in. */
  #best(): Entry | undefined {
    let best: Entry | undefined;
    let bestClaim = Number.POSITIVE_INFINITY;
    let bestOrder = 0;
    for (const queue of this.#queues.values()) {
      const [first] = queue;
      if (first === undefined) continue;
      const [entry, order] = first;
      const claim = this.#claim(entry);
      const isBetter = claim < bestClaim || (claim === bestClaim && order < bestOrder);
      if (isBetter && !this.#isHeldBack(entry))
        [best, bestClaim, bestOrder] = [entry, claim, order];
    }
    return best !== undefined && this.#fits(best) ? best : undefined;
  }

  #hasClaimBefore(entry: Entry): boolean {
    if (this.#waiting === 0) return false;
    const claim = this.#claim(entry);
    for (const queue of this.#queues.values()) {
      const [first] = queue.keys();
      if (first !== undefined && this.#claim(first) <= claim && !this.#isHeldBack(first))
        return true;
    }
    return false;
  }

  /** The smaller, the better: below 1 where all groups are below their shares. */
  #claim({ groups, size }: Entry): number {
    const [{ key, share }] = groups;
    const ofShare = Math.min(((this.#heldBy.get(key) ?? 0) + size) / share, 1e6);
    for (const group of groups) if (this.#isAboveShare(group, size)) return 1 + ofShare;
    return Math.min(ofShare, 0.999_999);
  }

  #isAboveShare({ key, share }: Group, size: number): boolean {
    const held = this.#heldBy.get(key) ?? 0;
    return held > 0 && held + size > share;
  }

  /** Without a wait. Who waits has an older claim, unless this one has a better one. */
  #mayEnter(entry: Entry): boolean {
    return this.#fits(entry) && !this.#isHeldBack(entry) && !this.#hasClaimBefore(entry);
  }

  #fits({ size }: Entry): boolean {
    return this.#used === 0 || this.#used + size <= this.#capacity;
  }

  #isHeldBack({ groups, size }: Entry): boolean {
    const left = this.#capacity - this.#used - size;
    for (const group of groups) {
      if (left < group.reserve && this.#isAboveShare(group, size)) return true;
    }
    return false;
  }

  /** Turns away the last entry of the caller that has most of those that wait, if it has more than this one's. */
  #makeRoomFor({ groups: [caller] }: Entry): boolean {
    const entriesOf = new Map<string, Queue[]>();
    const lengthOf = (queues: readonly Queue[]) => queues.reduce((sum, { size }) => sum + size, 0);
    for (const queue of this.#queues.values()) {
      const [first] = queue.keys();
      if (first === undefined) continue;
      const [{ key }] = first.groups;
      entriesOf.set(key, [...(entriesOf.get(key) ?? []), queue]);
    }
    const own = lengthOf(entriesOf.get(caller.key) ?? []);
    const [most = []] = [...entriesOf.values()].toSorted((a, b) => lengthOf(b) - lengthOf(a));
    if (lengthOf(most) <= own + 1) return false;
    const [longest] = most.toSorted((a, b) => b.size - a.size);
    const last = [...(longest?.keys() ?? [])].at(-1);
    if (last === undefined) return false;
    this.#stopWaiting(last);
    last.refused();
    return true;
  }
}

/** An entry that is its own permit: most never wait, and need no more. */
class PermitEntry implements Entry, Permit {
  readonly size: number;
  readonly groups: Entry['groups'];
  held: number | undefined;
  onAdmitted: (() => void) | undefined;
  onRefused: (() => void) | undefined;
  readonly #semaphore: FairSemaphore;

  constructor(semaphore: FairSemaphore, size: number, groups: Entry['groups']) {
    this.#semaphore = semaphore;
    this.size = size;
    this.groups = groups;
  }

  admitted(): void {
    this.onAdmitted?.();
  }

  refused(): void {
    this.onRefused?.();
  }

  resize(size: number): void {
    this.#semaphore.resize(this, size);
  }

  leave(): void {
    this.#semaphore.leave(this);
  }
}

/** Entries, each with its place in the order in which all came. */
type Queue = Map<Entry, number>;

function queueKey({ groups }: Entry): string {
  return groups.length === 1 ? groups[0].key : JSON.stringify(groups.map(({ key }) => key));
}
