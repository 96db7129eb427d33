import type { Principal } from '../core/principal.ts';
import type { StatusLoader } from '../status/loader.ts';
import type { ResponseSize } from './response-size.ts';
import type { BatchReference, BatchUpdate } from './schema/batch-updates.ts';

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
