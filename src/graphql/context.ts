import type { Principal } from '../core/principal.ts';
import type { StatusLoader } from '../status/loader.ts';
import type { BatchStatus } from '../status/status.ts';
import type { ResponseSize } from './response-size.ts';

/** A batch as a client names it, unchecked. */
export interface BatchReference {
  readonly participantType: string;
  readonly batchId: string | null;
}

/** What is told of one batch of several. */
export interface BatchUpdate extends BatchReference {
  /** Throws, or rejects with, why there is no status. */
  load(): BatchStatus | Promise<BatchStatus>;
}

/** What resolvers work with. */
export interface GraphQLContext {
  readonly principal: Principal;
  readonly statuses: Pick<StatusLoader, 'load'>;
  /** The allow-list of participant types; empty for any. */
  readonly participantTypes: ReadonlySet<string>;
  /** Different batches that one request may ask for. */
  readonly maxBatches: number;
  /** Undefined where the answer cannot be too long. */
  readonly responseSize?: ResponseSize;
  /** For subscriptions alone: what becomes of batches. */
  readonly follow?: (batches: readonly BatchReference[]) => AsyncIterable<BatchUpdate>;
}
