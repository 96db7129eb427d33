import { GraphQLError, OperationTypeNode } from 'graphql';
import {
  type Answer,
  type AnswerSummary,
  type GraphQLHttpRequest,
  type Handler,
  NOTHING_LOADED,
} from '../core/answer.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { RequestContext } from '../core/request-context.ts';
import { negotiate } from '../lib/media-type.ts';
import { createStatusLoader, type LoadSummary } from '../status/loader.ts';
import type { Requester, StatusService } from '../status/service.ts';
import type { GraphQLContext } from './context.ts';
import type { Documents, PreparedOperation } from './documents.ts';
import {
  type PublicErrorOptions,
  toPublicErrors,
  toPublicRefusal,
  toStaleReason,
} from './errors.ts';
import { type GraphQLParameters, readParameters } from './parameters.ts';
import type { PersistedDocuments } from './persisted-documents.ts';
import type { Question, ResponseCache } from './response-cache.ts';

interface HandlerOptions extends PublicErrorOptions {
  documents: Documents;
  persistedDocuments: PersistedDocuments;
  responseCache: ResponseCache;
  statuses: StatusService;
  participantTypes: ReadonlySet<string>;
  /** Different batches that one request may ask for. */
  maxBatches: number;
  /** Whether the upstream is told who calls. */
  forwardUserInfo: boolean;
}

/** The media types of a GraphQL response; the first where a client has no preference. */
const MEDIA_TYPES = ['application/json', 'application/graphql-response+json'] as const;
type GraphQLMediaType = (typeof MEDIA_TYPES)[number];

/**
 * GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/) by POST of JSON and by GET, one request
 * to one answer. A request that is no GraphQL request is 400. A document that cannot be executed is 400 as
 * application/graphql-response+json, and 200 as application/json; one that is executed is 200.
 */
export function createHandler(options: HandlerOptions): Handler {
  const { documents, persistedDocuments, responseCache, statuses, participantTypes } = options;

  async function execute(
    operation: PreparedOperation,
    { variables }: GraphQLParameters,
    question: Question,
    context: RequestContext,
    principal: Principal,
  ): Promise<Answer> {
    const { mediaType } = question;
    const faults = operation.faultsOfVariables(variables);
    if (faults.length > 0) return answerErrors(faults, operation.name, mediaType, context);
    const user = options.forwardUserInfo ? toEndUser(principal) : undefined;
    const requester = new ContextRequester(user, context);
    const loader = createStatusLoader(statuses, requester, options.maxBatches);
    const contextValue: GraphQLContext = { principal, statuses: loader, participantTypes };
    const { data, errors } = await operation.execute({ contextValue, variables });
    const loaded = loader.summary();
    // Variables that cannot be coerced: nothing was executed.
    if (data === undefined) return answerErrors(errors ?? [], operation.name, mediaType, context);

    const shown = errors && toPublicErrors(errors, context, options);
    const answer = {
      status: 200,
      headers: contentType(mediaType),
      body: JSON.stringify(shown === undefined ? { data } : { errors: shown.errors, data }),
      summary: toSummary(operation.name, shown, loaded),
    };
    if (shown === undefined) responseCache.set(question, answer, loaded.freshUntil);
    return answer;
  }

  /** A document that is not executed. */
  function answerErrors(
    errors: readonly GraphQLError[],
    operationName: string | null,
    mediaType: string,
    context: RequestContext,
  ): Answer {
    const shown = toPublicErrors(errors, context, options);
    const isFault = shown.errorCodes.includes('INTERNAL_SERVER_ERROR');
    const refusal = mediaType === 'application/json' ? 200 : 400;
    return {
      status: isFault ? 500 : refusal,
      headers: contentType(mediaType),
      body: JSON.stringify({ errors: shown.errors }),
      summary: { ...NOTHING_LOADED, operationName, errorCodes: shown.errorCodes, cached: false },
    };
  }

  async function answer(
    request: GraphQLHttpRequest,
    context: RequestContext,
    principal: Principal,
  ): Promise<Answer> {
    const mediaType = negotiateMediaType(request);
    if (mediaType === undefined) throw notAcceptable();
    const question = toQuestion(request, mediaType, principal);
    const parameters = readParameters(request, persistedDocuments);
    const document = documents.prepare(parameters.query);
    if (document.errors.length > 0) {
      return answerErrors(document.errors, null, mediaType, context);
    }
    const operation = document.operation(parameters.operationName);
    if (operation instanceof GraphQLError) {
      return answerErrors([operation], null, mediaType, context);
    }
    if (operation.node.operation !== OperationTypeNode.QUERY) {
      throw notAQuery(operation.node.operation, request.method);
    }
    return execute(operation, parameters, question, context, principal);
  }

  return {
    cached(request, principal) {
      const mediaType = negotiateMediaType(request);
      return mediaType && responseCache.get(toQuestion(request, mediaType, principal));
    },
    async handle(request, context, principal) {
      try {
        return await answer(request, context, principal);
      } catch (error) {
        if (error instanceof RefusedRequest) return refuse(error, request, context.id);
        const fault = error instanceof Error ? error : new Error(String(error));
        const masked = new GraphQLError(fault.message, { originalError: fault });
        return answerErrors([masked], null, negotiateMediaType(request) ?? MEDIA_TYPES[0], context);
      }
    },
  };
}

