/** A permit of a {@link Semaphore}, or a wait for one. */
interface Permit {
  isHeld: boolean;
  /** Called when there is one after a wait. */
  readonly begin: () => void;
}

/** Bounds how many work at a time; others wait in order. */
interface Semaphore {
  /** A permit that is held at once, or a wait at whose end `begin` is called. */
  enter(begin: () => void): Permit;
  /** Gives the permit to who has waited longest, or ends the wait for it. To be called once. */
  leave(permit: Permit): void;
}

/*
 * The pool of undici has a queue, too. It is not used: what waits in there would go out over connections
 * that are to be renewed, and look as if it had been sent.
 */
export function createSemaphore(permits: number): Semaphore {
  let free = permits;
  const waiting = new Set<Permit>();

  return {
    enter(begin) {
      const permit = { isHeld: free > 0, begin };
      if (permit.isHeld) free -= 1;
      else waiting.add(permit);
      return permit;
    },
    leave(permit) {
      if (waiting.delete(permit)) return;
      const [next] = waiting;
      if (next === undefined) {
        free += 1;
        return;
      }
      waiting.delete(next);
      next.isHeld = true;
      // Not from here: should it fail at once, the one after it would begin within, and so on.
      queueMicrotask(next.begin);
    },
  };
}
