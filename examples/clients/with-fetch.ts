import { print } from '@0no-co/graphql.web';
import type { TadaDocumentNode } from 'gql.tada';
import { createClient } from 'graphql-sse';
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
import { type Answer, type PollOptions, pollBatch } from './poll-batch.ts';

export interface FetchClient {
  /**
   * Resolves with what the gateway answered, errors and partial data included. Rejects when the
   * gateway cannot be reached, when what answers does not speak GraphQL, and when `signal` aborts.
   */
  query<Data, Variables>(
    document: TadaDocumentNode<Data, Variables>,
    variables: Variables,
    signal?: AbortSignal,
  ): Promise<Answer<Data>>;
  /**
   * Yields what the gateway sends, until the subscription is complete or `signal` aborts. Throws when the stream cannot
   * be had, or breaks off. Server-sent events, read by graphql-sse's client.
   */
  subscribe<Data, Variables extends Record<string, unknown>>(
    document: TadaDocumentNode<Data, Variables>,
    variables: Variables,
    signal: AbortSignal,
  ): AsyncGenerator<Answer<Data>, void>;
}

/** `send` is `fetchWithToken`'s where callers have tokens. */
export function createFetchClient(url: string, send: typeof fetch = fetch): FetchClient {
  // Who subscribes again, and when, is for `followBatches` to say.
  const events = createClient({ url, retryAttempts: 0, fetchFn: send });
  return {
    async query(document, variables, signal) {
      const response = await send(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/graphql-response+json, application/json',
        },
        body: JSON.stringify({ ...nameOrText(document), variables }),
        signal: signal ?? null,
      });
      return readAnswer(url, response);
    },
    subscribe<Data, Variables extends Record<string, unknown>>(
      document: TadaDocumentNode<Data, Variables>,
      variables: Variables,
      signal: AbortSignal,
    ) {
      const request = { query: '', ...nameOrText(document), variables };
      return iterate<Answer<Data>>(({ next, end }) => {
        const receive = (result: GraphQLBody<Data>) => next(toAnswer(result));
        return events.subscribe<Data>(request, { next: receive, complete: end, error: end });
      }, signal);
    },
  };
}

/** For `followBatches`. */
export function batchSource(client: FetchClient): BatchSource {
  return {
    subscribe: (batches, signal) => client.subscribe(BatchUpdatesSubscription, { batches }, signal),
    ask: (batches, signal) => client.query(BatchStatusesQuery, { batches }, signal),
  };
}

/** The id of a document from trusted-documents.ts; the text of any other. */
function nameOrText<Data, Variables>(
  document: TadaDocumentNode<Data, Variables>,
): { documentId: string } | { query: string } {
  return 'documentId' in document
    ? { documentId: String(document.documentId) }
    : { query: print(document) };
}

/** Yields the batch after each poll until it is finished; see `pollBatch` for errors. */
export function watchBatch(
  client: FetchClient,
  variables: BatchVariables,
  options: PollOptions = {},
): AsyncGenerator<Batch, void> {
  return pollBatch(() => client.query(BatchStatusQuery, variables, options.signal), options);
}

async function readAnswer<Data>(url: string, response: Response): Promise<Answer<Data>> {
  const body = parseJson(await response.text());
  if (!isGraphQLBody<Data>(body)) {
    const type = response.headers.get('content-type') ?? 'no content type';
    throw new Error(`${url} answered ${response.status} (${type}), which is not GraphQL.`);
  }
  return toAnswer(body);
}

function toAnswer<Data>({ data = null, errors = [] }: GraphQLBody<Data>): Answer<Data> {
  return { data, errors: errors.map((error) => new GatewayError(error)) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface GraphQLBody<Data> {
  data?: Data | null;
  errors?: readonly unknown[];
}

/** `data` is taken at its word: the gateway answers by the schema that the document is typed with. */
function isGraphQLBody<Data>(body: unknown): body is GraphQLBody<Data> {
  if (typeof body !== 'object' || body === null) return false;
  return 'errors' in body ? Array.isArray(body.errors) : 'data' in body;
}
