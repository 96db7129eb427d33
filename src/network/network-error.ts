/**
 * Why there is no answer to work with:
 * - `unreachable`: name not found, refused, reset before or within the answer
 * - `timeout`: the time limit of one exchange passed
 * - `exhausted`: this machine has nothing left to open a connection with
 * - `too-large`: the body, as sent or decoded, is longer than allowed
 * - `malformed`: not HTTP, ended before its end, or not what its content-encoding says
 */
export type NetworkErrorKind = 'unreachable' | 'timeout' | 'exhausted' | 'too-large' | 'malformed';

/** An exchange that failed below the level of HTTP statuses. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  readonly kind: NetworkErrorKind;

  constructor(kind: NetworkErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** The error of a body that is longer than `maxBytes`. */
export function tooLarge(maxBytes: number): NetworkError {
  return new NetworkError('too-large', `the answer is longer than ${maxBytes} bytes`);
}
