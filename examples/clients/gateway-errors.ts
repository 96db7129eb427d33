/** The closed set of `extensions.code`. What each means: docs/errors.md of the gateway. */
export const GATEWAY_ERROR_CODES = [
  'BAD_USER_INPUT',
  'UPSTREAM_UNAUTHENTICATED',
  'UPSTREAM_FORBIDDEN',
  'NOT_FOUND',
  'UPSTREAM_REJECTED',
  'UPSTREAM_RATE_LIMITED',
  'UPSTREAM_TIMEOUT',
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_BAD_RESPONSE',
  'TOKEN_UNAVAILABLE',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'OPERATION_TOO_COMPLEX',
  'PAYLOAD_TOO_LARGE',
  'RATE_LIMITED',
  'OVERLOADED',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
  'UNKNOWN_DOCUMENT',
  'UNKNOWN_TENANT',
  'INTERNAL_SERVER_ERROR',
] as const;

export type GatewayErrorCode = (typeof GATEWAY_ERROR_CODES)[number];

/**
 * One member of `errors`, read: whatever comes is taken, and what is missing is undefined. The
 * message is for people and may change; programs switch on `code`.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  /** Where in the result it is, such as `['vehicles']`; empty when it is about the whole request. */
  readonly path: (string | number)[];
  /** A GatewayErrorCode, or one that is newer than this file; undefined when it is not the gateway's. */
  readonly code: string | undefined;
  /** True when the same request may succeed later. */
  readonly retryable: boolean;
  /** How long to wait before that; undefined when nobody said. */
  readonly retryAfterMs: number | undefined;
  /** What support asks for. */
  readonly requestId: string | undefined;

  constructor(error: unknown) {
    const { message, path, extensions } = recordOf(error);
    const { code, retryable, retryAfterMs, requestId } = recordOf(extensions);
    super(typeof message === 'string' ? message : 'An error without a message.');
    this.path = Array.isArray(path) ? path.filter(isPathKey) : [];
    this.code = typeof code === 'string' ? code : undefined;
    this.retryable = retryable === true;
    this.retryAfterMs = typeof retryAfterMs === 'number' ? retryAfterMs : undefined;
    this.requestId = typeof requestId === 'string' ? requestId : undefined;
  }
}

/** What a frontend does about an error. */
export type Advice =
  | { action: 'log-in-again' }
  | { action: 'mend-input'; message: string }
  | { action: 'say-not-found' }
  /** `afterMs` is undefined when nobody said: then as often as you poll. */
  | { action: 'try-again'; afterMs: number | undefined }
  | { action: 'tell-support'; requestId: string | undefined };

export function adviceFor(error: GatewayError): Advice {
  const tryAgain: Advice = { action: 'try-again', afterMs: error.retryAfterMs };
  const tellSupport: Advice = { action: 'tell-support', requestId: error.requestId };

  // A gateway newer than this file may have more codes: `retryable` says enough.
  if (!isGatewayErrorCode(error.code)) return error.retryable ? tryAgain : tellSupport;

  switch (error.code) {
    case 'UNAUTHENTICATED':
      return { action: 'log-in-again' };
    case 'BAD_USER_INPUT':
      return { action: 'mend-input', message: error.message };
    case 'NOT_FOUND':
      return { action: 'say-not-found' };
    case 'UPSTREAM_RATE_LIMITED':
    case 'UPSTREAM_TIMEOUT':
    case 'UPSTREAM_UNAVAILABLE':
    case 'UPSTREAM_BAD_RESPONSE':
    case 'TOKEN_UNAVAILABLE':
    case 'RATE_LIMITED':
    case 'OVERLOADED':
    case 'UNKNOWN_DOCUMENT':
      return tryAgain;
    case 'UPSTREAM_UNAUTHENTICATED':
    case 'UPSTREAM_FORBIDDEN':
    case 'UPSTREAM_REJECTED':
    case 'FORBIDDEN':
    case 'OPERATION_TOO_COMPLEX':
    case 'PAYLOAD_TOO_LARGE':
    case 'PERSISTED_QUERY_NOT_FOUND':
    case 'PERSISTED_QUERY_NOT_SUPPORTED':
    case 'UNKNOWN_TENANT':
    case 'INTERNAL_SERVER_ERROR':
      return tellSupport;
  }
}

function isGatewayErrorCode(code: string | undefined): code is GatewayErrorCode {
  return GATEWAY_ERROR_CODES.some((known) => known === code);
}

function isPathKey(key: unknown): key is string | number {
  return typeof key === 'string' || typeof key === 'number';
}

function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
