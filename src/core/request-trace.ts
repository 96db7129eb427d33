import type { BatchKey } from './batch-key.ts';

/**
 * Where a status came from: the cache, another request's call, a call of its own, another replica's call, or the cache
 * because the upstream fails.
 */
export type StatusOrigin = 'cached' | 'joined' | 'fetched' | 'shared' | 'stale';

/** How a request came by a status, or why by none. */
export interface StatusReport {
  /** `failed`: there is none. */
  readonly source: StatusOrigin | 'failed';
  /** When the upstream said so; undefined: there is no status. */
  readonly fetchedAt: Date | undefined;
  /** The failure, or the one because of which it is stale; undefined: there was none. */
  readonly error: unknown;
}

/** A span of a trace that is recorded, by its ids as W3C Trace Context writes them. */
export interface SpanReference {
  readonly traceId: string;
  readonly spanId: string;
}

/** A call to the Participant Service that is about to go out. */
export interface OutgoingCall {
  readonly key: BatchKey;
  /** Its X-COREOS-REQUEST-ID. */
  readonly requestId: string;
  readonly url: { readonly origin: string; readonly pathname: string; readonly search: string };
  /** Names and values in turn, {@link TOKEN_PLACEHOLDER} in the place of the token. */
  readonly headers: readonly string[];
  /** For how long the gateway has had that token, in milliseconds. */
  readonly tokenAgeMs: number;
}

/** Stands where the access token does in what is told of a call: no event holds a secret. */
export const TOKEN_PLACEHOLDER = '$TOKEN';

/** What a call came to (docs/architecture.md has the kinds); `aborted`: nobody waited for it any more. */
export type UpstreamCallOutcome =
  | 'ok'
  | 'refused'
  | 'foreign'
  | 'transient'
  | 'fault'
  | 'inconclusive'
  | 'aborted';

/** Is told of one call. */
export interface CallObserver {
  /** To be sent with it, names and values in turn. */
  readonly headers: readonly string[];
  /** `status`: the HTTP status; undefined: there was no answer. To be called once. */
  end(status: number | undefined, outcome: UpstreamCallOutcome): void;
}

/** What a request waits for before a call goes out: an access token, one of the calls that may be made, or a second try. */
export type WaitReason = 'token' | 'slot' | 'retry';

/**
 * Is told how one request comes by its statuses: for traces, and for explanations. Where nobody wants to know there
 * is none, and nothing is measured. Its methods return at once and never throw.
 */
export interface StatusObserver {
  /** What others may refer to; undefined: it is not recorded. */
  readonly span: SpanReference | undefined;
  /** The request waits for calls that another one makes, which `other` is told of. */
  joined(key: BatchKey, other: StatusObserver | undefined): void;
  waited(key: BatchKey, reason: WaitReason, ms: number): void;
  called(call: OutgoingCall): CallObserver;
  /** What came of it all. */
  got(key: BatchKey, report: StatusReport): void;
}

/** A request's part of a trace. It ends with the request's event. */
export interface RequestTrace {
  /** 32 hexadecimal digits, as W3C Trace Context has it. */
  readonly id: string;
  /** An operation is executed. Undefined: nobody is to be told of it, because the trace is not recorded. */
  execute(operationName: string | null): TracedExecution | undefined;
}

/** The execution of an operation, as a trace has it. */
export interface TracedExecution extends StatusObserver {
  /** To be called once. */
  end(errorCodes: readonly string[]): void;
}
