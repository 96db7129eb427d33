import type { AnswerSummary } from './answer.ts';
import type {
  CallObserver,
  RequestTrace,
  StatusObserver,
  UpstreamCallOutcome,
} from './request-trace.ts';

/** What is told of one of several tenants; undefined where there is only one. */
interface OfTenant {
  readonly tenant?: string | undefined;
}

/** A request to the GraphQL endpoint, at its end. */
export interface RequestEvent extends OfTenant {
  readonly requestId: string;
  readonly method: string;
  /** From where it came, as far as that can be trusted. */
  readonly address: string;
  /** The HTTP status; undefined: the client was gone before the answer was out. */
  readonly status: number | undefined;
  readonly subject: string | undefined;
  /** Why the request was refused, in words for the operator. */
  readonly refusal: string | undefined;
  readonly durationMs: number;
  readonly answer: AnswerSummary;
  /** Undefined: it is in no trace. */
  readonly trace?: RequestTrace | undefined;
}

/** A request that was refused before it came to the GraphQL endpoint. */
interface RefusalEvent {
  readonly address: string;
  /** Undefined, as `path`: it could not be read. */
  readonly method: string | undefined;
  /** Its beginning, without the query string. */
  readonly path: string | undefined;
  readonly status: number;
  readonly reason: string;
}

/**
 * Which circuit: the one over all calls to the Participant Service, the one of a participant type, or the one
 * of all types that have not answered yet.
 */
export type CircuitName =
  | { readonly circuit: 'service' | 'new participant types'; readonly participantType?: undefined }
  | { readonly circuit: 'participant type'; readonly participantType: string };

/** A call that went out to the Participant Service, at its end. */
interface UpstreamCallEvent extends OfTenant {
  readonly participantType: string;
  readonly outcome: UpstreamCallOutcome;
  /** Whether it was made once more for the same status: a retry, or with a new token. */
  readonly isRetry: boolean;
  readonly durationMs: number;
}

/** What a cache tells of itself: its lookups since the start, what it holds, and what that takes, by its own estimate. */
export interface CacheUse {
  readonly hits: number;
  readonly misses: number;
  readonly entries: number;
  readonly bytes: number;
}

/** Why a stream ended. */
export const STREAM_ENDS = [
  'complete',
  'refused',
  'client gone',
  'client does not read',
  'time limit',
  'shutdown',
  'tenant changed',
] as const;
export type StreamEnd = (typeof STREAM_ENDS)[number];

/**
 * What the gateway tells whoever watches it: logs, metrics, traces. Each method returns at once and never
 * throws. One that is missing costs nothing: it is called as `telemetry.request?.(…)`, whose arguments are not
 * made then. No event holds a secret.
 */
