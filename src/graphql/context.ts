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
  /** Filled in on the way, for the log line. */
  readonly report: RequestReport;
}

/** What the log line tells of a request's inside. */
export interface RequestReport {
  operationName: string | null;
  /** `extensions.code` of each error in the answer. */
  errorCodes: string[];
  /** Requests that went out to the upstream because of this one. */
  upstreamCalls: number;
}

/** What resolvers work with. */
export interface GatewayContext extends RequestScope {
  readonly batchStatusLoader: BatchStatusLoader;
  /** The allow-list of participant types; empty for any. */
  readonly participantTypes: ReadonlySet<string>;
}
