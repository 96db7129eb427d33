import type { BatchKey } from './batch-key.ts';

/** That somebody was given statuses. */
export interface AuditRecord {
  readonly requestId: string;
  /** Undefined where there is only one. */
  readonly tenant: string | undefined;
  /** Undefined where nobody's identity is checked. */
  readonly subject: string | undefined;
  /** From where the request came, as far as that can be trusted. */
  readonly address: string;
  readonly operationName: string | null;
  /** Whose statuses. */
  readonly batches: readonly BatchKey[];
}

/** Keeps account of who read what. */
export interface Audit {
  /**
   * To be called before the statuses are handed out. False: it cannot be recorded, and they must not be. Returns at
   * once and never throws.
   */
  record(record: AuditRecord): boolean;
}
