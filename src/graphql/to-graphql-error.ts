import { GraphQLError, type GraphQLErrorExtensions } from 'graphql';
import {
  InvalidArgumentError,
  TooManyBatchesError,
  UpstreamError,
  type UpstreamErrorKind,
  type UpstreamReport,
} from '../participants/errors.ts';
import { ERROR_CODES, type ErrorCode } from './error-codes.ts';
import { ForbiddenError } from './forbidden-error.ts';
import { RefusedRequest } from './refused-request.ts';

/** How much of the upstream's words a client sees: `full` adds its echo of the request. */
export type ErrorDetail = 'public' | 'full';

/** What clients switch on, for each way in which the upstream can fail. */
export const CODE_OF_KIND: Readonly<Record<UpstreamErrorKind, ErrorCode>> = {
  'invalid-request': 'BAD_USER_INPUT',
  unauthenticated: 'UPSTREAM_UNAUTHENTICATED',
  forbidden: 'UPSTREAM_FORBIDDEN',
  'not-found': 'NOT_FOUND',
  rejected: 'UPSTREAM_REJECTED',
  'rate-limited': 'UPSTREAM_RATE_LIMITED',
  timeout: 'UPSTREAM_TIMEOUT',
  unavailable: 'UPSTREAM_UNAVAILABLE',
  'bad-response': 'UPSTREAM_BAD_RESPONSE',
  'token-unavailable': 'TOKEN_UNAVAILABLE',
};

/**
 * The one place where an error becomes what a client sees: its message, location and path, and
 * extensions with `code`, `retryable` and what else is known. Whatever is not known to be fit for
 * clients becomes a masked INTERNAL_SERVER_ERROR, with the true error as its `originalError`, which
 * is never serialised. An error that was made here is returned as it is.
 */
export function toGraphQLError(error: unknown, detail: ErrorDetail): GraphQLError {
  if (isPresented(error)) return error;
  const cause = rootCause(error);
  if (cause instanceof UpstreamError) {
    return present(error, cause.message, {
      ...codeExtensions(CODE_OF_KIND[cause.kind]),
      ...(cause.retryAfterMs === undefined ? {} : { retryAfterMs: cause.retryAfterMs }),
      requestId: cause.requestId,
      ...(cause.upstream === undefined
        ? {}
        : { upstream: describeUpstream(cause.upstream, detail) }),
    });
  }
  if (cause instanceof RefusedRequest) {
    return present(error, cause.message, {
      ...refusalExtensions(cause),
      http: { status: cause.status, headers: cause.headers },
    });
  }
  if (cause instanceof InvalidArgumentError) {
    return present(error, cause.message, codeExtensions('BAD_USER_INPUT'));
  }
  if (cause instanceof ForbiddenError) {
    return present(error, cause.message, codeExtensions('FORBIDDEN'));
  }
  if (cause instanceof TooManyBatchesError) {
    return present(error, cause.message, codeExtensions('OPERATION_TOO_COMPLEX'));
  }
  if (
    error instanceof GraphQLError &&
    cause instanceof GraphQLError &&
    isAboutRequest(error, cause)
  ) {
    const { http } = error.extensions;
    return present(error, error.message, {
      ...codeExtensions('BAD_USER_INPUT'),
      // With `spec`, Yoga answers 200 to clients that take application/json: GraphQL over HTTP asks
      // that of a document that is not valid. What is no request at all is 400 for everybody.
      ...(http ? { http: { ...http, spec: error.locations !== undefined } } : {}),
    });
  }
  return present(
    error,
    'Something went wrong in the gateway.',
    codeExtensions('INTERNAL_SERVER_ERROR'),
  );
}

/** What a client sees in `extensions` of a refusal, but for its request id. */
export function refusalExtensions({ code, retryAfterMs }: RefusedRequest): GraphQLErrorExtensions {
  return { ...codeExtensions(code), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

const presented = new WeakSet<object>();

function isPresented(error: unknown): error is GraphQLError {
  return error instanceof GraphQLError && presented.has(error);
}

function present(
  error: unknown,
  message: string,
  extensions: GraphQLErrorExtensions,
): GraphQLError {
  const shown =
    error instanceof GraphQLError
      ? new GraphQLError(message, {
          nodes: error.nodes ?? null,
          source: error.source ?? null,
          positions: error.positions ?? null,
          path: error.path ?? null,
          originalError: error.originalError ?? null,
          extensions,
        })
      : new GraphQLError(message, {
          originalError: error instanceof Error ? error : new Error(String(error)),
          extensions,
        });
  presented.add(shown);
  return shown;
}

function codeExtensions(code: ErrorCode): GraphQLErrorExtensions {
  return { code, retryable: ERROR_CODES[code].retryable };
}

function describeUpstream(report: UpstreamReport, detail: ErrorDetail): object {
  const { request, ...said } = report;
  return detail === 'full' ? { ...said, request } : said;
}

/** What was thrown in the first place: execution wraps it to add the path, sometimes more than once. */
export function rootCause(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError !== undefined
    ? rootCause(error.originalError)
    : error;
}

/**
 * Errors of parsing, validation and variables have no path; one about an argument has a path and
 * points into the document. One that a resolver or a scalar's serialisation threw does neither: that
 * is a fault of ours.
 */
function isAboutRequest(error: GraphQLError, cause: GraphQLError): boolean {
  return error.path === undefined || cause.nodes !== undefined;
}