/** The answer to a request that is refused before anything of it is executed. */
export function refuse(
  refusal: RefusedRequest,
  request: Pick<GraphQLHttpRequest, 'headers'>,
  requestId: string,
): Answer {
  const mediaType = negotiateMediaType(request) ?? 'application/json';
  return {
    status: refusal.status,
    headers: { ...refusal.headers, ...contentType(mediaType) },
    body: JSON.stringify({ errors: [toPublicRefusal(refusal, requestId)] }),
    summary: {
      ...NOTHING_LOADED,
      operationName: null,
      errorCodes: [refusal.code],
      cached: false,
    },
  };
}

function toQuestion(
  { method, body, search }: GraphQLHttpRequest,
  mediaType: GraphQLMediaType,
  principal: Principal,
): Question {
  return method === 'POST'
    ? { principal, mediaType, method: 'POST', text: body }
    : { principal, mediaType, method: 'GET', text: search };
}

function negotiateMediaType({
  headers,
}: Pick<GraphQLHttpRequest, 'headers'>): GraphQLMediaType | undefined {
  const { accept } = headers;
  // What most clients send, and no header at all.
  if (accept === undefined || accept === '*/*' || accept === MEDIA_TYPES[0]) return MEDIA_TYPES[0];
  return negotiate(String(accept), MEDIA_TYPES);
}

const CONTENT_TYPES = new Map<string, Readonly<Record<string, string>>>(
  MEDIA_TYPES.map((type) => [type, { 'content-type': `${type}; charset=utf-8` }]),
);

function contentType(mediaType: string): Readonly<Record<string, string>> {
  return CONTENT_TYPES.get(mediaType) ?? {};
}

function notAcceptable(): RefusedRequest {
  return new RefusedRequest(
    'BAD_USER_INPUT',
    406,
    `The accept header allows none of the media types of a GraphQL response: ${MEDIA_TYPES.join(', ')}.`,
  );
}

function notAQuery(operation: OperationTypeNode, method: string): RefusedRequest {
  if (method !== 'POST') {
    return new RefusedRequest('BAD_USER_INPUT', 405, 'A GET accepts queries only.', {
      headers: { allow: 'POST' },
    });
  }
  const message =
    operation === OperationTypeNode.SUBSCRIPTION
      ? 'There are no subscriptions: ask batchStatus again and again until `finished` is true.'
      : 'There are no mutations: the gateway tells how far batches are, and changes nothing.';
  return new RefusedRequest('BAD_USER_INPUT', 400, message);
}

/** Asks for the request's signal, and with it for a timer, only when the status service does. */
class ContextRequester implements Requester {
  readonly user: Requester['user'];
  readonly deadline: number;
  readonly #context: RequestContext;

  constructor(user: Requester['user'], context: RequestContext) {
    this.user = user;
    this.deadline = context.deadline;
    this.#context = context;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }
}

function toEndUser({ subject, name }: Principal): Requester['user'] {
  return subject === undefined ? undefined : { id: subject, name };
}

function toSummary(
  operationName: string | null,
  shown: Pick<AnswerSummary, 'errorCodes' | 'upstreamRequestIds'> | undefined,
  { upstreamCalls, staleStatuses, staleBecause }: LoadSummary,
): AnswerSummary {
  return {
    operationName,
    errorCodes: shown?.errorCodes ?? [],
    upstreamRequestIds: shown?.upstreamRequestIds ?? [],
    cached: false,
    upstreamCalls,
    staleStatuses,
    staleBecause: staleBecause.map(toStaleReason),
  };
}
