import { initGraphQLTada } from 'gql.tada';
import type { introspection } from './graphql-env.d.ts';

/**
 * Writes an operation down and types it: its variables and its result follow the gateway's schema,
 * as `npm run generate` has put it into graphql-env.d.ts.
 */
export const graphql = initGraphQLTada<{
  introspection: introspection;
  // Fragments are for not writing fields twice here; leave this out to have them hide fields, too.
  disableMasking: true;
  scalars: {
    /** RFC 3339, UTC. */
    DateTime: string;
    JSON: unknown;
    JSONObject: Record<string, unknown>;
  };
}>();
