import {
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLScalarType,
  GraphQLSchema,
  GraphQLString,
  GraphQLUnionType,
  isIntrospectionType,
  isSpecifiedScalarType,
  printType,
} from 'graphql';
import { FieldError } from '../../core/errors.ts';
import type { GraphQLContext } from '../context.ts';

/** A type with keys, by which a router asks for one of its objects. */
export interface Entity {
  typeName: string;
  /** The fields of each key, as `@key` has them. */
  keys: readonly string[];
  /** The object of a reference, whose members come unchecked; throws or rejects where there is none. */
  resolveReference(reference: object, context: GraphQLContext): Promise<unknown>;
}

/**
 * The version that brought `@key` and `@shareable`, and so the oldest that has all we use: a router
 * that is older than the version named here refuses the subgraph.
 */
const LINK = `extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.0", import: ["@key", "@shareable"])`;

interface SubgraphOptions {
  /** The type that other subgraphs may refer to. */
  entity: Entity;
  /** How many references one `_entities` accepts, equal ones counted. */
  maxReferences: number;
  /** The SDL of the subgraph. Called when it is asked for first. */
  printSdl(): string;
}

/**
 * Adds what a Federation 2 router asks a subgraph for (Apollo Federation, "Subgraph specification"): `_service`, with
 * the SDL, and `_entities`. Each reference is resolved on its own: a bad one is null, with its error at its place.
 */
export function toSubgraphSchema(schema: GraphQLSchema, options: SubgraphOptions): GraphQLSchema {
  const { query, ...config } = schema.toConfig();
  const { typeName } = options.entity;
  const entityType = schema.getType(typeName);
  if (!query || !(entityType instanceof GraphQLObjectType)) {
    throw new Error(`The schema has no query type, or no object type ${typeName}.`);
  }
  const { fields, ...queryConfig } = query.toConfig();
  const subgraphQuery = new GraphQLObjectType<unknown, GraphQLContext>({
    ...queryConfig,
    fields: {
      ...fields,
      _entities: {
        type: new GraphQLNonNull(new GraphQLList(toEntityUnion(entityType))),
        args: {
          representations: {
            type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(REFERENCE))),
          },
        },
        resolve: (_source, { representations }, context) =>
          resolveReferences(representations, options, context),
      },
      _service: { type: new GraphQLNonNull(toServiceType(options)), resolve: () => ({}) },
    },
  });
  const types = config.types.map((type) => (type === query ? subgraphQuery : type));
  return new GraphQLSchema({ ...config, query: subgraphQuery, types });
}

/**
 * The SDL of a schema as a subgraph: with an entity, and object types that other subgraphs may define, too
 * (`shareable`); without what routers alone ask for.
 */
export function printSubgraph(
  schema: GraphQLSchema,
  entity: Entity,
  shareable: readonly string[],
): string {
  const directives = new Map(shareable.map((typeName) => [typeName, '@shareable']));
  const keys = entity.keys.map((fields) => `@key(fields: "${fields}")`);
  directives.set(entity.typeName, keys.join(' '));
  const types = Object.values(schema.getTypeMap())
    .filter((type) => !isSpecifiedScalarType(type) && !isIntrospectionType(type))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map((type) => {
      const head = `type ${type.name} {`;
      const own = directives.get(type.name);
      const sdl = printType(type);
      return own === undefined ? sdl : sdl.replace(head, `type ${type.name} ${own} {`);
    });
  return `${[LINK, ...types].join('\n\n')}\n`;
}

const REFERENCE = new GraphQLScalarType({
  name: '_Any',
  description: 'A reference to an entity: its __typename and the fields of one of its keys.',
});

function toEntityUnion(entityType: GraphQLObjectType): GraphQLUnionType {
  return new GraphQLUnionType({
    name: '_Entity',
    description: 'What other subgraphs may refer to.',
    types: [entityType],
    resolveType: () => entityType.name,
  });
}

function toServiceType({ printSdl }: SubgraphOptions): GraphQLObjectType {
  let sdl: string | undefined;
  return new GraphQLObjectType({
    name: '_Service',
    description: 'This subgraph.',
    fields: {
      sdl: {
        type: GraphQLString,
        description: 'Its schema.',
        resolve: () => {
          sdl ??= printSdl();
          return sdl;
        },
      },
    },
  });
}

function resolveReferences(
  references: readonly unknown[],
  { entity: { typeName, resolveReference }, maxReferences }: SubgraphOptions,
  context: GraphQLContext,
): Promise<unknown>[] {
  // Each bad one is an error, which costs more than the rest of a request.
  if (references.length > maxReferences) {
    throw new FieldError(
      'OPERATION_TOO_COMPLEX',
      `_entities accepts up to ${maxReferences} references.`,
    );
  }
  return references.map(async (reference) => {
    const isObject = typeof reference === 'object' && reference !== null;
    if (!isObject || !('__typename' in reference) || reference.__typename !== typeName) {
      throw new FieldError(
        'BAD_USER_INPUT',
        `A reference needs the __typename of an entity: ${typeName}.`,
      );
    }
    return resolveReference(reference, context);
  });
}
