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
  /** Called when it is admitted after a wait. */
  admitted(): void;
  /** Called when it is turned away after a wait, in favour of a caller with fewer entries. */
  refused(): void;
}

/** What an admitted entry holds. */
export interface Permit {
  /** Sets how much that is, once it is known better. */
  resize(size: number): void;
  /** Gives it back. Does nothing the second time. */
  leave(): void;
}

/** How a wait can end without a permit. */
interface Waiting {
  /** Asked for only where there is a wait. */
  signal(): AbortSignal;
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
  readonly #admitted = new Map<Entry, number>();
  readonly #waiting = new Set<Entry>();

  constructor({ capacity, maxWaiting }: { capacity: number; maxWaiting: number }) {
    this.#capacity = capacity;
    this.#maxWaiting = maxWaiting;
  }

  get hasWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /**
   * What {@link enter} does, as a value: the permit, or a promise where it has to wait. That rejects with `refused()`
   * when too many wait, and with `aborted()` when the signal aborts before.
   */
  acquire(
    { size, groups }: Pick<Entry, 'size' | 'groups'>,
    { signal, refused, aborted }: Waiting,
  ): Permit | Promise<Permit> {
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const permit: Permit = {
      resize: (to) => this.resize(entry, to),
      leave: () => this.leave(entry),
    };
    const giveUp = () => {
      this.leave(entry);
      reject(aborted());
    };
    const entry: Entry = {
      size,
      groups,
      admitted() {
        signal().removeEventListener('abort', giveUp);
        resolve(permit);
      },
      refused() {
        signal().removeEventListener('abort', giveUp);
        reject(refused());
      },
    };
    const admission = this.enter(entry);
    if (admission === 'admitted') return permit;
    if (admission === 'full') reject(refused());
    else if (signal().aborted) giveUp();
    else signal().addEventListener('abort', giveUp);
    return promise;
  }

  /** `full`: it was turned away, because too many wait already. */
  enter(entry: Entry): 'admitted' | 'waiting' | 'full' {
    // Who waits has an older claim, unless this one has a better one.
    if (this.#waiting.size === 0 && this.#fits(entry) && !this.#isHeldBack(entry)) {
      this.#hold(entry);
      return 'admitted';
    }
    if (this.#waiting.size >= this.#maxWaiting && !this.#makeRoomFor(entry)) return 'full';
    this.#waiting.add(entry);
    if (this.#best() !== entry || !this.#fits(entry)) return 'waiting';
    this.#waiting.delete(entry);
    this.#hold(entry);
    return 'admitted';
  }

  /** Ends the wait of an entry, or gives back what it holds. Does nothing the second time. */
  leave(entry: Entry): void {
    if (!this.#waiting.delete(entry)) this.resize(entry, 0);
    this.#admitted.delete(entry);
    this.#admitNext();
  }

  /** Sets what an admitted entry holds, once that is known better. */
  resize(entry: Entry, size: number): void {
    const before = this.#admitted.get(entry);
    if (before === undefined || before === size) return;
    this.#admitted.set(entry, size);
    this.#count(entry, size - before);
    if (size < before) this.#admitNext();
  }

  #admitNext(): void {
    for (let next = this.#best(); next && this.#fits(next); next = this.#best()) {
      this.#waiting.delete(next);
      this.#hold(next);
      next.admitted();
    }
  }

  #hold(entry: Entry): void {
    this.#admitted.set(entry, entry.size);
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

  /** Of those that wait and are not held back, the one with the best claim. */
  #best(): Entry | undefined {
    let best: Entry | undefined;
    let bestClaim = Number.POSITIVE_INFINITY;
    for (const entry of this.#waiting) {
      const claim = this.#claim(entry);
      if (claim < bestClaim && !this.#isHeldBack(entry)) [best, bestClaim] = [entry, claim];
    }
    return best;
  }

  /** The smaller, the better: below 1 where all groups are below their shares. */
  #claim({ groups, size }: Entry): number {
    const [{ key, share }] = groups;
    const ofShare = Math.min(((this.#heldBy.get(key) ?? 0) + size) / share, 1e6);
    const isAbove = groups.some((group) => this.#isAboveShare(group, size));
    return isAbove ? 1 + ofShare : Math.min(ofShare, 0.999_999);
  }

  #isAboveShare({ key, share }: Group, size: number): boolean {
    const held = this.#heldBy.get(key) ?? 0;
    return held > 0 && held + size > share;
  }

  #isHeldBack({ groups, size }: Entry): boolean {
    return groups.some(
      (group) =>
        this.#used + size > this.#capacity - group.reserve && this.#isAboveShare(group, size),
    );
  }

  #fits({ size }: Entry): boolean {
    return this.#used === 0 || this.#used + size <= this.#capacity;
  }

  /** Turns away the last entry of the caller that has most of those that wait, if it has more than this one's. */
  #makeRoomFor({ groups: [caller] }: Entry): boolean {
    const entriesOf = new Map<string, Entry[]>();
    for (const entry of this.#waiting) {
      const [{ key }] = entry.groups;
      const entries = entriesOf.get(key);
      if (entries === undefined) entriesOf.set(key, [entry]);
      else entries.push(entry);
    }
    let most: Entry[] = entriesOf.get(caller.key) ?? [];
    for (const entries of entriesOf.values()) if (entries.length > most.length + 1) most = entries;
    const last = most.at(-1);
    if (last === undefined || last.groups[0].key === caller.key) return false;
    this.#waiting.delete(last);
    last.refused();
    return true;
  }
}
