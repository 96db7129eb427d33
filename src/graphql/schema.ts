import { printSubgraphSchema } from '@apollo/subgraph';
import { type GraphQLSchema, getNamedType, isUnionType } from 'graphql';
import { InvalidArgumentError, TooManyBatchesError } from '../participants/errors.ts';
import { builder } from './builder.ts';
import type { GatewayContext } from './context.ts';
import { ForbiddenError } from './forbidden-error.ts';
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
  keepForRouters(schema);
  return schema;
}

/**
 * Federation's own resolver of `_entities` fails as a whole when one reference cannot be resolved,
 * and then nobody handles the rejections of the others, which ends the process. Here each reference
 * is resolved on its own: a bad one is null, with its error at its place.
 */
function resolveEntitiesApart(schema: GraphQLSchema, maxReferences: number): void {
  const field = schema.getQueryType()?.getFields()['_entities'];
  const resolveAll = field?.resolve;
  if (field === undefined || resolveAll === undefined)
    throw new Error('there is no _entities field');
  const entities = getNamedType(field.type);
  const isEntity = (name: unknown) =>
    isUnionType(entities) && entities.getTypes().some((type) => type.name === name);

  field.resolve = (source, { representations }, context: GatewayContext, info) => {
    // Each bad one is an error, which costs more than the rest of a request.
    if (representations.length > maxReferences) {
      throw new TooManyBatchesError(`_entities takes up to ${maxReferences} references.`);
    }
    return representations.map(async (reference: unknown) => {
      const isObject = typeof reference === 'object' && reference !== null;
      if (!isObject || !('__typename' in reference) || !isEntity(reference.__typename)) {
        throw new InvalidArgumentError(
          'A reference takes the __typename of an entity: BatchStatus.',
        );
      }
      const resolved = await resolveAll(source, { representations: [reference] }, context, info);
      return Array.isArray(resolved) ? resolved[0] : null;
    });
  };
}

/** Who is no router may ask for neither `_entities` nor `_service`. */
function keepForRouters(schema: GraphQLSchema): void {
  for (const name of ['_entities', '_service']) {
    const field = schema.getQueryType()?.getFields()[name];
    const resolve = field?.resolve;
    if (field === undefined || resolve === undefined) throw new Error(`there is no ${name} field`);
    field.resolve = (source, args, context: GatewayContext, info) => {
      if (!context.scope.isRouter) throw new ForbiddenError(`${name} is for routers only.`);
      return resolve(source, args, context, info);
    };
  }
}

/** The subgraph's SDL, as `schema.graphql` holds it and `_service` answers it. */
export function printSchema(): string {
  return `${printSubgraphSchema(createSubgraphSchema()).trim()}\n`;
}