export interface Telemetry {
  /** Begins a request's part of a trace; undefined: it is in none. */
  traceRequest?(request: {
    readonly method?: string | undefined;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  }): RequestTrace | undefined;
  /**
   * An access token is asked for, because of whoever `cause` observes; undefined: in the background. Returns undefined
   * where that is not recorded.
   */
  traceTokenCall?(
    cause: StatusObserver | undefined,
    tenant?: string,
  ): Pick<CallObserver, 'end'> | undefined;
  request?(event: RequestEvent): void;
  requestRefused?(event: RefusalEvent): void;
  /** An error that clients see masked, as INTERNAL_SERVER_ERROR. */
  internalError?(
    event: OfTenant & {
      requestId: string;
      path: readonly (string | number)[] | undefined;
      error: unknown;
    },
  ): void;
  /** A fault outside GraphQL, answered with 500. */
  handlerFailed?(event: { error: unknown }): void;
  upstreamCall?(event: UpstreamCallEvent): void;
  circuitOpened?(event: CircuitName & OfTenant & { fault: string }): void;
  circuitClosed?(event: CircuitName & OfTenant & { openMs: number }): void;
  /** The upstream answered a request with the answer to another, and its connections are renewed. */
  foreignAnswer?(event: OfTenant): void;
  tokenRenewed?(event: OfTenant & { lifetimeMs: number }): void;
  tokenFailed?(
    event: OfTenant & {
      reason: string;
      requestId: string;
      retryAfterMs: number | undefined;
      failures: number;
    },
  ): void;
  keysFailed?(event: OfTenant & { error: unknown; failures: number; retryAfterMs: number }): void;
  /** Keys of callers' tokens that cannot be used are left out. Each list of reasons is told once. */
  keysLeftOut?(event: OfTenant & { reasons: readonly string[] }): void;
  /** A request had another `router-authorization` than FEDERATION_SECRET. */
  routerSecretWrong?(event: OfTenant & { requestId: string }): void;
  /** A page of an origin that may not call the gateway did. */
  originRefused?(event: OfTenant & { origin: string }): void;
  /** A connection of a client was closed at once, because there are too many. */
  connectionRefused?(): void;
  /** Connections of clients that did not take their answers were ended. */
  slowReadersCutOff?(event: { connections: number }): void;
  streamEnded?(
    event: OfTenant & {
      requestId: string;
      reason: StreamEnd;
      /** That were written. */
      events: number;
      /** That were out of date before they could be written. */
      skipped: number;
      durationMs: number;
    },
  ): void;
  /** Redis cannot be used: replicas are on their own. Told once. */
  redisLost?(event: { reason: string }): void;
  redisBack?(event: { lostMs: number }): void;
  /** Spans could not be sent to the collector. Told once, until they can be again. */
  tracesFailed?(event: { reason: string }): void;
  tracesBack?(event: { lostSpans: number }): void;
  eventLoopBlocked?(event: { blockedMs: number }): void;
  fileDescriptorsExhausted?(): void;
  fileDescriptorsBack?(event: { lastedMs: number }): void;
  /** Requests that did not finish before the end of the process. */
  requestsCutOff?(event: { requests: number }): void;
  /** A tenant's file has changed, was added, or is gone. */
  tenantChanged?(event: { tenant: string; change: 'added' | 'changed' | 'removed' }): void;
  /** A tenant's file cannot be used; the directory of them, where there is no name. Its old self stays in force. */
  tenantFaulty?(event: OfTenant & { fault: string }): void;
  /** What was faulty is good again. */
  tenantRepaired?(event: OfTenant): void;
}

/** The same, told as of one of several tenants. */
export function tellOfTenant(telemetry: Telemetry, tenant: string): Telemetry {
  const { upstreamCall, circuitOpened, circuitClosed, foreignAnswer } = telemetry;
  const { tokenRenewed, tokenFailed, keysFailed, keysLeftOut } = telemetry;
  const { routerSecretWrong, originRefused, traceTokenCall, internalError } = telemetry;
  return {
    ...telemetry,
    ...(upstreamCall && { upstreamCall: (event) => upstreamCall({ ...event, tenant }) }),
    ...(circuitOpened && { circuitOpened: (event) => circuitOpened({ ...event, tenant }) }),
    ...(circuitClosed && { circuitClosed: (event) => circuitClosed({ ...event, tenant }) }),
    ...(foreignAnswer && { foreignAnswer: (event) => foreignAnswer({ ...event, tenant }) }),
    ...(tokenRenewed && { tokenRenewed: (event) => tokenRenewed({ ...event, tenant }) }),
    ...(tokenFailed && { tokenFailed: (event) => tokenFailed({ ...event, tenant }) }),
    ...(keysFailed && { keysFailed: (event) => keysFailed({ ...event, tenant }) }),
    ...(routerSecretWrong && {
      routerSecretWrong: (event) => routerSecretWrong({ ...event, tenant }),
    }),
    ...(originRefused && { originRefused: (event) => originRefused({ ...event, tenant }) }),
    ...(traceTokenCall && { traceTokenCall: (cause) => traceTokenCall(cause, tenant) }),
    ...(internalError && { internalError: (event) => internalError({ ...event, tenant }) }),
    ...(keysLeftOut && { keysLeftOut: (event) => keysLeftOut({ ...event, tenant }) }),
  };
}
