import { type ExecutionResult, GraphQLError, OperationTypeNode } from 'graphql';
import {
  type Answer,
  type AnswerSummary,
  type Asker,
  type GraphQLHttpRequest,
  type Handler,
  type LiveAnswer,
  NOTHING_LOADED,
  type StreamFormat,
  textAnswer,
} from '../core/answer.ts';
import type { Caller } from '../core/caller.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { StatusObserver } from '../core/request-trace.ts';
import type { CancelSignal } from '../lib/cancellation.ts';
import type { HeldMemory } from '../lib/held-memory.ts';
import { negotiate } from '../lib/media-type.ts';
import type { Turns } from '../lib/turns.ts';
import { StatusLoader } from '../status/loader.ts';
import type { Requester, StatusService } from '../status/service.ts';
import type { Documents, PreparedDocument, PreparedOperation } from './documents.ts';
import {
  type PublicErrorOptions,
  toGraphQLError,
  toPublicErrors,
  toPublicRefusal,
  toStaleReason,
} from './errors.ts';
import { EXPLAIN_HEADER, EXPLAIN_VALUE, type ExplainOptions, Explanation } from './explain.ts';
import type { LiveOperations } from './live-operations.ts';
import { type GraphQLParameters, readParameters } from './parameters.ts';
import type { PersistedDocuments } from './persisted-documents.ts';
import type { Question, ResponseCache } from './response-cache.ts';
import { jsonSize, ResponseSize, responseTooLong } from './response-size.ts';

interface HandlerOptions extends PublicErrorOptions {
  /** Undefined: there are no subscriptions. */
  liveOperations: LiveOperations | undefined;
  documents: Documents;
  persistedDocuments: PersistedDocuments;
  responseCache: ResponseCache;
  statuses: Pick<StatusService, 'get'>;
  /** What the requests under way were answered by the upstream: statuses, and what errors say. */
  heldMemory: HeldMemory;
  participantTypes: ReadonlySet<string>;
  /** Different batches that one request may ask for. */
  maxBatches: number;
  /** For documents that were not asked for before. */
  turns: Turns;
  /** The longest answer to an operation that is executed, in bytes. */
  maxResponseBytes: number;
  /** Whether the upstream is told who calls. */
  forwardUserInfo: boolean;
  /** Undefined: nobody may have answers explained. */
  explain?: ExplainOptions | undefined;
  /** Whether summaries name the batches that were read. */
  isAudited?: boolean;
}

/** What is read out of a request, its ids and names, can be percent-encoded UTF-8: 3 characters for each of 3 bytes. */
const LONGEST_ESCAPE = 9;
/** More than any text of the gateway's own, with its punctuation. */
const LONGEST_TEXT = 128;
/** How often an operation is run whose answer is too long, until it is not. */
const COUNTED_RUNS = 3;

/** What an execution came to. */
interface Result {
  readonly data: ExecutionResult['data'];
  /** Undefined: there is no error. */
  readonly shown: ReturnType<typeof toPublicErrors> | undefined;
  /** Bytes of the errors, as they are shown. */
  readonly errorsSize: number;
  /** Undefined: there are none. */
  readonly extensions?: { readonly explain: object };
}

/** The media types of a GraphQL response; the first where a client has no preference. */
const MEDIA_TYPES = ['application/json', 'application/graphql-response+json'] as const;
type GraphQLMediaType = (typeof MEDIA_TYPES)[number];

/** The media types of an answer that goes on. */
const STREAM_FORMATS = [
  'text/event-stream',
  'multipart/mixed',
] as const satisfies readonly StreamFormat[];

/**
 * GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/) by POST of JSON and by GET, one request
 * to one answer. A request that is no GraphQL request is 400. A document that cannot be executed is 400 as
 * application/graphql-response+json, and 200 as application/json; one that is executed is 200.
 */
