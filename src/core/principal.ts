/** On whose behalf a request is made. */
export interface Principal {
  readonly tenantId: string;
  /** The token's `sub`; undefined where nobody's identity is checked. */
  readonly subject: string | undefined;
  /** The token's `name`. */
  readonly name: string | undefined;
  readonly scopes: ReadonlySet<string>;
  /** The participant types that it may ask for; undefined: any. */
  readonly participantTypes: ReadonlySet<string> | undefined;
  /** Whether `_service` and `_entities` may be asked for. */
  readonly isRouter: boolean;
  /** Whether it has shown so, by a secret or a scope: then it asks on behalf of many. */
  readonly isProvenRouter: boolean;
  /** When the token ends, on the wall clock in milliseconds; undefined: there is none. */
  readonly expiresAt: number | undefined;
  /**
   * Whatever of the principal can change an answer, as a JSON array that begins with the tenant: part of the key
   * of every answer that is kept.
   */
  readonly cachePartition: string;
}
