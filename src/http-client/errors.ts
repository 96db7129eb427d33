import { ExpectedError } from '../core/errors.ts';

/**
 * Why there is no answer to work with:
 * - `unreachable`: name not found, refused, reset before or within the answer
 * - `timeout`: the time limit of one send passed
 * - `exhausted`: this machine has nothing left to open a connection with
 * - `too-large`: the body, as sent or decoded, is longer than allowed
 * - `malformed`: not HTTP, ended before its end, or not what its content-encoding says
 */
type HttpClientErrorKind = 'unreachable' | 'timeout' | 'exhausted' | 'too-large' | 'malformed';

/** An send that failed below the level of HTTP statuses. */
export class HttpClientError extends ExpectedError {
  override readonly name = 'HttpClientError';
  readonly kind: HttpClientErrorKind;

  constructor(kind: HttpClientErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** The error of a body that is longer than `maxBytes`. */
export function tooLarge(maxBytes: number): HttpClientError {
  return new HttpClientError('too-large', `the answer is longer than ${maxBytes} bytes`);
}
