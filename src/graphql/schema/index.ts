import { printSubgraphSchema } from '@apollo/subgraph';
import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import { resolveEntitiesApart } from './federation.ts';
import './batch-status.ts';

/**
 * The version that brought `@key` and `@shareable`, and so the oldest that has all we use: a router
 * that is older than the version named here refuses the subgraph.
 */
const FEDERATION_SPEC = 'https://specs.apollo.dev/federation/v2.0';

/** The schema for frontends that ask the gateway itself: without `_service` and `_entities`. */
export function createSchema(): GraphQLSchema {
  return builder.toSchema();
}

/**
 * The schema as a Federation 2 subgraph, with `_service` and `_entities`, which takes so many
 * references at once, equal ones counted.
 */
export function createSubgraphSchema(maxReferences = Number.POSITIVE_INFINITY): GraphQLSchema {
  const schema = builder.toSubGraphSchema({
    linkUrl: FEDERATION_SPEC,
    federationDirectives: ['@key', '@shareable'],
  });
  resolveEntitiesApart(schema, maxReferences);
  return schema;
}

/** The subgraph's SDL, as `schema.graphql` holds it and `_service` answers it. */
export function printSchema(): string {
  return `${printSubgraphSchema(createSubgraphSchema()).trim()}\n`;
}
