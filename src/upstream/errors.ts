import { ExpectedError } from '../core/errors.ts';
import type { CircuitName } from '../core/telemetry.ts';
import { MemoryUse } from '../lib/held-memory.ts';
import type { JsonValue } from '../lib/json.ts';
import type { UpstreamEcho } from './envelope.ts';

/**
 * What went wrong between the gateway and the Participant Service, in the gateway's words:
 * - `invalid-request`: 400
 * - `unauthenticated`: 401, still after one renewed token; or the token endpoint refuses the credentials
 * - `forbidden`: 403
 * - `not-found`: 404
 * - `rejected`: any other 4xx
 * - `rate-limited`: 429
 * - `timeout`: 408, 504, or one of the gateway's own time limits
 * - `unavailable`: any other 5xx, or no connection
 * - `bad-response`: an answer that is not the documented envelope, too large, cut off, a redirect
 * - `token-unavailable`: no token to ask with: the token endpoint is down, or answers nonsense
 * - `overloaded`: the gateway has more calls to make than it can
 */
export type UpstreamErrorKind =
  | 'invalid-request'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'rejected'
  | 'rate-limited'
  | 'timeout'
  | 'unavailable'
  | 'bad-response'
  | 'token-unavailable'
  | 'overloaded';

/** What the upstream itself said, as far as it said anything. */
export interface UpstreamReport {
  /** The HTTP status. */
  status: number;
  /** `error.code`: 12 digits (4 service, 4 method, 4 unique); null when it gave none. */
  code: string | null;
  description: string | null;
  additionalInfo: JsonValue;
  /** Its echo of the request; null when it gave none. */
  request: UpstreamEcho | null;
}

interface UpstreamErrorDetails {
  /** The X-COREOS-REQUEST-ID of the failing call; undefined: none was made. */
  requestId: string | undefined;
  /** Milliseconds until another try makes sense, when somebody said so. */
  retryAfterMs?: number | undefined;
  upstream?: UpstreamReport | undefined;
  /** Bytes that `upstream` takes in memory at most; 0 by default. */
  size?: number | undefined;
}

/** A status that could not be fetched. The message is fit for the client. */
export class UpstreamError extends ExpectedError {
  override readonly name = 'UpstreamError';
  readonly kind: UpstreamErrorKind;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly upstream: UpstreamReport | undefined;
  /** Of `upstream`. */
  readonly memory: MemoryUse;

  constructor(kind: UpstreamErrorKind, message: string, details: UpstreamErrorDetails) {
    super(message);
    this.kind = kind;
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
    this.upstream = details.upstream;
    this.memory = new MemoryUse(details.size ?? 0);
  }
}

/** The upstream fails, so that it is not asked. `waitMs`: until the next call may be made. */
export function circuitOpen({ circuit }: CircuitName, waitMs: number): UpstreamError {
  return new UpstreamError(
    'unavailable',
    `The Participant Service fails${FAILS_FOR[circuit]}: the gateway waits a moment before it asks again.`,
    { requestId: undefined, retryAfterMs: waitMs },
  );
}

const FAILS_FOR: Record<CircuitName['circuit'], string> = {
  service: '',
  'participant type': ' for this participant type',
  'new participant types': ' for participant types that it has not answered yet',
};

/** The upstream asks for patience with one participant type (429), so that it is not asked for it. */
export function rateLimitHeld(waitMs: number): UpstreamError {
  return new UpstreamError(
    'rate-limited',
    'The Participant Service asks for patience: the gateway waits until it may ask again for this participant type.',
    { requestId: undefined, retryAfterMs: waitMs },
  );
}

/** All connections were in use for so long that no answer could come in time. */
export function noConnectionInTime(): UpstreamError {
  return new UpstreamError(
    'timeout',
    'No connection to the Participant Service was free in time.',
    { requestId: undefined },
  );
}

/** More calls wait to be made than can be made in time. */
export function tooManyCalls(): UpstreamError {
  return new UpstreamError(
    'overloaded',
    'The gateway has more calls to make than it can: try again in a moment.',
    { requestId: undefined, retryAfterMs: 1_000 },
  );
}

/**
 * Errors that tell of no batch, but of an upstream that fails: the last status that it gave is better than none
 * (RFC 5861, `stale-if-error`). Not of a gateway whose credentials are refused.
 */
export function isOutage(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && OUTAGES.has(error.kind);
}

/** The upstream's word that there is no such batch, or not for whoever asks. */
export function isRefusal(error: unknown): boolean {
  return error instanceof UpstreamError && REFUSALS.has(error.kind);
}

const REFUSALS: ReadonlySet<UpstreamErrorKind> = new Set([
  'invalid-request',
  'forbidden',
  'not-found',
  'rejected',
]);

const OUTAGES: ReadonlySet<UpstreamErrorKind> = new Set([
  'timeout',
  'unavailable',
  'rate-limited',
  'bad-response',
  'token-unavailable',
  'overloaded',
]);
