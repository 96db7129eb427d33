/**
 * Lets heavy work be done one piece in a turn of the event loop: so what is light waits for one piece, and not for
 * all of them. One for the whole process.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  /** Resolves when it is the turn of the caller; undefined: it is now. Those that wait are served in order. */
  next(): Promise<void> | undefined {
    if (!this.#isTaken) {
      this.#isTaken = true;
      setImmediate(() => this.#endTurn());
      return undefined;
    }
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  #endTurn(): void {
    const next = this.#waiting.shift();
    this.#isTaken = next !== undefined;
    if (next === undefined) return;
    setImmediate(() => this.#endTurn());
    next();
  }
}
