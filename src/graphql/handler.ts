import { GraphQLError, OperationTypeNode } from 'graphql';
import {
  type Answer,
  type Asker,
  type GraphQLHttpRequest,
  type Handler,
  type LiveAnswer,
  NOTHING_LOADED,
  type StreamFormat,
  textAnswer,
} from '../core/answer.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { Turns } from '../lib/turns.ts';
import type { Requester } from '../status/service.ts';
import type { Documents, PreparedDocument, PreparedOperation } from './documents.ts';
import { toPublicRefusal } from './errors.ts';
import { Executor, type ExecutorOptions } from './executor.ts';
import { EXPLAIN_HEADER, EXPLAIN_VALUE, type ExplainOptions, Explanation } from './explain.ts';
import type { LiveOperations } from './live-operations.ts';
import {
  contentType,
  type GraphQLMediaType,
  MEDIA_TYPES,
  negotiateMediaType,
  negotiateStream,
  notAcceptable,
  STREAM_FORMATS,
} from './negotiation.ts';
import { type GraphQLParameters, readParameters } from './parameters.ts';
import type { PersistedDocuments } from './persisted-documents.ts';
import type { Question } from './response-cache.ts';

interface HandlerOptions extends ExecutorOptions {
  /** Undefined: there are no subscriptions. */
  liveOperations: LiveOperations | undefined;
  documents: Documents;
  persistedDocuments: PersistedDocuments;
  /** For documents that were not asked for before. */
  turns: Turns;
  /** Whether the upstream is told who calls. */
  forwardUserInfo: boolean;
  /** Undefined: nobody may have answers explained. */
  explain?: ExplainOptions | undefined;
}

/**
 * GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/) by POST of JSON and by GET, one request
 * to one answer. A request that is no GraphQL request is 400. A document that cannot be executed is 400 as
 * application/graphql-response+json, and 200 as application/json; one that is executed is 200.
 */
export function createHandler(options: HandlerOptions): Handler {
  const { documents, persistedDocuments, responseCache, turns, liveOperations, explain } = options;
  const executor = new Executor(options);

  /** Throws a {@link RefusedRequest} for who may not have answers explained, where others may. */
  function isExplained(request: GraphQLHttpRequest, { scopes }: Principal): boolean {
    if (explain === undefined || !asksForExplanation(request)) return false;
    if (explain.scope === undefined || scopes.has(explain.scope)) return true;
    throw new RefusedRequest(
      'FORBIDDEN',
      403,
      `To have answers explained (${EXPLAIN_HEADER}), the access token needs the scope ${explain.scope}.`,
    );
  }

  function userOf({ principal }: Asker): Requester['user'] {
    return options.forwardUserInfo ? toEndUser(principal) : undefined;
  }

  /** What is thrown before anything is executed: the request is refused, or the gateway has a fault. */
  function answerFailure(
    error: unknown,
    request: GraphQLHttpRequest,
    context: RequestContext,
  ): Answer {
    if (error instanceof RefusedRequest) return refuse(error, request, context.id);
    return executor.answerFault(error, negotiateMediaType(request) ?? MEDIA_TYPES[0], context);
  }

  function answer(
    request: GraphQLHttpRequest,
    context: RequestContext,
    asker: Asker,
  ): Answer | LiveAnswer | Promise<Answer | LiveAnswer> {
    const mediaType = negotiateMediaType(request);
    if (mediaType === undefined) return answerAsEvents(request, context, asker);
    const question = toQuestion(request, mediaType, asker.principal);
    return answerAs(question, request, context, asker);
  }

  /** For a client that reads events alone: the answer to a query is one of them, and the end. */
  function answerAsEvents(
    request: GraphQLHttpRequest,
    context: RequestContext,
    asker: Asker,
  ): Answer | LiveAnswer | Promise<Answer | LiveAnswer> {
    const format = negotiateStream(request);
    if (format === undefined) throw notAcceptable(MEDIA_TYPES);
    const question = toQuestion(request, MEDIA_TYPES[0], asker.principal);
    const answer = answerAs(question, request, context, asker);
    const toLive = (made: Answer | LiveAnswer) => ('open' in made ? made : asLive(made, format));
    return answer instanceof Promise ? answer.then(toLive) : toLive(answer);
  }

  function answerAs(
    question: Question,
    request: GraphQLHttpRequest,
    context: RequestContext,
    asker: Asker,
  ): Answer | LiveAnswer | Promise<Answer | LiveAnswer> {
    const parameters = readParameters(request, persistedDocuments);
    // To parse and validate takes longer than all the rest.
    const known = documents.known(parameters.query);
    const turn = known ? undefined : turns.next(asker.caller.key);
    const answerIn = (document: PreparedDocument) =>
      answerDocument(document, parameters, question, request, context, asker);
    return turn === undefined
      ? answerIn(known ?? documents.prepare(parameters.query))
      : turn
          .then(() => answerIn(documents.prepare(parameters.query)))
          .catch((error: unknown) => answerFailure(error, request, context));
  }

  function executeObserved(
    operation: PreparedOperation,
    parameters: GraphQLParameters,
    question: Question,
    request: GraphQLHttpRequest,
    context: RequestContext,
    asker: Asker,
  ): Promise<Answer> {
    const isToBeExplained = isExplained(request, asker.principal);
    const traced = context.trace?.execute(operation.name);
    const observer =
      isToBeExplained && explain !== undefined ? new Explanation(explain.clock, traced) : traced;
    const user = userOf(asker);
    const of = { operation, parameters, question, context, asker, user, observer };
    const answer = executor.execute(of);
    if (traced === undefined) return answer;
    return answer.then((made) => {
      traced.end(made.summary.errorCodes);
      return made;
    });
  }

  function answerDocument(
    document: PreparedDocument,
    parameters: GraphQLParameters,
    question: Question,
    request: GraphQLHttpRequest,
    context: RequestContext,
    asker: Asker,
  ): Answer | LiveAnswer | Promise<Answer> {
    const { mediaType } = question;
    if (document.errors.length > 0) {
      return executor.answerErrors(document.errors, null, mediaType, context);
    }
    const operation = document.operation(parameters.operationName);
    if (operation instanceof GraphQLError) {
      return executor.answerErrors([operation], null, mediaType, context);
    }
    if (operation.node.operation === OperationTypeNode.MUTATION) throw aMutation(request);
    const { routerField } = operation.measured;
    if (routerField !== undefined && !asker.principal.isRouter) {
      throw new RefusedRequest('FORBIDDEN', 403, `${routerField} is for routers only.`);
    }
    operation.measured.check(parameters.variables);
    const faults = operation.faultsOfVariables(parameters.variables);
    if (faults.length > 0) return executor.answerErrors(faults, operation.name, mediaType, context);
    if (operation.node.operation === OperationTypeNode.SUBSCRIPTION) {
      if (liveOperations === undefined) throw noSubscriptions();
      const format = negotiateStream(request);
      if (format === undefined) throw notAcceptable(STREAM_FORMATS);
      const user = userOf(asker);
      return liveOperations.subscribe({ operation, parameters, format, user }, context, asker);
    }
    return executeObserved(operation, parameters, question, request, context, asker);
  }

  return {
    cached(request, principal) {
      if (explain !== undefined && asksForExplanation(request)) return undefined;
      const mediaType = negotiateMediaType(request);
      return mediaType && responseCache.get(toQuestion(request, mediaType, principal));
    },
    handle(request, context, asker) {
      try {
        return answer(request, context, asker);
      } catch (error) {
        return answerFailure(error, request, context);
      }
    },
  };
}

