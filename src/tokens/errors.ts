/**
 * Why no access token was to be had:
 * - `refused`: the token endpoint does not accept the gateway's credentials, or what it asks for
 * - `unavailable`: the endpoint is out of reach, failing, or its answer makes no sense
 */
type TokenErrorKind = 'refused' | 'unavailable';

/** The message is safe to show: it holds nothing that the token endpoint sent but a status and an error code. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly kind: TokenErrorKind;
  /** The id under which the failing call was sent. */
  readonly requestId: string;
  /** Milliseconds until the token cache asks again. */
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: TokenErrorKind,
    message: string,
    details: { requestId: string; retryAfterMs?: number | undefined },
  ) {
    super(message);
    this.kind = kind;
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
  }
}
