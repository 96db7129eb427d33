import type { GraphQLSchema } from 'graphql';
import { batchStatusEntity } from './batch-status.ts';
import './batch-updates.ts';
import { builder } from './builder.ts';
import { printSubgraph, toSubgraphSchema } from './federation.ts';

/** The schema for frontends that ask the gateway itself: without `_service` and `_entities`. */
export function createSchema(): GraphQLSchema {
  return builder.toSchema();
}

/**
 * The schema as a Federation 2 subgraph, with `_service` and `_entities`, which accepts so many references at once,
 * equal ones counted.
 */
export function createSubgraphSchema(maxReferences = Number.POSITIVE_INFINITY): GraphQLSchema {
  const entity = batchStatusEntity;
  return toSubgraphSchema(createSchema(), { entity, maxReferences, printSdl: printSchema });
}

/** The subgraph's SDL, as `schema.graphql` holds it and `_service` answers it; fields are in the order of the code. */
export function printSchema(): string {
  return printSubgraph(builder.toSchema({ sortSchema: false }), batchStatusEntity, ['PageInfo']);
}
