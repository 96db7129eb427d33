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
import { EXAMPLE_OPERATIONS } from '../../src/graphql/example-operations.ts';
import { createSchema, printSchema } from '../../src/graphql/schema/index.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, UUID } from '../support/test-gateway.ts';

test('schema.graphql is what the code says; npm run schema writes it anew', async () => {
  const file = await readFile(new URL('../../schema.graphql', import.meta.url), 'utf8');
  expect(printSchema()).toBe(file);
});

/** Coordinates of what has no description. */
function undescribed(schema: GraphQLSchema): string[] {
  const missing: string[] = [];
  const note = (coordinate: string, element: { description?: string | null | undefined }) => {
    if (!element.description) missing.push(coordinate);
  };
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__')) continue;
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
  expect(EXAMPLE_OPERATIONS.map(({ query }) => validate(schema, parse(query)))).toEqual([
    [],
    [],
    [],
    [],
  ]);
});

test('_service answers the SDL of schema.graphql', async () => {
  await using gateway = await startTestGateway();
  const file = await readFile(new URL('../../schema.graphql', import.meta.url), 'utf8');
  expect(await gateway.query('{ _service { sdl } }')).toEqual({
    status: 200,
    body: { data: { _service: { sdl: file } } },
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
      at(4, 'A reference to a BatchStatus needs an id, or a participantType and a batchId.', {
        code: 'BAD_USER_INPUT',
      }),
      at(5, 'A reference needs the __typename of an entity: BatchStatus.', {
        code: 'BAD_USER_INPUT',
      }),
      at(6, 'A reference needs the __typename of an entity: BatchStatus.', {
        code: 'BAD_USER_INPUT',
      }),
    ]),
  });
  expect(body).toHaveProperty('errors.length', 6);
});

test('twenty references to ten batches are ten upstream calls', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = ({ target }) => ({ body: { data: { status: target.split('=')[1] } } });
  const ids = Array.from({ length: 10 }, (_, index) => `b-${index}`);
  const references = ids.flatMap((batchId) => [
    { __typename: 'BatchStatus', id: `vehicles/${batchId}` },
    { __typename: 'BatchStatus', participantType: 'vehicles', batchId },
  ]);

  const { body } = await gateway.query(ENTITIES, { references });

  expect(body).toEqual({
    data: {
      _entities: ids.flatMap((id) => [
        { id: `vehicles/${id}`, status: id },
        { id: `vehicles/${id}`, status: id },
      ]),
    },
  });
  expect(upstream.statusCalls.map(({ target }) => target.split('=')[1]).sort()).toEqual(ids);
});

test('8: FEDERATION=off leaves what routers ask for out of the schema, and nothing else', async () => {
  await using gateway = await startTestGateway({ environment: { FEDERATION: 'off' } });
  const unknown = (field: string, line: number, column: number) => ({
    message: `Cannot query field "${field}" on type "Query".`,
    locations: [{ line, column }],
    extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: UUID },
  });

  expect(await gateway.query('{ _service { sdl } }')).toEqual({
    status: 200,
    body: { errors: [unknown('_service', 1, 3)] },
  });
  expect(await gateway.query('{ _entities(representations: []) { __typename } }')).toEqual({
    status: 200,
    body: { errors: [unknown('_entities', 1, 3)] },
  });
  const introspection = `{
    any: __type(name: "_Any") { name }
    entity: __type(name: "_Entity") { name }
    service: __type(name: "_Service") { name }
    query: __type(name: "Query") { fields { name } }
  }`;
  expect(await gateway.query(introspection)).toEqual({
    status: 200,
    body: {
      data: {
        any: null,
        entity: null,
        service: null,
        query: { fields: [{ name: 'batchStatus' }, { name: 'batchStatuses' }] },
      },
    },
  });
  expect(
    await gateway.query(STATUS_QUERY, {
      participantType: 'vehicles',
      batchId: 'batch-finished',
    }),
  ).toEqual({
    status: 200,
    body: { data: { batchStatus: { id: 'vehicles/batch-finished', status: 'SUCCESS' } } },
  });
});
