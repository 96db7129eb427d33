import type { ErrorCode } from './error-codes.ts';

export interface RefusedRequestOptions extends ErrorOptions {
  /** Headers of the answer, such as `allow`. */
  headers?: Record<string, string>;
  /** After which the same request may succeed; the answer says so in `retry-after`, too. */
  retryAfterMs?: number;
}

/** A request that is turned away before anything of it is run. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest';
  readonly code: ErrorCode;
  /** The HTTP status of the answer. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  /** `message` is shown to the client. */
  constructor(
    code: ErrorCode,
    status: number,
    message: string,
    { headers = {}, retryAfterMs, ...options }: RefusedRequestOptions = {},
  ) {
    super(message, options);
    this.code = code;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.headers =
      retryAfterMs === undefined
        ? headers
        : { ...headers, 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
  }
}
