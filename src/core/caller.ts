/** Whom places are shared out between: a subject, or where nobody's identity is checked, an address. */
export interface Caller {
  /** Equal for two requests of one caller: a JSON array that begins with the tenant. */
  readonly key: string;
  /** For how many callers it stands: 1, but more for a router that has shown that it is one. */
  readonly weight: number;
}
