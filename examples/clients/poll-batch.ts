import { adviceFor, type GatewayError } from './gateway-errors.ts';
import type { Batch } from './operations.ts';

/** What a query came to: `data` may be partial, with an error for each part that is missing. */
export interface Answer<Data> {
  data: Data | null;
  errors: GatewayError[];
}

export interface PollOptions {
  /** From an answer to the next question, in milliseconds; default 2,000. */
  intervalMs?: number;
  /** Ends the polling, without an error. */
  signal?: AbortSignal | undefined;
  /** Resolves after `ms` milliseconds, or as soon as `signal` aborts. */
  wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Asks until the batch is finished, and yields what each answer says. An error that may pass is
 * waited out, for its `retryAfterMs` if that is longer than the interval; any other is thrown, as
 * is whatever `ask` throws.
 */
export async function* pollBatch(
  ask: () => Promise<Answer<{ batchStatus: Batch | null }>>,
  { intervalMs = 2_000, signal, wait = delay }: PollOptions = {},
): AsyncGenerator<Batch, void> {
  try {
    while (!signal?.aborted) {
      const { data, errors } = await ask();
      if (signal?.aborted) return;
      const [error] = errors;
      if (error && adviceFor(error).action !== 'try-again') throw error;
      if (data?.batchStatus) yield data.batchStatus;
      if (data?.batchStatus?.finished) return;
      await wait(Math.max(intervalMs, error?.retryAfterMs ?? 0), signal);
    }
  } catch (error) {
    // A fetch that is aborted rejects.
    if (!signal?.aborted) throw error;
  }
}

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal?.aborted) done();
    else signal?.addEventListener('abort', done);
  });
}
