/** A token that is not accepted. The message is fit for the client. */
export class InvalidTokenError extends Error {
  override readonly name = 'InvalidTokenError';
  /** Why, for the operator. Has nothing of the token in it. */
  readonly reason: string;

  constructor(message: string, reason: string) {
    super(message);
    this.reason = reason;
  }
}

/** No key to check a signature with, or not yet. The message is fit for the client. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
  /** Why, for the operator. */
  readonly reason: string;
  /** Milliseconds until the keys are asked for again. */
  readonly retryAfterMs: number;

  constructor(message: string, reason: string, retryAfterMs: number) {
    super(message);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}
