import { Client, type CombinedError, type Exchange, fetchExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { GatewayError } from './gateway-errors.ts';
import { type Batch, BatchStatusQuery, type BatchVariables } from './operations.ts';
import { type PollOptions, pollBatch } from './poll-batch.ts';

/** `ahead` are exchanges that work on requests before they are sent. */
export function createUrqlClient(url: string, ...ahead: Exchange[]): Client {
  return new Client({
    url,
    // Else short queries go out as GET, and proxies write the batch ids into their logs.
    preferGetMethod: false,
    exchanges: [
      // Batches are kept by their `id`, which needs nothing said.
      cacheExchange({
        // These are parts of their batch. The id of a record is that of a participant, which can be in
        // many batches.
        keys: {
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
