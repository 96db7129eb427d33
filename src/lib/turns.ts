/**
 * Lets work that is heavy, or comes in crowds, be done one piece in a turn of the event loop: so what is light waits
 * for one piece, and not for all of them. One for the whole process.
 */
export class Turns {
  /** Those that wait for the turns of a group; none is empty. The group that has waited longest is the first. */
  readonly #groups = new Map<string, (() => void)[]>();
  readonly #urgent: (() => void)[] = [];
  #isTaken = false;

  /**
   * Resolves when it is the turn of the caller; undefined: it is now. Groups have turns one after the other, however
   * many of a group wait: a caller, or a kind of work.
   */
  next(group: string): Promise<void> | undefined {
    if (this.#isFree()) return undefined;
    return new Promise((resolve) => {
      const waiting = this.#groups.get(group);
      if (waiting === undefined) this.#groups.set(group, [resolve]);
      else waiting.push(resolve);
    });
  }

  /** The same for work that ends other work: it comes before all groups. */
  nextUrgent(): Promise<void> | undefined {
    if (this.#isFree()) return undefined;
    return new Promise((resolve) => void this.#urgent.push(resolve));
  }

  #isFree(): boolean {
    if (this.#isTaken) return false;
    this.#isTaken = true;
    setImmediate(() => this.#endTurn());
    return true;
  }

  #endTurn(): void {
    const next = this.#urgent.shift() ?? this.#nextOfGroups();
    this.#isTaken = next !== undefined;
    if (next === undefined) return;
    setImmediate(() => this.#endTurn());
    next();
  }

  #nextOfGroups(): (() => void) | undefined {
    for (const [group, waiting] of this.#groups) {
      const next = waiting.shift();
      this.#groups.delete(group);
      if (waiting.length > 0) this.#groups.set(group, waiting);
      return next;
    }
    return undefined;
  }
}
