import { printSubgraphSchema } from '@apollo/subgraph';
import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './batch-status.ts';

/**
 * The version that brought `@key` to Federation 2, and so the oldest that has all we use: a router
 * that is older than the version named here refuses the subgraph.
 */
const FEDERATION_SPEC = 'https://specs.apollo.dev/federation/v2.0';

/** The schema as a Federation 2 subgraph, with `_service` and `_entities`. */
export function createSchema(): GraphQLSchema {
  return builder.toSubGraphSchema({ linkUrl: FEDERATION_SPEC, federationDirectives: ['@key'] });
}

/** The subgraph's SDL, as `schema.graphql` holds it and `_service` answers it. */
export function printSchema(): string {
  return `${printSubgraphSchema(createSchema()).trim()}\n`;
}
