import type { IncomingMessage, ServerResponse } from 'node:http';
import { createYoga } from 'graphql-yoga';
import type { Log } from '../log.ts';
import type { BatchStatusCache } from '../participants/batch-status-cache.ts';
import { createBatchStatusLoader } from '../participants/batch-status-loader.ts';
import type { GatewayContext, RequestScope } from './context.ts';
import { createSchema, createSubgraphSchema } from './schema.ts';
import { type ErrorDetail, toGraphQLError } from './to-graphql-error.ts';
import { useClosedSchema } from './use-closed-schema.ts';
import { useErrorContract } from './use-error-contract.ts';
import { useReadableRequests } from './use-readable-requests.ts';

/** Answers one HTTP request for GraphQL. Never rejects for what a client sends. */
export type GraphQLHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  scope: RequestScope,
) => Promise<void>;

export interface GraphQLHandlerOptions {
  endpoint: string;
  cache: BatchStatusCache;
  participantTypes: ReadonlySet<string>;
  /** Whether routers may ask: `_service` and `_entities`. */
  federation: boolean;
  introspection: boolean;
  errorDetail: ErrorDetail;
  log: Log;
}

/** The longest request body that is read. */
const MAX_REQUEST_BYTES = 64 * 1024;

/** GraphQL over HTTP: the schema behind Yoga, with everything off that the gateway does not offer. */
export function createGraphQLHandler(options: GraphQLHandlerOptions): GraphQLHandler {
  const { endpoint, cache, participantTypes, federation, introspection, errorDetail, log } =
    options;

  const yoga = createYoga<RequestScope, GatewayContext>({
    schema: federation ? createSubgraphSchema() : createSchema(),
    graphqlEndpoint: endpoint,
    context: (scope) => ({
      requestId: scope.requestId,
      signal: scope.signal,
      report: scope.report,
      participantTypes,
      batchStatusLoader: createBatchStatusLoader(cache, {
        signal: scope.signal,
        onUpstreamCall: () => {
          scope.report.upstreamCalls += 1;
        },
      }),
    }),
    plugins: [
      useReadableRequests(),
      useErrorContract({ log, errorDetail }),
      ...(introspection ? [] : [useClosedSchema()]),
    ],
    maskedErrors: { maskError: (error) => toGraphQLError(error, errorDetail) },
    maxRequestBodySize: MAX_REQUEST_BYTES,
    // The front door does these, or nobody does.
    cors: false,
    graphiql: false,
    landingPage: false,
    batching: false,
    multipart: false,
    logging: false,
  });

  return async (request, response, scope) => {
    await yoga.handle(request, response, scope);
  };
}
