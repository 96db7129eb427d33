import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ExecutionResult, GraphQLSchema } from 'graphql';
import { createYoga } from 'graphql-yoga';
import type { Log } from '../log.ts';
import type { BatchStatus } from '../participants/batch-status.ts';
import type { BatchStatusCache, Requester } from '../participants/batch-status-cache.ts';
import { createBatchStatusLoader } from '../participants/batch-status-loader.ts';
import type { UpstreamError } from '../participants/errors.ts';
import type { EndUser } from '../participants/status-endpoint.ts';
import type { GatewayContext, RequestReport, RequestScope, ScopeContext } from './context.ts';
import { type GraphQLMediaType, type HttpAnswer, toHttpAnswer } from './http-answer.ts';
import type { OperationLimits } from './limits.ts';
import type { PersistedDocuments } from './persisted-documents.ts';
import { createPlans } from './plans.ts';
import type { RefusedRequest } from './refused-request.ts';
import {
  CODE_OF_KIND,
  type ErrorDetail,
  refusalExtensions,
  toGraphQLError,
} from './to-graphql-error.ts';
import { useClosedSchema } from './use-closed-schema.ts';
import { presentErrors, useErrorContract } from './use-error-contract.ts';
import { useLimits } from './use-limits.ts';
import { usePersistedDocuments } from './use-persisted-documents.ts';
import { useReadableRequests } from './use-readable-requests.ts';
import { useSafeVariables } from './use-safe-variables.ts';

/** GraphQL behind Yoga. None of the methods rejects or throws for what a client sends. */
export interface GraphQLServer {
  /** Answers a request by Yoga's own HTTP layer. `body` is its body, if it has been read. */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    scope: RequestScope,
    body?: string,
  ): Promise<void>;
  /**
   * Runs the parameters of one POST through Yoga's pipeline, without its HTTP layer: every hook of
   * plugins but those on HTTP requests and responses. What has a subscription is not for here.
   */
  run(
    request: IncomingMessage,
    params: object,
    mediaType: GraphQLMediaType,
    scope: RequestScope,
  ): Promise<HttpAnswer>;
  /** The answer to a request that is turned away. */
  refuse(refusal: RefusedRequest, mediaType: GraphQLMediaType, scope: RequestScope): HttpAnswer;
}

export interface GraphQLServerOptions {
  endpoint: string;
  schema: GraphQLSchema;
  cache: BatchStatusCache;
  participantTypes: ReadonlySet<string>;
  introspection: boolean;
  /** Whether the upstream is told who calls. */
  forwardUserInfo: boolean;
  limits: OperationLimits & {
    /** Different batches that one request may ask for. */
    maxBatches: number;
  };
  /** Undefined: requests carry their text. */
  persistedDocuments: PersistedDocuments | undefined;
  errorDetail: ErrorDetail;
  log: Log;
}

