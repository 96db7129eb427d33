import type { Principal } from '../core/principal.ts';
import type { StatusLoader } from '../status/loader.ts';

/** What resolvers work with. */
export interface GraphQLContext {
  readonly principal: Principal;
  readonly statuses: StatusLoader;
  /** The allow-list of participant types; empty for any. */
  readonly participantTypes: ReadonlySet<string>;
}
