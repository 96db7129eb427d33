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

/** No key to check a signature with: the issuer cannot be asked, or has none. The message is for operators. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
  /** Milliseconds until the keys are asked for again. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super("the keys of callers' tokens cannot be fetched");
    this.retryAfterMs = retryAfterMs;
  }
}
