import { type GraphQLSchema, getNamedType, isUnionType } from 'graphql';
import { FieldError } from '../../core/errors.ts';
import type { GraphQLContext } from '../context.ts';

/**
 * Federation's own resolver of `_entities` fails as a whole when one reference cannot be resolved,
 * and then nobody handles the rejections of the others, which ends the process. Here each reference
 * is resolved on its own: a bad one is null, with its error at its place.
 */
export function resolveEntitiesApart(schema: GraphQLSchema, maxReferences: number): void {
  const field = schema.getQueryType()?.getFields()['_entities'];
  const resolveAll = field?.resolve;
  if (field === undefined || resolveAll === undefined)
    throw new Error('there is no _entities field');
  const entities = getNamedType(field.type);
  const isEntity = (name: unknown) =>
    isUnionType(entities) && entities.getTypes().some((type) => type.name === name);

  field.resolve = (source, { representations }, context: GraphQLContext, info) => {
    // Each bad one is an error, which costs more than the rest of a request.
    if (representations.length > maxReferences) {
      throw new FieldError(
        'OPERATION_TOO_COMPLEX',
        `_entities accepts up to ${maxReferences} references.`,
      );
    }
    return representations.map(async (reference: unknown) => {
      const isObject = typeof reference === 'object' && reference !== null;
      if (!isObject || !('__typename' in reference) || !isEntity(reference.__typename)) {
        throw new FieldError(
          'BAD_USER_INPUT',
          'A reference needs the __typename of an entity: BatchStatus.',
        );
      }
      const resolved = await resolveAll(source, { representations: [reference] }, context, info);
      return Array.isArray(resolved) ? resolved[0] : null;
    });
  };
}
