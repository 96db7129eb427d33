import { Client, type CombinedError, type Exchange, fetchExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import type { BatchSource } from './follow-batches.ts';
import { GatewayError } from './gateway-errors.ts';
import { iterate } from './iterate.ts';
import {
  type Batch,
  BatchStatusesQuery,
  BatchStatusQuery,
  BatchUpdatesSubscription,
  type BatchVariables,
} from './operations.ts';
import { type PollOptions, pollBatch } from './poll-batch.ts';

export interface UrqlOptions {
  /** Exchanges that work on requests before they are sent. */
  ahead?: Exchange[];
  /** `fetchWithToken`'s where callers have tokens. */
  send?: typeof fetch;
}

export function createUrqlClient(
  url: string,
  { ahead = [], send = fetch }: UrqlOptions = {},
): Client {
  return new Client({
    url,
    fetch: send,
    // Else short queries go out as GET, and proxies write the batch ids into their logs.
    preferGetMethod: false,
    // By server-sent events, over `fetch`: no package more.
    fetchSubscriptions: true,
    exchanges: [
      // Batches are kept by their `id`, which needs nothing said.
      cacheExchange({
        // These are parts of their batch. The id of a record is that of a participant, which can be in
        // many batches.
        keys: {
          BatchStatusUpdate: () => null,
          UpstreamRequest: () => null,
          BatchRecordConnection: () => null,
          BatchRecordEdge: () => null,
          BatchRecord: () => null,
          PageInfo: () => null,
        },
      }),
      ...ahead,
      fetchExchange,
    ],
  });
}

/** The gateway's errors in a result's `error`. Throws when the gateway could not be asked at all. */
export function gatewayErrors(error: CombinedError | undefined): GatewayError[] {
  if (error?.networkError) throw error.networkError;
  return (error?.graphQLErrors ?? []).map((each) => new GatewayError(each));
}

/** For `followBatches`. What comes renews the batch in the cache, and so wherever it is shown. */
export function batchSource(client: Client): BatchSource {
  return {
    subscribe: (batches, signal) =>
      iterate((sink) => {
        const results = client.subscription(BatchUpdatesSubscription, { batches });
        const subscription = results.subscribe(({ data = null, error, hasNext }) => {
          try {
            sink.next({ data, errors: gatewayErrors(error) });
            if (!hasNext) sink.end();
          } catch (failure) {
            sink.end(failure);
          }
        });
        return () => subscription.unsubscribe();
      }, signal),
    async ask(batches, signal) {
      const variables = { batches };
      const { data = null, error } = await client.query(BatchStatusesQuery, variables, {
        requestPolicy: 'network-only',
        fetchOptions: { signal },
      });
      return { data, errors: gatewayErrors(error) };
    },
  };
}

/** Yields the batch after each poll until it is finished; see `pollBatch` for errors. */
export function watchBatch(
  client: Client,
  variables: BatchVariables,
  options: PollOptions = {},
): AsyncGenerator<Batch, void> {
  return pollBatch(async () => {
    const { data, error } = await client.query(BatchStatusQuery, variables, {
      requestPolicy: 'network-only',
    });
    return { data: data ?? null, errors: gatewayErrors(error) };
  }, options);
}
