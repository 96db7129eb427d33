/** Batches that are followed, `b-0` and so on; each changes once in so long, in turn. */
export const BATCHES = 100;
const CHANGE_MS = 1_000;

/** A batch whose status is long. A part of the clients that do not read follow it: the kernel takes 3 MB for each. */
export const LONG_BATCH = 'long';
export const LONG_BYTES = 500_000;
export const LONG_SHARE = 0.2;

/** How often a batch has changed by a moment, as `now()` has it. */
export function changesBy(batchId: string, moment: number): number {
  return Math.floor((moment - offsetOf(batchId)) / CHANGE_MS);
}

/** When a batch changed for the n-th time. */
export function momentOf(batchId: string, change: number): number {
  return change * CHANGE_MS + offsetOf(batchId);
}

function offsetOf(batchId: string): number {
  const number = Number(batchId.slice('b-'.length)) || 0;
  return (number * CHANGE_MS) / BATCHES;
}
