/** Batches that are followed, `b-0` and so on. */
export const BATCHES = 100;

/** A batch whose status is long, whatever else is asked for. Nobody waits for its changes. */
export const LONG_BATCH = 'long';
export const LONG_BYTES = 500_000;

/** So many of the clients that do not read follow that: for each, the kernel takes 3 MB before the gateway notices. */
export const LONG_SHARE = 0.2;

/** Each batch changes once in so long. */
export const CHANGE_MS = 1_000;

/** How often a batch has changed by a moment, as `now()` has it. They take turns. */
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