/** The schema behind Yoga, with everything off that the gateway does not offer. */
export function createGraphQLServer(options: GraphQLServerOptions): GraphQLServer {
  const { endpoint, schema, cache, participantTypes, introspection, limits } = options;
  const { persistedDocuments } = options;
  const { errorDetail, log } = options;
  const errorContract = { log, errorDetail };
  const plans = createPlans();

  const yoga = createYoga<ScopeContext, GatewayContext>({
    schema,
    graphqlEndpoint: endpoint,
    context: ({ scope }) => ({
      scope,
      participantTypes,
      batchStatusLoader: createBatchStatusLoader(
        cache,
        new ScopeRequester(scope, options.forwardUserInfo ? toEndUser(scope) : undefined),
        limits.maxBatches,
      ),
    }),
    plugins: [
      useReadableRequests(),
      ...(persistedDocuments ? [usePersistedDocuments(persistedDocuments)] : []),
      useLimits(limits),
      useErrorContract(errorContract),
      useSafeVariables(),
      plans.plugin,
      ...(introspection ? [] : [useClosedSchema()]),
    ],
    maskedErrors: { maskError: (error) => toGraphQLError(error, errorDetail) },
    // The front door, or a plugin of ours, does these, or nobody does.
    maxRequestBodySize: false,
    parserAndValidationCache: false,
    cors: false,
    graphiql: false,
    landingPage: false,
    batching: false,
    extraParamNames: persistedDocuments ? ['documentId'] : [],
    multipart: false,
    logging: false,
  });
  const blank = new yoga.fetchAPI.Request(`http://localhost${endpoint}`, { method: 'POST' });

  /** A text that has a plan is neither parsed nor validated again. */
  async function runPipeline(
    request: IncomingMessage,
    params: object,
    scope: RequestScope,
  ): Promise<ExecutionResult> {
    try {
      const view = requestView(blank, request);
      const resolved = persistedDocuments?.resolve(params) ?? params;
      const plain = isPlain(resolved) ? resolved : undefined;
      const document = plain && plans.find(plain.query, plain.operationName);
      if (plain === undefined || document === undefined) {
        return oneResult(await yoga.getResultForParams({ params, request: view }, { scope }));
      }
      const { query, variables, operationName } = plain;
      const { contextFactory, execute } = yoga.getEnveloped({
        scope,
        request: view,
        params: { query, variables, operationName },
      });
      const contextValue = await contextFactory();
      return oneResult(
        await execute({ schema, document, contextValue, variableValues: variables, operationName }),
      );
    } catch (error) {
      return { errors: [toGraphQLError(error, errorDetail)] };
    }
  }

  return {
    async handle(request, response, scope, body) {
      // Where Yoga looks for a body that has been read. Of a string it would list every index.
      if (body) Object.assign(request, { body: Readable.from([Buffer.from(body)]) });
      await yoga.handle(request, response, { scope });
    },
    async run(request, params, mediaType, scope) {
      const result = await runPipeline(request, params, scope);
      return toHttpAnswer(presentErrors(result, scope, errorContract), mediaType);
    },
    refuse(refusal, mediaType, { requestId, report }) {
      const { message, code, status, headers } = refusal;
      report.errorCodes.push(code);
      // Without a GraphQLError, whose stack takes longer than all else: who floods is refused a lot.
      const extensions = { ...refusalExtensions(refusal), requestId };
      const body = JSON.stringify({ errors: [{ message, extensions }] });
      return { status, mediaType, headers, body };
    },
  };
}

/** A request as the one on whose behalf statuses are wanted. */
class ScopeRequester implements Requester {
  readonly user: EndUser | undefined;
  readonly #scope: RequestScope;

  constructor(scope: RequestScope, user: EndUser | undefined) {
    this.user = user;
    this.#scope = scope;
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  get deadline(): number {
    return this.#scope.deadline;
  }

  onUpstreamCall(): void {
    this.#scope.report.upstreamCalls += 1;
  }

  onStatus({ stale }: BatchStatus, freshUntil: number, failure?: UpstreamError): void {
    const { report } = this.#scope;
    if (stale) report.staleStatuses += 1;
    if (failure !== undefined) noteReason(report, failure);
    report.freshUntil = Math.min(report.freshUntil, freshUntil);
  }
}

function noteReason({ staleBecause }: RequestReport, failure: UpstreamError): void {
  const code = CODE_OF_KIND[failure.kind];
  if (staleBecause.some((reason) => reason.code === code)) return;
  const { requestId: upstreamRequestId, upstream } = failure;
  staleBecause.push({ code, upstreamStatus: upstream?.status, upstreamRequestId });
}

function toEndUser({ caller }: RequestScope): EndUser | undefined {
  return caller && { id: caller.subject, name: caller.name };
}

interface PlainParams {
  query: string;
  variables?: Record<string, unknown> | null;
  operationName?: string | null;
}

/** Parameters that need no judging: none but the usual, each of its type. */
function isPlain(params: object): params is PlainParams {
  let plain = 'query' in params;
  for (const [name, value] of Object.entries(params)) {
    if (name === 'query') plain &&= typeof value === 'string';
    else if (name === 'variables')
      plain &&= value === null || (typeof value === 'object' && !Array.isArray(value));
    else plain &&= name === 'operationName' && (value === null || typeof value === 'string');
  }
  return plain;
}

function oneResult(result: ExecutionResult | AsyncIterable<unknown> | undefined): ExecutionResult {
  if (result === undefined || Symbol.asyncIterator in result) {
    throw new Error('a result that is not one answer');
  }
  return result;
}

/** What plugins may want of the request, made only if they ask for it. */
function requestView(blank: Request, incoming: IncomingMessage): Request {
  let headers: Headers | undefined;
  return new Proxy(blank, {
    get(target, name) {
      if (name === 'headers') {
        if (headers !== undefined) return headers;
        headers = new Headers();
        for (const [header, value] of Object.entries(incoming.headers)) {
          if (value !== undefined) headers.set(header, String(value));
        }
        return headers;
      }
      return Reflect.get(target, name, target);
    },
  });
}
