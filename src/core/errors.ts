import type { ErrorCode } from './error-codes.ts';

interface RefusedRequestOptions extends ErrorOptions {
  /** Headers of the answer, such as `allow`. */
  headers?: Record<string, string>;
  /** After which the same request may succeed, in milliseconds; the answer says so in `retry-after`, too. */
  retryAfterMs?: number;
  /** Why, in words for the operator; never shown to the client. */
  detail?: string | undefined;
  /** The subject of the caller's token, where it is known. */
  subject?: string | undefined;
}

/**
 * An error that is a part of an answer, and nothing that is wrong with the gateway. It has no stack: that would tell
 * nothing, and costs more than the rest of the error where somebody reads it, as graphql does.
 */
export class ExpectedError extends Error {
  override readonly name: string = 'ExpectedError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.stack = '';
  }
}

/** A request that is refused before anything of it is executed. The message is shown to the client. */
export class RefusedRequest extends ExpectedError {
  override readonly name = 'RefusedRequest';
  readonly code: ErrorCode;
  /** The HTTP status of the answer. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
  readonly detail: string | undefined;
  readonly subject: string | undefined;

  constructor(
    code: ErrorCode,
    status: number,
    message: string,
    { headers = {}, retryAfterMs, detail, subject, ...options }: RefusedRequestOptions = {},
  ) {
    super(message, options);
    this.code = code;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.detail = detail;
    this.subject = subject;
    this.headers =
      retryAfterMs === undefined
        ? headers
        : { ...headers, 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
  }
}

/** An error of one field, found before anybody is asked. The message is shown to the client. */
export class FieldError extends ExpectedError {
  override readonly name = 'FieldError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The reason of a request's signal when its deadline has passed. The message is shown to the client. */
export class DeadlineExceeded extends ExpectedError {
  override readonly name = 'DeadlineExceeded';
}

/** The reason of a request's signal when its client has gone away: nobody waits any more. */
export class ClientGone extends ExpectedError {
  override readonly name = 'ClientGone';
}
