import type { ExecutionResult, GraphQLError } from 'graphql';
import { type Answer, type Asker, NOTHING_LOADED, textAnswer } from '../core/answer.ts';
import type { Caller } from '../core/caller.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { StatusObserver } from '../core/request-trace.ts';
import type { CancelSignal } from '../lib/cancellation.ts';
import type { HeldMemory } from '../lib/held-memory.ts';
import { StatusLoader } from '../status/loader.ts';
import type { Requester, StatusService } from '../status/service.ts';
import type { PreparedOperation } from './documents.ts';
import { type PublicErrorOptions, toGraphQLError, toPublicErrors } from './errors.ts';
import { ExecutedAnswer, type Result } from './executed-answer.ts';
import { Explanation } from './explain.ts';
import { contentType } from './negotiation.ts';
import type { GraphQLParameters } from './parameters.ts';
import type { Question, ResponseCache } from './response-cache.ts';
import { jsonSize, ResponseSize, responseTooLong } from './response-size.ts';

export interface ExecutorOptions extends PublicErrorOptions {
  responseCache: ResponseCache;
  statuses: Pick<StatusService, 'get'>;
  /** What the requests under way were answered by the upstream: statuses, and what errors say. */
  heldMemory: HeldMemory;
  participantTypes: ReadonlySet<string>;
  /** Different batches that one request may ask for. */
  maxBatches: number;
  /** The longest answer to an operation that is executed, in bytes. */
  maxResponseBytes: number;
  /** Whether summaries name the batches that were read. */
  isAudited?: boolean;
}

/** A query, and for whom it is executed. */
export interface Execution {
  readonly operation: PreparedOperation;
  readonly parameters: GraphQLParameters;
  readonly question: Question;
  readonly context: RequestContext;
  readonly asker: Asker;
  /** The user that the upstream is told of; undefined: none. */
  readonly user: Requester['user'];
  /** Is told how it comes by its statuses; undefined: nobody is. */
  readonly observer: StatusObserver | undefined;
}

/** What is read out of a request, its ids and names, can be percent-encoded UTF-8: 3 characters for each of 3 bytes. */
const LONGEST_ESCAPE = 9;
/** More than any text of the gateway's own, with its punctuation. */
const LONGEST_TEXT = 128;
/** How often an operation is run whose answer is too long, until it is not. */
const COUNTED_RUNS = 3;

/** Executes queries, and makes answers of what comes of them. */
export class Executor {
  readonly #options: ExecutorOptions;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async execute(execution: Execution): Promise<Answer> {
    const { operation, parameters, question, context, asker, user, observer } = execution;
    const { statuses, participantTypes, maxBatches, heldMemory, isAudited } = this.#options;
    const { maxResponseBytes, responseCache } = this.#options;
    const { variables } = parameters;
    const { principal, caller } = asker;
    const requester = new ContextRequester(caller, user, observer, context);
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
        return this.answerErrors(
          executed.errors ?? [],
          operation.name,
          question.mediaType,
          context,
        );
      }
      let result = this.#toResult(executed, context);
      let maxBytes = this.#longestOf(operation, parameters, question, result, loader);
      if (maxBytes > maxResponseBytes) maxBytes = this.#sizeOf(result, maxResponseBytes);
      if (maxBytes > maxResponseBytes) {
        const counted = (responseSize: ResponseSize) =>
          operation.executeCounted({ contextValue: { ...contextValue, responseSize }, variables });
        result = await this.#executeWithin(result, counted, context);
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
      const explained = this.#withExplanation(result, observer.describe(context.id));
      maxBytes = Math.max(maxBytes, this.#sizeOf(explained, maxResponseBytes));
      return new ExecutedAnswer(operation.name, question, explained, maxBytes, loader, undefined);
    } catch (error) {
      loader.release();
      return this.answerFault(error, question.mediaType, context);
    }
  }

  /** Without it where the answer would be too long. */
  #withExplanation(result: Result, explain: object): Result {
    const { maxResponseBytes } = this.#options;
    const explained = { ...result, extensions: { explain } };
    return this.#sizeOf(explained, maxResponseBytes) > maxResponseBytes ? result : explained;
  }

  /** The length of an answer at the most, by what can be known without looking through it. */
  #longestOf(
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
  async #executeWithin(
    first: Result,
    execute: (responseSize: ResponseSize) => Promise<ExecutionResult>,
    context: RequestContext,
  ): Promise<Result> {
    const { maxResponseBytes } = this.#options;
    let begunWith = first.errorsSize;
    for (let run = 0; run < COUNTED_RUNS; run += 1) {
      const counted = await execute(new ResponseSize(maxResponseBytes, begunWith));
      const result = this.#toResult(counted, context);
      const excess = this.#sizeOf(result, 2 * maxResponseBytes) - maxResponseBytes;
      if (excess <= 0) return result;
      begunWith += excess;
    }
    return this.#toResult(
      { data: null, errors: [toGraphQLError(responseTooLong(maxResponseBytes))] },
      context,
    );
  }

  /** Is not counted further than `limit`. */
  #sizeOf({ data, shown, errorsSize, extensions }: Result, limit: number): number {
    const names = shown === undefined ? '{"data":}' : '{"errors":,"data":}';
    const ofExtensions =
      extensions === undefined ? 0 : ',"extensions":'.length + jsonSize(extensions, limit);
    return names.length + errorsSize + ofExtensions + jsonSize(data, limit);
  }

  #toResult({ data, errors }: ExecutionResult, context: RequestContext): Result {
    const shown = errors && toPublicErrors(errors, context, this.#options);
    return {
      data,
      shown,
      errorsSize: shown ? jsonSize(shown.errors, this.#options.maxResponseBytes) : 0,
    };
  }

  /** A document that is not executed. */
  answerErrors(
    errors: readonly GraphQLError[],
    operationName: string | null,
    mediaType: string,
    context: RequestContext,
  ): Answer {
    const shown = toPublicErrors(errors, context, this.#options);
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

  /** The answer to what is a bug. */
  answerFault(error: unknown, mediaType: string, context: RequestContext): Answer {
    const fault = error instanceof Error ? error : new Error(String(error));
    return this.answerErrors([toGraphQLError(fault)], null, mediaType, context);
  }
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
