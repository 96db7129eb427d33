import type { ExecutionResult } from 'graphql';
import type { Answer, AnswerSummary } from '../core/answer.ts';
import type { StatusLoader } from '../status/loader.ts';
import { type toPublicErrors, toStaleReason } from './errors.ts';
import { contentType } from './negotiation.ts';
import type { Question, ResponseCache } from './response-cache.ts';

/** What an execution came to. */
export interface Result {
  readonly data: ExecutionResult['data'];
  /** Undefined: there is no error. */
  readonly shown: ReturnType<typeof toPublicErrors> | undefined;
  /** Bytes of the errors, as they are shown. */
  readonly errorsSize: number;
  /** Undefined: there are none. */
  readonly extensions?: { readonly explain: object };
}

/** The answer to an operation that was executed. */
export class ExecutedAnswer implements Answer {
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
