/** A field that this caller may not have. The message is fit for the client. */
export class ForbiddenError extends Error {
  override readonly name = 'ForbiddenError';
}
