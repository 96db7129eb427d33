/**
 * Waits for `promise`, but no longer than until `signal` aborts: then it rejects with the signal's
 * reason. What the promise stands for goes on, for the others that wait for it.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
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
