import type { CancelSignal } from './cancellation.ts';
import type { Clock } from './clock.ts';

/**
 * Waits for `promise`, but no longer than until `signal` aborts: then it rejects with the signal's
 * reason. What the promise stands for goes on, for the others that wait for it.
 */
export function untilAborted<T>(promise: Promise<T>, signal: CancelSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp);
    promise.then(
      (value) => {
        signal.removeEventListener('abort', giveUp);
        resolve(value);
      },
      (reason: unknown) => {
        signal.removeEventListener('abort', giveUp);
        reject(reason);
      },
    );
  });
}

/** Resolves after `ms`, or rejects with the reason of `signal` as soon as that aborts. */
export async function pause(ms: number, clock: Clock, signal: CancelSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, resolve);
  try {
    await untilAborted(promise, signal);
  } finally {
    cancel();
  }
}
