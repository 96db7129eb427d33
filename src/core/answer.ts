import type { BatchKey } from './batch-key.ts';
import type { Caller } from './caller.ts';
import type { ErrorCode } from './error-codes.ts';
import type { Principal } from './principal.ts';
import type { RequestContext } from './request-context.ts';

/** A request to the GraphQL endpoint, read to its end. */
export interface GraphQLHttpRequest {
  readonly method: string;
  /** By name, in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The query string without its `?`. */
  readonly search: string;
  /** Empty where the method has none. */
  readonly body: string;
}

/** A failure that no client sees, because the last status was served in its place. */
export interface StaleReason {
  readonly code: ErrorCode;
  /** The upstream's HTTP status; undefined: it gave none. */
  readonly upstreamStatus: number | undefined;
  /** The X-COREOS-REQUEST-ID of the failing call; undefined: none was made. */
  readonly upstreamRequestId: string | undefined;
}

/** What an answer tells of how it came about, for the request's log line and metrics. */
export interface AnswerSummary {
  readonly operationName: string | null;
  /** Of the operation that was executed; undefined: none was. */
  readonly operationType: 'query' | 'subscription' | undefined;
  /** `extensions.code` of each error. */
  readonly errorCodes: readonly string[];
  /** The X-COREOS-REQUEST-ID of each upstream call that brought a status because of this request, or led to an error. */
  readonly upstreamRequestIds: readonly string[];
  /** Whether it comes from the response cache. */
  readonly cached: boolean;
  /** Requests that went out to the upstream because of this one. */
  readonly upstreamCalls: number;
  /** Statuses in it that are older than they should be, because the upstream fails. */
  readonly staleStatuses: number;
  /** Because of which failures, one of each code. */
  readonly staleBecause: readonly StaleReason[];
  /** The batches whose statuses it was made of; undefined where nothing is audited. */
  readonly batches?: readonly BatchKey[] | undefined;
}

/** Of an answer for which no status was asked for. */
export const NOTHING_LOADED = {
  upstreamRequestIds: [],
  upstreamCalls: 0,
  staleStatuses: 0,
  staleBecause: [],
} as const satisfies Partial<AnswerSummary>;

/** An answer, not yet written out. */
export interface Answer {
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** Bytes of its body, at the most: what it may take to hold it. */
  readonly maxBytes: number;
  /** Bytes of its body, where they are known before it is written out. */
  readonly bodyBytes: number | undefined;
  readonly summary: AnswerSummary;
  /** Writes the body out, and lets go what it is made of. To be called once. */
  serialize(): string;
  /** To be called in the place of that where nobody wants it any more. */
  discard(): void;
}

/** An answer whose body is at hand. */
export function textAnswer(
  body: string,
  { status, headers, summary }: Pick<Answer, 'status' | 'headers' | 'summary'>,
): Answer {
  const bodyBytes = Buffer.byteLength(body);
  return {
    status,
    headers,
    maxBytes: bodyBytes,
    bodyBytes,
    summary,
    serialize: () => body,
    discard() {},
  };
}

/** How events are written to a client. */
export type StreamFormat = 'text/event-stream' | 'multipart/mixed';

/** Who gets the events of a live answer. Its methods return at once, and never throw. */
export interface EventReceiver {
  /**
   * One event, as JSON. It takes the place of an earlier one of its slot that was not yet written. The slot of an event
   * that is about one batch is that batch, by `batchToText`. `hasStatus`: whether it says more of it than why there is
   * nothing to say.
   */
  next(slot: string, text: string, hasStatus: boolean): void;
  /** There will be no more. */
  complete(): void;
}

/** An answer that goes on: to a subscription. */
export interface LiveAnswer {
  readonly format: StreamFormat;
  readonly summary: AnswerSummary;
  /** Begins. Returns how to end it before it is complete. To be called once. */
  open(receiver: EventReceiver): () => void;
  /** To be called in the place of that where nobody wants it any more. */
  discard(): void;
}

/** Who asks. */
export interface Asker {
  readonly principal: Principal;
  readonly caller: Caller;
}

/** GraphQL over HTTP, without a server. */
export interface Handler {
  /** The answer that is at hand for this request; undefined where it has to be made. */
  cached(request: GraphQLHttpRequest, principal: Principal): Answer | undefined;
  /** Never throws or rejects; an answer that nobody has to wait for is no promise. */
  handle(
    request: GraphQLHttpRequest,
    context: RequestContext,
    asker: Asker,
  ): Answer | LiveAnswer | Promise<Answer | LiveAnswer>;
}