export function createHandler(options: HandlerOptions): Handler {
  const { documents, persistedDocuments, responseCache, statuses, participantTypes } = options;
  const { maxResponseBytes, turns, liveOperations, explain } = options;
  const tooLong = toGraphQLError(responseTooLong(maxResponseBytes));

  /** Never rejects. */
  async function execute(
    operation: PreparedOperation,
    parameters: GraphQLParameters,
    question: Question,
    context: RequestContext,
    asker: Asker,
    observer: StatusObserver | undefined,
  ): Promise<Answer> {
    const { variables } = parameters;
    const { principal, caller } = asker;
    const user = userOf(asker);
    const requester = new ContextRequester(caller, user, observer, context);
    const { maxBatches, heldMemory, isAudited } = options;
    const loader = new StatusLoader(statuses, requester, maxBatches, heldMemory, isAudited);
    const contextValue = { principal, statuses: loader, participantTypes, maxBatches };
    try {
      let executed = await operation.executeCompiled({ contextValue, variables });
      if (executed === undefined || executed.errors !== undefined) {
        executed = await operation.execute({ contextValue, variables });
      }
      // Variables that cannot be coerced: nothing was executed.
      if (executed.data === undefined) {
        loader.release();
        return answerErrors(executed.errors ?? [], operation.name, question.mediaType, context);
      }
      let result = toResult(executed, context);
      let maxBytes = longestOf(operation, parameters, question, result, loader);
      if (maxBytes > maxResponseBytes) maxBytes = sizeOf(result, maxResponseBytes);
      if (maxBytes > maxResponseBytes) {
        const counted = (responseSize: ResponseSize) =>
          operation.executeCounted({ contextValue: { ...contextValue, responseSize }, variables });
        result = await executeWithin(result, counted, context);
        maxBytes = maxResponseBytes;
      }
      if (!(observer instanceof Explanation)) {
        return new ExecutedAnswer(
          operation.name,
          question,
          result,
          maxBytes,
          loader,
          responseCache,
        );
      }
      const explained = withExplanation(result, observer.describe(context.id));
      maxBytes = Math.max(maxBytes, sizeOf(explained, maxResponseBytes));
      return new ExecutedAnswer(operation.name, question, explained, maxBytes, loader, undefined);
    } catch (error) {
      loader.release();
      return answerFault(error, question.mediaType, context);
    }
  }

  /** Without it where the answer would be too long. */
  function withExplanation(result: Result, explain: object): Result {
    const explained = { ...result, extensions: { explain } };
    return sizeOf(explained, maxResponseBytes) > maxResponseBytes ? result : explained;
  }

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

  /** The length of an answer at the most, by what can be known without looking through it. */
  function longestOf(
    { measured }: PreparedOperation,
    { query }: GraphQLParameters,
    { text }: Question,
    { errorsSize }: Result,
    loader: StatusLoader,
  ): number {
    const ofRequest = LONGEST_ESCAPE * (query.length + text.length);
    return errorsSize + measured.maxValues * (ofRequest + LONGEST_TEXT + loader.longestJson);
  }

  /**
   * The result of an operation whose answer is too long, without the fields that make it so. The executor counts what
   * it is asked for, but for names of types, so that it can take a second run; what errors alone make too long is
   * left out whole.
   */
  async function executeWithin(
    first: Result,
    execute: (responseSize: ResponseSize) => Promise<ExecutionResult>,
    context: RequestContext,
  ): Promise<Result> {
    let begunWith = first.errorsSize;
    for (let run = 0; run < COUNTED_RUNS; run += 1) {
      const counted = await execute(new ResponseSize(maxResponseBytes, begunWith));
      const result = toResult(counted, context);
      const excess = sizeOf(result, 2 * maxResponseBytes) - maxResponseBytes;
      if (excess <= 0) return result;
      begunWith += excess;
    }
    return toResult({ data: null, errors: [tooLong] }, context);
  }

  /** Is not counted further than `limit`. */
  function sizeOf({ data, shown, errorsSize, extensions }: Result, limit: number): number {
    const names = shown === undefined ? '{"data":}' : '{"errors":,"data":}';
    const ofExtensions =
      extensions === undefined ? 0 : ',"extensions":'.length + jsonSize(extensions, limit);
    return names.length + errorsSize + ofExtensions + jsonSize(data, limit);
  }

  function toResult({ data, errors }: ExecutionResult, context: RequestContext): Result {
    const shown = errors && toPublicErrors(errors, context, options);
    return { data, shown, errorsSize: shown ? jsonSize(shown.errors, maxResponseBytes) : 0 };
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
    return textAnswer(JSON.stringify({ errors: shown.errors }), {
      status: isFault ? 500 : refusal,
      headers: contentType(mediaType),
      summary: {
        ...NOTHING_LOADED,
        operationName,
        operationType: undefined,
        errorCodes: shown.errorCodes,
        cached: false,
      },
    });
  }

  /** What is thrown before anything is executed: the request is refused, or the gateway has a fault. */
  function answerFailure(
    error: unknown,
    request: GraphQLHttpRequest,
    context: RequestContext,
  ): Answer {
    if (error instanceof RefusedRequest) return refuse(error, request, context.id);
    return answerFault(error, negotiateMediaType(request) ?? MEDIA_TYPES[0], context);
  }

  function answerFault(error: unknown, mediaType: string, context: RequestContext): Answer {
    const fault = error instanceof Error ? error : new Error(String(error));
    return answerErrors([toGraphQLError(fault)], null, mediaType, context);
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
    const answer = execute(operation, parameters, question, context, asker, observer);
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
      return answerErrors(document.errors, null, mediaType, context);
    }
    const operation = document.operation(parameters.operationName);
    if (operation instanceof GraphQLError) {
      return answerErrors([operation], null, mediaType, context);
    }
    if (operation.node.operation === OperationTypeNode.MUTATION) throw aMutation(request);
    const { routerField } = operation.measured;
    if (routerField !== undefined && !asker.principal.isRouter) {
      throw new RefusedRequest('FORBIDDEN', 403, `${routerField} is for routers only.`);
    }
    operation.measured.check(parameters.variables);
    const faults = operation.faultsOfVariables(parameters.variables);
    if (faults.length > 0) return answerErrors(faults, operation.name, mediaType, context);
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

/** The answer to an operation that was executed. */
class ExecutedAnswer implements Answer {
  readonly status = 200;
  readonly headers: Answer['headers'];
  readonly maxBytes: number;
  readonly bodyBytes = undefined;
  readonly summary: AnswerSummary;
  readonly #question: Question;
  readonly #result: Result;
  readonly #loader: StatusLoader;
  /** Undefined: it is not kept. */
  readonly #responseCache: ResponseCache | undefined;

  constructor(
    operationName: string | null,
    question: Question,
    result: Result,
    maxBytes: number,
    loader: StatusLoader,
    responseCache: ResponseCache | undefined,
  ) {
    this.headers = contentType(question.mediaType);
    this.maxBytes = maxBytes;
    this.summary = toSummary(operationName, result.shown, loader);
    this.#question = question;
    this.#result = result;
    this.#loader = loader;
    this.#responseCache = responseCache;
  }

  serialize(): string {
    this.#loader.release();
    const { shown, data, extensions } = this.#result;
    if (shown !== undefined) return JSON.stringify({ errors: shown.errors, data, extensions });
    const body = JSON.stringify({ data, extensions });
    this.#responseCache?.set(this.#question, this, body, this.#loader.freshUntil);
    return body;
  }

  discard(): void {
    this.#loader.release();
  }
}

/** An answer as the only event of a live one. */
function asLive(answer: Answer, format: StreamFormat): LiveAnswer {
  return {
    format,
    summary: answer.summary,
    open(receiver) {
      receiver.next('', answer.serialize());
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

function negotiateMediaType({
  headers,
}: Pick<GraphQLHttpRequest, 'headers'>): GraphQLMediaType | undefined {
  const { accept } = headers;
  // What most clients send, and no header at all.
  if (accept === undefined || accept === '*/*' || accept === MEDIA_TYPES[0]) return MEDIA_TYPES[0];
  return negotiate(String(accept), MEDIA_TYPES);
}

function negotiateStream({ headers }: GraphQLHttpRequest): StreamFormat | undefined {
  const { accept } = headers;
  return negotiate(accept === undefined ? undefined : String(accept), STREAM_FORMATS);
}

const CONTENT_TYPES = new Map<string, readonly string[]>(
  MEDIA_TYPES.map((type) => [type, ['content-type', `${type}; charset=utf-8`]]),
);

function contentType(mediaType: string): readonly string[] {
  return CONTENT_TYPES.get(mediaType) ?? [];
}

function notAcceptable(mediaTypes: readonly string[]): RefusedRequest {
  return new RefusedRequest(
    'BAD_USER_INPUT',
    406,
    `The accept header allows none of the media types of this answer: ${mediaTypes.join(', ')}.`,
  );
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

/** Asks for the request's signal, and with it for a timer, only when the status service does. */
class ContextRequester implements Requester {
  readonly caller: Caller;
  readonly user: Requester['user'];
  readonly deadline: number;
  readonly observer: StatusObserver | undefined;
  readonly #context: RequestContext;

  constructor(
    caller: Caller,
    user: Requester['user'],
    observer: StatusObserver | undefined,
    context: RequestContext,
  ) {
    this.caller = caller;
    this.user = user;
    this.observer = observer;
    this.deadline = context.deadline;
    this.#context = context;
  }

  get signal(): CancelSignal {
    return this.#context.signal;
  }
}

function asksForExplanation({ headers }: GraphQLHttpRequest): boolean {
  return headers[EXPLAIN_HEADER] === EXPLAIN_VALUE;
}

function toEndUser({ subject, name }: Principal): Requester['user'] {
  return subject === undefined ? undefined : { id: subject, name };
}

const NONE: readonly never[] = [];

function toSummary(
  operationName: string | null,
  shown: Pick<AnswerSummary, 'errorCodes' | 'upstreamRequestIds'> | undefined,
  loader: StatusLoader,
): AnswerSummary {
  const { upstreamCalls, staleStatuses, staleBecause, batches } = loader;
  return {
    operationName,
    operationType: 'query',
    errorCodes: shown?.errorCodes ?? NONE,
    upstreamRequestIds: toRequestIds(loader, shown),
    cached: false,
    upstreamCalls,
    staleStatuses,
    staleBecause: staleStatuses === 0 ? NONE : staleBecause.map(toStaleReason),
    batches,
  };
}

function toRequestIds(
  { upstreamRequestIds }: StatusLoader,
  shown: Pick<AnswerSummary, 'upstreamRequestIds'> | undefined,
): readonly string[] {
  return shown === undefined || shown.upstreamRequestIds.length === 0
    ? upstreamRequestIds
    : [...upstreamRequestIds, ...shown.upstreamRequestIds];
}
