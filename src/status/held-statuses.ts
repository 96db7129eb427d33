/** What the statuses may take together that requests under way hold, in bytes. Those of the cache are bounded there. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The memory of what requests under way were answered by the upstream: statuses, and what errors say. */
export interface HeldStatuses {
  /**
   * Counts `bytes` for an object as long as somebody holds it, once however many do. False where that would be too
   * much: then it is not held, and must be let go.
   */
  hold(object: object, bytes: number): boolean;
  /** To be called once for each time that it was held. */
  release(object: object): void;
}

interface Held {
  readonly bytes: number;
  holders: number;
}

export function createHeldStatuses(maxBytes = MAX_BYTES): HeldStatuses {
  const byObject = new Map<object, Held>();
  let allBytes = 0;

  return {
    hold(object, bytes) {
      const held = byObject.get(object);
      if (held !== undefined) {
        held.holders += 1;
        return true;
      }
      if (allBytes + bytes > maxBytes) return false;
      byObject.set(object, { bytes, holders: 1 });
      allBytes += bytes;
      return true;
    },
    release(object) {
      const held = byObject.get(object);
      if (held === undefined) return;
      held.holders -= 1;
      if (held.holders > 0) return;
      byObject.delete(object);
      allBytes -= held.bytes;
    },
  };
}
