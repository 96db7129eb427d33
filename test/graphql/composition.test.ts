import { buildSubgraphSchema } from '@apollo/subgraph';
import { composeServices } from '@theguild/federation-composition';
import { federateSubgraphs } from '@wundergraph/composition';
import { buildSchema, type GraphQLSchema, isObjectType, parse } from 'graphql';
import { expect, test } from 'vitest';
import { composeSupergraph } from '../../examples/supergraph/compose.ts';
import { UPLOADS_SDL } from '../../examples/supergraph/uploads/server.ts';
import { createSubgraphSchema, printSchema as printSdl } from '../../src/graphql/schema/index.ts';

const SUBGRAPHS = [
  { name: 'participant-gateway', url: 'http://127.0.0.1:4000/graphql', sdl: printSdl() },
  { name: 'uploads', url: 'http://127.0.0.1:4001/graphql', sdl: UPLOADS_SDL },
];
const PARSED = SUBGRAPHS.map(({ sdl, ...rest }) => ({ ...rest, definitions: parse(sdl) }));

/** The supergraph's SDL, by composer. */
const COMPOSERS: [name: string, compose: () => GraphQLSchema][] = [
  ['Apollo', () => buildSchema(composeSupergraph(SUBGRAPHS), { assumeValidSDL: true })],
  ['Hive and mesh-compose', composeWithHive],
  ['Cosmo (wgc)', composeWithCosmo],
];

function composeWithHive(): GraphQLSchema {
  const services = PARSED.map(({ definitions, ...rest }) => ({ ...rest, typeDefs: definitions }));
  const { supergraphSdl, errors } = composeServices(services);
  if (supergraphSdl === undefined) throw new Error(errors?.map(String).join('\n'));
  return buildSchema(supergraphSdl, { assumeValidSDL: true });
}

function composeWithCosmo(): GraphQLSchema {
  const result = federateSubgraphs({ subgraphs: PARSED, version: '1' });
  if (!result.success) throw new Error(result.errors.map(String).join('\n'));
  return result.federatedGraphSchema;
}

/** The fields of an object type, with their types. */
function fieldsOf(schema: GraphQLSchema, typeName: string): string[] {
  const type = schema.getType(typeName);
  if (type === undefined || !('getFields' in type)) return [];
  return Object.values(type.getFields())
    .map((field) => `${field.name}: ${field.type}`)
    .sort();
}

test.each(COMPOSERS)('67: %s composes the SDL with another subgraph', (_name, compose) => {
  const supergraph = compose();
  expect(fieldsOf(supergraph, 'Query')).toEqual([
    'batchStatus: BatchStatus',
    'batchStatuses: [BatchStatusUpdate!]!',
    'uploads: [Upload!]!',
  ]);
  expect(fieldsOf(supergraph, 'Subscription')).toEqual(['batchStatusUpdates: BatchStatusUpdate!']);
  expect(fieldsOf(supergraph, 'BatchStatus')).toEqual(
    fieldsOf(createSubgraphSchema(), 'BatchStatus'),
  );
});

test("67: Apollo's subgraph library reads the schema that the gateway serves out of its SDL", () => {
  const theirs = buildSubgraphSchema(parse(printSdl()));
  const ours = createSubgraphSchema();
  const objects = Object.values(ours.getTypeMap()).filter(isObjectType);
  const toFields = (schema: GraphQLSchema) =>
    objects.map(({ name }) => [name, fieldsOf(schema, name)]);
  expect(toFields(theirs)).toEqual(toFields(ours));
});