/** An answer as the only event of a live one. */
function asLive(answer: Answer, format: StreamFormat): LiveAnswer {
  return {
    format,
    summary: answer.summary,
    open(receiver) {
      receiver.next('', answer.serialize(), false);
      receiver.complete();
      return () => {};
    },
    discard: () => answer.discard(),
  };
}

/** The answer to a request that is refused before anything of it is executed. */
export function refuse(
  refusal: RefusedRequest,
  request: Pick<GraphQLHttpRequest, 'headers'>,
  requestId: string,
): Answer {
  const mediaType = negotiateMediaType(request) ?? 'application/json';
  return textAnswer(JSON.stringify({ errors: [toPublicRefusal(refusal, requestId)] }), {
    status: refusal.status,
    headers: [...Object.entries(refusal.headers).flat(), ...contentType(mediaType)],
    summary: {
      ...NOTHING_LOADED,
      operationName: null,
      operationType: undefined,
      errorCodes: [refusal.code],
      cached: false,
    },
  });
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

function noSubscriptions(): RefusedRequest {
  return new RefusedRequest(
    'BAD_USER_INPUT',
    400,
    'There are no subscriptions here: ask batchStatus again and again until `finished` is true.',
  );
}

function aMutation({ method }: GraphQLHttpRequest): RefusedRequest {
  if (method !== 'POST') {
    return new RefusedRequest(
      'BAD_USER_INPUT',
      405,
      'A GET accepts queries and subscriptions only.',
      {
        headers: { allow: 'POST' },
      },
    );
  }
  return new RefusedRequest(
    'BAD_USER_INPUT',
    400,
    'There are no mutations: the gateway tells how far batches are, and changes nothing.',
  );
}

function asksForExplanation({ headers }: GraphQLHttpRequest): boolean {
  return headers[EXPLAIN_HEADER] === EXPLAIN_VALUE;
}

function toEndUser({ subject, name }: Principal): Requester['user'] {
  return subject === undefined ? undefined : { id: subject, name };
}
