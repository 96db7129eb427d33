import {
  ApolloClient,
  type ApolloLink,
  CombinedGraphQLErrors,
  type ErrorLike,
  HttpLink,
  InMemoryCache,
  type Observable,
} from '@apollo/client';
import { relayStylePagination } from '@apollo/client/utilities';
import { filter, map, takeWhile } from 'rxjs';
import type { BatchSource } from './follow-batches.ts';
import { adviceFor, GatewayError } from './gateway-errors.ts';
import { iterate } from './iterate.ts';
import {
  type Batch,
  BatchStatusesQuery,
  BatchStatusQuery,
  BatchUpdatesSubscription,
  type BatchVariables,
} from './operations.ts';

/**
 * For each query: a batch that cannot be read must not take the others with it. Said at the query and not in
 * `defaultOptions`, which would have to be declared for the whole program (`declare module '@apollo/client'`).
 */
export const PARTIAL = { errorPolicy: 'all' } as const;

export interface ApolloOptions {
  /** A link that works on requests before they are sent. */
  ahead?: ApolloLink;
  /** `fetchWithToken`'s where callers have tokens. */
  send?: typeof fetch;
}

export function createApolloClient(
  uri: string,
  { ahead, send = fetch }: ApolloOptions = {},
): ApolloClient {
  const http = new HttpLink({ uri, fetch: send });
  return new ApolloClient({
    link: ahead ? ahead.concat(http) : http,
    // Batches are kept by their `id`, which needs nothing said.
    cache: new InMemoryCache({
      typePolicies: {
        // It has no id: it is a part of its batch. Queries may ask for different fields of it.
        UpstreamRequest: { merge: true },
        // Its id is that of a participant, which can be in many batches.
        BatchRecord: { keyFields: false },
        // `fetchMore` adds pages to those that are there.
        BatchStatus: {
          fields: { failures: relayStylePagination(), successes: relayStylePagination() },
        },
      },
    }),
    // The cache keeps a batch that could not be read as null, without its error: so these ask again.
    defaultOptions: {
      watchQuery: { fetchPolicy: 'cache-and-network' },
      query: { fetchPolicy: 'network-only' },
    },
  });
}

/** The gateway's errors in a result's `error`. Throws an error that is not the gateway's. */
export function gatewayErrors(error: ErrorLike | undefined): GatewayError[] {
  if (error === undefined) return [];
  if (!CombinedGraphQLErrors.is(error)) throw error;
  return error.errors.map((each) => new GatewayError(each));
}

/** For `followBatches`. What comes renews the batch in the cache, and so wherever it is shown. */
export function batchSource(client: ApolloClient): BatchSource {
  return {
    subscribe: (batches, signal) =>
      iterate((sink) => {
        const query = BatchUpdatesSubscription;
        const results = client.subscribe({ query, variables: { batches }, ...PARTIAL });
        const subscription = results
          .pipe(map(({ data = null, error }) => ({ data, errors: gatewayErrors(error) })))
          .subscribe({ next: sink.next, error: sink.end, complete: () => sink.end() });
        return () => subscription.unsubscribe();
      }, signal),
    async ask(batches, signal) {
      const { data = null, error } = await client.query({
        query: BatchStatusesQuery,
        variables: { batches },
        context: { fetchOptions: { signal } },
        ...PARTIAL,
      });
      return { data, errors: gatewayErrors(error) };
    },
  };
}

export interface WatchOptions {
  /** From an answer to the next question, in milliseconds; default 2,000. */
  intervalMs?: number;
  /** The time in milliseconds; default `Date.now`. */
  now?: () => number;
}

/**
 * Emits the batch whenever it has changed, and completes when it is finished; until then it polls.
 * An error that may pass is waited out, for its `retryAfterMs` if that is longer than the interval;
 * any other ends it. Unsubscribing ends the polling.
 */
export function watchBatch(
  client: ApolloClient,
  variables: BatchVariables,
  { intervalMs = 2_000, now = Date.now }: WatchOptions = {},
): Observable<Batch> {
  let notBefore = 0;
  const query = client.watchQuery({
    query: BatchStatusQuery,
    variables,
    ...PARTIAL,
    pollInterval: intervalMs,
    skipPollAttempt: () => now() < notBefore,
  });
  return query.pipe(
    filter(({ loading }) => !loading),
    map(({ data, dataState, error }) => {
      const [first] = gatewayErrors(error);
      if (first && adviceFor(first).action !== 'try-again') throw first;
      notBefore = now() + (first?.retryAfterMs ?? 0);
      return dataState === 'complete' ? data.batchStatus : undefined;
    }),
    filter((batch) => batch != null),
    // Apollo Client stops polling when nobody is subscribed any more; `stopPolling()` does it, too.
    takeWhile(({ finished }) => !finished, true),
  );
}
