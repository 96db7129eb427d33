import type { BatchStatusLoader } from '../participants/batch-status-loader.ts';
import type { ErrorCode } from './error-codes.ts';

/** The reason of a request's signal when its client went away. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/** Who sent a request, as an access token says. */
export interface Caller {
  /** The token's `sub`. */
  readonly subject: string;
  /** The token's `name`. */
  readonly name: string | undefined;
  readonly scopes: ReadonlySet<string>;
  /** The participant types that it may ask for; undefined: any. */
  readonly participantTypes: ReadonlySet<string> | undefined;
}

/** What the front door knows of a request when it hands it on. */
export interface RequestScope {
  /** The id of this request, in its log line and in the answer's `x-request-id`. */
  readonly requestId: string;
  /** Aborts when the client is gone (nobody waits any more) or the request's deadline has passed. */
  readonly signal: AbortSignal;
  /** When the deadline passes, on the gateway's clock. */
  readonly deadline: number;
  /** Undefined where nobody's identity is checked, or it is not known yet. */
  caller: Caller | undefined;
  /** Whether `_service` and `_entities` may be asked for: false until that is proven. */
  isRouter: boolean;
  /**
   * Whatever else of the caller can change an answer, as a JSON array: with it, `isRouter` and the tenant begins
   * the key of everything that is kept of one. Empty where nothing of the caller can.
   */
  cachePartition: string;
  /** Filled in on the way. */
  readonly report: RequestReport;
}

/** A failure that no client sees, because the last status was served in its place. */
export interface StaleReason {
  readonly code: ErrorCode;
  /** The upstream's HTTP status; undefined: it gave none. */
  readonly upstreamStatus: number | undefined;
  /** The X-COREOS-REQUEST-ID of the failing call; undefined: none was made. */
  readonly upstreamRequestId: string | undefined;
}

/** What a request's inside tells of itself: for the log line, and for how long its answer holds. */
export interface RequestReport {
  /** Which way the answer came: kept from before, through the lean lane, or through Yoga's HTTP layer. */
  lane: 'kept' | 'lean' | 'yoga';
  operationName: string | null;
  /** Why the caller's token was refused, in words for the operator; never shown to the caller. */
  refusal: string | undefined;
  /** `extensions.code` of each error in the answer. */
  errorCodes: string[];
  /** Requests that went out to the upstream because of this one. */
  upstreamCalls: number;
  /** Statuses in the answer that are older than they should be, because the upstream fails. */
  staleStatuses: number;
  /** Because of which failures, one of each code. */
  staleBecause: StaleReason[];
  /**
   * The moment on the gateway's clock until which every status in the answer may be served again.
   * Infinity while there is none in it.
   */
  freshUntil: number;
}

/** What every step of the pipeline finds in its context. */
export interface ScopeContext {
  readonly scope: RequestScope;
}

/** What resolvers work with. */
export interface GatewayContext extends ScopeContext {
  readonly batchStatusLoader: BatchStatusLoader;
  /** The allow-list of participant types; empty for any. */
  readonly participantTypes: ReadonlySet<string>;
}
