import type { BatchStatusLoader } from '../participants/batch-status-loader.ts';

/** The reason of a request's signal when its client went away. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/** What the front door knows of a request when it hands it on. */
export interface RequestScope {
  /** The id of this request, in its log line and in the answer's `x-request-id`. */
  readonly requestId: string;
  /** Aborts when the client is gone (nobody waits any more) or the request's deadline has passed. */
  readonly signal: AbortSignal;
  /** Filled in on the way. */
  readonly report: RequestReport;
}

/** What a request's inside tells of itself: for the log line, and for how long its answer holds. */
export interface RequestReport {
  /** Which way the answer came: kept from before, through the lean lane, or through Yoga's HTTP layer. */
  lane: 'kept' | 'lean' | 'yoga';
  operationName: string | null;
  /** `extensions.code` of each error in the answer. */
  errorCodes: string[];
  /** Requests that went out to the upstream because of this one. */
  upstreamCalls: number;
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
