/** What a client may do about an error, and what it means. */
interface ErrorCodeContract {
  /** True when the same request may succeed later. */
  readonly retryable: boolean;
  /** One sentence for `docs/errors.md`. */
  readonly cause: string;
}

/**
 * The closed set of `extensions.code`: what clients switch on. The table of `docs/errors.md` is held
 * to it by a test.
 */
export const ERROR_CODES = {
  BAD_USER_INPUT: {
    retryable: false,
    cause:
      'The request, an argument or a variable is faulty, or the Participant Service answered 400.',
  },
  UPSTREAM_UNAUTHENTICATED: {
    retryable: false,
    cause:
      "The gateway's own credentials are refused: 401 from the Participant Service, still after one renewed token, or a refusal by the token endpoint.",
  },
  UPSTREAM_FORBIDDEN: {
    retryable: false,
    cause: 'The Participant Service answered 403: the gateway may not read this.',
  },
  NOT_FOUND: {
    retryable: false,
    cause: 'The Participant Service answered 404: no such participant type, or no such batch.',
  },
  UPSTREAM_REJECTED: {
    retryable: false,
    cause: 'The Participant Service answered with another 4xx.',
  },
  UPSTREAM_RATE_LIMITED: {
    retryable: true,
    cause: 'The Participant Service answered 429: too many calls.',
  },
  UPSTREAM_TIMEOUT: {
    retryable: true,
    cause: "The Participant Service answered 408 or 504, or not within the gateway's time limits.",
  },
  UPSTREAM_UNAVAILABLE: {
    retryable: true,
    cause: 'The Participant Service answered with another 5xx, or cannot be reached.',
  },
  UPSTREAM_BAD_RESPONSE: {
    retryable: true,
    cause: 'The answer is not the documented envelope: HTML, cut off, too large, a redirect.',
  },
  TOKEN_UNAVAILABLE: {
    retryable: true,
    cause:
      "The gateway has no access token of its own, or cannot check the caller's: an issuer is down, its answer makes no sense, or the key of a token is not known yet.",
  },
  UNAUTHENTICATED: {
    retryable: false,
    cause: 'The caller has no token, or a bad one: log in again.',
  },
  FORBIDDEN: {
    retryable: false,
    cause:
      'The caller may not see this, or a browser could have sent the request for a foreign page.',
  },
  OPERATION_TOO_COMPLEX: {
    retryable: false,
    cause:
      "The operation passes one of the gateway's limits; at a field: it would make the answer too long, or asks for too many batches.",
  },
  PAYLOAD_TOO_LARGE: {
    retryable: false,
    cause: 'The request body is longer than `REQUEST_MAX_BYTES`.',
  },
  RATE_LIMITED: {
    retryable: true,
    cause: 'The caller sends too many requests.',
  },
  OVERLOADED: {
    retryable: true,
    cause:
      'The gateway has more to do than it can, or cannot write its audit (`AUDIT=required`); at a field: more calls to make, or more to hold.',
  },
  PERSISTED_QUERY_NOT_FOUND: {
    retryable: false,
    cause:
      'The gateway does not know this hash: send the text with it, as clients do by themselves.',
  },
  PERSISTED_QUERY_NOT_SUPPORTED: {
    retryable: false,
    cause: 'Automatic persisted queries are off: send the text alone, as clients do by themselves.',
  },
  UNKNOWN_DOCUMENT: {
    retryable: true,
    cause:
      'No trusted document of this instance has this hash. During a rollout another instance may have it.',
  },
  UNKNOWN_TENANT: {
    retryable: false,
    cause:
      'With many tenants: the tenant that the request means is not served here, or it means none.',
  },
  INTERNAL_SERVER_ERROR: {
    retryable: false,
    cause: 'A fault of the gateway. Its cause is in the log, under the requestId.',
  },
} as const satisfies Record<string, ErrorCodeContract>;

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}
