import { GraphQLError } from 'graphql';
import type { AnswerSummary, StaleReason } from '../core/answer.ts';
import { ERROR_CODES, type ErrorCode } from '../core/error-codes.ts';
import { ClientGone, DeadlineExceeded, FieldError, type RefusedRequest } from '../core/errors.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { UpstreamError, type UpstreamErrorKind, type UpstreamReport } from '../upstream/errors.ts';

/** How much of the upstream's words a client sees: `full` adds its echo of the request. */
type ErrorDetail = 'public' | 'full';

/** What a client sees in `extensions`. */
interface PublicExtensions {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** Milliseconds until another try makes sense, when somebody said so. */
  readonly retryAfterMs?: number;
  /** Of the failing upstream call, else of this request. */
  readonly requestId: string;
  readonly upstream?: object;
}

/** An error as a client sees it. */
interface PublicError {
  readonly message: string;
  readonly locations?: readonly { readonly line: number; readonly column: number }[];
  readonly path?: readonly (string | number)[];
  readonly extensions: PublicExtensions;
}

export interface PublicErrorOptions {
  telemetry: Telemetry;
  errorDetail: ErrorDetail;
}

const CODE_OF_KIND: Readonly<Record<UpstreamErrorKind, ErrorCode>> = {
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
  overloaded: 'OVERLOADED',
};

/**
 * The one place where an error becomes what a client sees. Each has a code of the closed set. Whatever is not
 * known to be fit for clients is masked as INTERNAL_SERVER_ERROR, and its cause told to the operator.
 */
export function toPublicErrors(
  errors: readonly GraphQLError[],
  context: RequestContext,
  options: PublicErrorOptions,
): { errors: PublicError[] } & Pick<AnswerSummary, 'errorCodes' | 'upstreamRequestIds'> {
  const codes: ErrorCode[] = [];
  const upstreamRequestIds = new Set<string>();
  const shown = errors.map((error) => {
    const presented = toPublicError(error, context, options);
    // The client is gone: nobody reads this answer, and nothing is wrong with the gateway.
    if (!isClientGone(error, context)) codes.push(presented.extensions.code);
    const { requestId } = presented.extensions;
    if (requestId !== context.id) upstreamRequestIds.add(requestId);
    return presented;
  });
  // Execution has them as they happen, which can be another order each time: so, as they stand in the document.
  return {
    errors: shown.sort(byPlace),
    errorCodes: codes,
    upstreamRequestIds: [...upstreamRequestIds],
  };
}

/** The code of a failure to get a status. */
export function codeOfFailure(error: unknown): ErrorCode {
  if (error instanceof UpstreamError) return CODE_OF_KIND[error.kind];
  if (error instanceof FieldError) return error.code;
  return error instanceof DeadlineExceeded ? 'UPSTREAM_TIMEOUT' : 'INTERNAL_SERVER_ERROR';
}

/** An error of no field. */
export function toGraphQLError(originalError: Error): GraphQLError {
  return new GraphQLError(originalError.message, { originalError });
}

/** Of a request that is refused as a whole. */
export function toPublicRefusal(refusal: RefusedRequest, requestId: string): PublicError {
  const { code, message, retryAfterMs } = refusal;
  return { message, extensions: extensionsOf(code, requestId, { retryAfterMs }) };
}

/** A failure in whose place the last status was served, as the operator is told of it. */
export function toStaleReason({ kind, upstream, requestId }: UpstreamError): StaleReason {
  return {
    code: CODE_OF_KIND[kind],
    upstreamStatus: upstream?.status,
    upstreamRequestId: requestId,
  };
}

function toPublicError(
  error: GraphQLError,
  context: RequestContext,
  { telemetry, errorDetail }: PublicErrorOptions,
): PublicError {
  const { id: requestId } = context;
  const cause = rootCause(error);
  if (cause instanceof UpstreamError) {
    const { retryAfterMs, upstream } = cause;
    const described = upstream && describeUpstream(upstream, errorDetail);
    return present(
      error,
      cause.message,
      extensionsOf(CODE_OF_KIND[cause.kind], cause.requestId ?? requestId, {
        retryAfterMs,
        upstream: described,
      }),
    );
  }
  if (cause instanceof FieldError) {
    return present(error, cause.message, extensionsOf(cause.code, requestId));
  }
  if (cause instanceof DeadlineExceeded) {
    return present(error, cause.message, extensionsOf('UPSTREAM_TIMEOUT', requestId));
  }
  if (cause instanceof GraphQLError && isAboutRequest(error, cause)) {
    return present(error, error.message, extensionsOf('BAD_USER_INPUT', requestId));
  }
  if (!isClientGone(error, context)) {
    telemetry.internalError?.({ requestId, path: error.path, error: cause });
  }
  const message = 'Something went wrong in the gateway.';
  return present(error, message, extensionsOf('INTERNAL_SERVER_ERROR', requestId));
}

function isClientGone(error: GraphQLError, context: RequestContext): boolean {
  const cause = rootCause(error);
  // The signal is made when it is asked for: not for every error.
  return cause instanceof ClientGone && cause === context.signal.reason;
}

function present(
  { locations, path }: GraphQLError,
  message: string,
  extensions: PublicExtensions,
): PublicError {
  return { message, ...(locations && { locations }), ...(path && { path }), extensions };
}

function extensionsOf(
  code: ErrorCode,
  requestId: string,
  more: { retryAfterMs?: number | undefined; upstream?: object | undefined } = {},
): PublicExtensions {
  const { retryAfterMs, upstream } = more;
  return {
    code,
    retryable: ERROR_CODES[code].retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    requestId,
    ...(upstream === undefined ? {} : { upstream }),
  };
}

function describeUpstream(report: UpstreamReport, detail: ErrorDetail): object {
  const { request, ...said } = report;
  return detail === 'full' ? { ...said, request } : said;
}

/** What was thrown in the first place: execution wraps it to add the path, sometimes more than once. */
function rootCause(error: unknown): unknown {
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

function byPlace(a: PublicError, b: PublicError): number {
  const [{ line, column }, other] = [placeOf(a), placeOf(b)];
  return line - other.line || column - other.column || comparePaths(a.path ?? [], b.path ?? []);
}

function placeOf({ locations }: PublicError): { line: number; column: number } {
  return locations?.[0] ?? { line: 0, column: 0 };
}

/** Errors of one field are in different elements of lists, or below different aliases of one fragment. */
function comparePaths(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  const at = a.findIndex((key, index) => key !== b[index]);
  const [key, other] = [a[at] ?? 0, b[at] ?? 0];
  if (typeof key === 'number' && typeof other === 'number') return key - other;
  return String(key) < String(other) ? -1 : 1;
}
