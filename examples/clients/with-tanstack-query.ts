import type { QueryKey, QueryObserverOptions } from '@tanstack/query-core';
import { adviceFor, GatewayError } from './gateway-errors.ts';
import { type Batch, BatchStatusQuery, type BatchVariables } from './operations.ts';
import type { FetchClient } from './with-fetch.ts';

interface PollOptions {
  /** From one question to the next, in milliseconds; default 2,000. */
  intervalMs?: number;
}

/** How often in succession an error that may pass is waited out before it is shown; polling goes on all the same. */
const RETRIES = 3;

/**
 * For `useQuery` of TanStack Query, in React, Vue, Svelte or Solid: polls until the batch is finished, or there is an
 * error that will not pass; waits for its `retryAfterMs` where that is longer than the interval. `error` is a
 * {@link GatewayError}, or what `fetch` rejects with.
 */
export function batchStatusQuery(
  client: FetchClient,
  variables: BatchVariables,
  { intervalMs = 2_000 }: PollOptions = {},
): QueryObserverOptions<Batch, Error, Batch, Batch, QueryKey> {
  return {
    queryKey: ['batchStatus', variables.participantType, variables.batchId ?? null],
    async queryFn({ signal }) {
      const { data, errors } = await client.query(BatchStatusQuery, variables, signal);
      const batch = data?.batchStatus;
      if (batch) return batch;
      throw errors[0] ?? new Error('There is neither a batch nor an error.');
    },
    refetchInterval: ({ state: { data, error } }) =>
      (error === null ? data?.finished : !mayPass(error)) ? false : waitFor(error, intervalMs),
    retry: (failures, error) => failures < RETRIES && mayPass(error),
    retryDelay: (failures, error) => waitFor(error, 1_000 * 2 ** failures),
  };
}

/** What is not the gateway's is a connection that may come back. */
function mayPass(error: Error): boolean {
  return !(error instanceof GatewayError) || adviceFor(error).action === 'try-again';
}

function waitFor(error: Error | null, ms: number): number {
  return Math.max(ms, error instanceof GatewayError ? (error.retryAfterMs ?? 0) : 0);
}
