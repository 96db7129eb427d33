import type { ErrorCode } from './error-codes.ts';

/** A request that the front door turns away before anything of it is run. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest';
  readonly code: ErrorCode;
  /** The HTTP status of the answer. */
  readonly status: number;

  /** `message` is shown to the client. */
  constructor(code: ErrorCode, status: number, message: string) {
    super(message);
    this.code = code;
    this.status = status;
  }
}
