import { readFile } from 'node:fs/promises';
import {
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  parse,
  validate,
} from 'graphql';
import { expect, test } from 'vitest';
import { EXAMPLE_OPERATIONS } from '../src/graphql/example-operations.ts';
import { createSchema, printSchema } from '../src/graphql/schema.ts';
import { startScriptedUpstream } from './support/scripted-upstream.ts';
import { startTestGateway } from './support/test-gateway.ts';

test('schema.graphql is what the code says; npm run schema writes it anew', async () => {
  const file = await readFile(new URL('../schema.graphql', import.meta.url), 'utf8');
  expect(printSchema()).toBe(file);
});

/** Coordinates of what has no description, but for what federation itself adds. */
function undescribed(schema: GraphQLSchema): string[] {
  const missing: string[] = [];
  const note = (coordinate: string, element: { description?: string | null | undefined }) => {
    if (!element.description) missing.push(coordinate);
  };
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('_') || type.name.startsWith('link__')) continue;
    note(type.name, type);
    if (isEnumType(type)) {
      for (const value of type.getValues()) note(`${type.name}.${value.name}`, value);
    }
    if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields()))
        note(`${type.name}.${field.name}`, field);
    }
    if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) {
        if (field.name.startsWith('_')) continue;
        note(`${type.name}.${field.name}`, field);
        for (const arg of field.args) note(`${type.name}.${field.name}(${arg.name}:)`, arg);
      }
    }
  }
  return missing;
}

test('every type, field and argument has a description', () => {
  expect(undescribed(createSchema())).toEqual([]);
});

test('the operations that GraphiQL opens with are valid', () => {
  const schema = createSchema();
  expect(EXAMPLE_OPERATIONS.map((operation) => validate(schema, parse(operation)))).toEqual([
    [],
    [],
    [],
  ]);
});

test('_service answers the SDL of schema.graphql', async () => {
  await using gateway = await startTestGateway();
  const file = await readFile(new URL('../schema.graphql', import.meta.url), 'utf8');
  expect(await gateway.query('{ _service { sdl } }')).toEqual({
    status: 200,
    body: { data: { _service: { sdl: file.trimEnd() } } },
  });
});

const ENTITIES = `query Entities($references: [_Any!]!) {
  _entities(representations: $references) { ... on BatchStatus { id status } }
}`;

test('entities are found by either key and share the loader of the request', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = ({ target }) => ({
    body: { data: { status: target.split('=')[1] ?? 'ANY' } },
  });
  const references = [
    { __typename: 'BatchStatus', id: 'vehicles/b-1' },
    { __typename: 'BatchStatus', participantType: 'vehicles', batchId: 'b-1' },
    { __typename: 'BatchStatus', id: 'vehicles' },
    { __typename: 'BatchStatus', participantType: 'vehicles', batchId: null },
    { __typename: 'BatchStatus', id: 'a%20b/c%2Fd' },
  ];

  expect(await gateway.query(ENTITIES, { references })).toEqual({
    status: 200,
    body: {
      data: {
        _entities: [
          { id: 'vehicles/b-1', status: 'b-1' },
          { id: 'vehicles/b-1', status: 'b-1' },
          { id: 'vehicles', status: 'ANY' },
          { id: 'vehicles', status: 'ANY' },
          { id: 'a%20b/c%2Fd', status: 'c%2Fd' },
        ],
      },
    },
  });
  expect(upstream.statusCalls).toHaveLength(3);
});

test('a reference to an unknown or impossible batch is null, with its error at its place', async () => {
  await using gateway = await startTestGateway({ environment: { ERROR_DETAIL: 'public' } });
  const references = [
    { __typename: 'BatchStatus', id: 'vehicles/batch-finished' },
    { __typename: 'BatchStatus', id: 'vehicles/no-such-batch' },
    { __typename: 'BatchStatus', id: 'vehicles/a/b' },
    { __typename: 'BatchStatus', id: '%zz' },
    { __typename: 'BatchStatus', batchId: 'b-1' },
    { __typename: 'Query' },
    'BatchStatus',
  ];
  const at = (index: number, message: string, extensions: object) => ({
    message,
    locations: [{ line: 2, column: 3 }],
    path: ['_entities', index],
    extensions: { retryable: false, requestId: expect.any(String), ...extensions },
  });
  const badId =
    'The id of a BatchStatus is its participant type, or its participant type and batch id joined by "/", each percent-encoded.';

  const { body } = await gateway.query(ENTITIES, { references });
  expect(body).toEqual({
    data: {
      _entities: [
        { id: 'vehicles/batch-finished', status: 'SUCCESS' },
        null,
        null,
        null,
        null,
        null,
        null,
      ],
    },
    errors: expect.arrayContaining([
      at(1, 'The batch does not exist.', {
        code: 'NOT_FOUND',
        upstream: {
          status: 404,
          code: '101100110005',
          description: 'The batch does not exist.',
          additionalInfo: { batchId: 'no-such-batch' },
        },
      }),
      at(2, badId, { code: 'BAD_USER_INPUT' }),
      at(3, badId, { code: 'BAD_USER_INPUT' }),
      at(4, 'A reference to a BatchStatus takes an id, or a participantType and a batchId.', {
        code: 'BAD_USER_INPUT',
      }),
      at(5, 'A reference takes the __typename of an entity: BatchStatus.', {
        code: 'BAD_USER_INPUT',
      }),
      at(6, 'A reference takes the __typename of an entity: BatchStatus.', {
        code: 'BAD_USER_INPUT',
      }),
    ]),
  });
  expect(body).toHaveProperty('errors.length', 6);
});
