import fc from 'fast-check';
import { getIntrospectionQuery, parse } from 'graphql';
import { expect, test } from 'vitest';
import { exceededLimit } from '../../src/graphql/limits.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { sendBody, startTestGateway, UUID } from '../support/test-gateway.ts';

function tooComplex(message: string) {
  const extensions = { code: 'OPERATION_TOO_COMPLEX', retryable: false, requestId: 'the-same' };
  return { status: 400, errors: [{ message, extensions }] };
}

const TYPE = 'participantType: "vehicles"';

function nested(depth: number): string {
  return '{ ... '.repeat(depth - 1).concat('{ __typename }', ' }'.repeat(depth - 1));
}

function times(count: number, part: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => part(index)).join(' ');
}

/** 10 points for the field, and 100 times 5 for what is selected below it. */
const FAILURES_FOR_510 = 'failures(first: 100) { edges { node { refId reason code } } }';

/** Documents that reach a limit: the one that it still takes, and the one that it does not. */
const EDGES: [name: string, document: (limit: number) => string, limit: number, message: string][] =
  [
    [
      'tokens',
      (limit) =>
        `{ _entities(representations: [{ __typename: "BatchStatus", id: "vehicles", x: [${times(limit - 24, () => '1')}] }]) { __typename } }`,
      1_000,
      'The document has more than 1000 tokens.',
    ],
    ['depth', nested, 20, 'The operation is more than 20 levels deep.'],
    [
      'aliases',
      (limit) => `{ ${times(limit, (index) => `a${index}: __typename`)} }`,
      30,
      'The operation has more than 30 aliases.',
    ],
    [
      'directives',
      (limit) => `query { ${times(limit, () => '__typename @skip(if: false)')} }`,
      30,
      'The operation has more than 30 directives.',
    ],
    [
      'cost',
      (limit) =>
        `{ batchStatus(${TYPE}) { ${times(19, () => FAILURES_FOR_510)} ${times(limit - 9_691, () => 'id')} } }`,
      10_000,
      'The operation costs more than 10000 points.',
    ],
    [
      'cost of fields with a payload',
      (limit) =>
        `{ batchStatus(${TYPE}) { ${times(17, () => FAILURES_FOR_510)} ${times(90, () => 'data')} ${times(limit - 9_571, () => 'id')} } }`,
      10_000,
      'The operation costs more than 10000 points.',
    ],
  ];

/** Each limit alone: where one is tried, the others are as high as they go. */
const ALONE = {
  QUERY_MAX_TOKENS: '10000',
  QUERY_MAX_DEPTH: '100',
  QUERY_MAX_ALIASES: '1000',
  QUERY_MAX_DIRECTIVES: '1000',
  QUERY_MAX_COST: '1000000',
};

test.each(EDGES)(
  `3: %s: the limit passes, one more is OPERATION_TOO_COMPLEX (API4:2023)`,
  async (name, document, limit, message) => {
    await using upstream = await startScriptedUpstream();
    const own = `QUERY_MAX_${name.split(' ')[0]?.toUpperCase()}`;
    const environment = Object.fromEntries(Object.entries(ALONE).filter(([it]) => it !== own));
    await using gateway = await startTestGateway({ upstream, environment });
    const send = (count: number) => sendBody(gateway, JSON.stringify({ query: document(count) }));

    const refused = await send(limit + 1);
    expect({ status: refused.status, ...JSON.parse(refused.body) }).toEqual(tooComplex(message));
    expect(upstream.statusCalls).toEqual([]);
    const taken = await send(limit);
    expect([taken.status, JSON.parse(taken.body)]).toEqual([200, { data: expect.anything() }]);
  },
);

test('4: bombs of fragments are 400 (API4:2023)', async () => {
  await using gateway = await startTestGateway();
  const doubling = times(
    40,
    (index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`,
  );
  const bombs: [query: string, message: string][] = [
    [
      `{ ...F0 } ${doubling} fragment F40 on Query { __typename }`,
      'The operation costs more than 10000 points.',
    ],
    [
      '{ ...A } fragment A on Query { ...B } fragment B on Query { __typename ...A }',
      'The fragments of the operation are spread in a circle.',
    ],
    [
      '{ __typename } fragment Alone on Query { ...Alone }',
      'The fragments of the operation are spread in a circle.',
    ],
    [
      // What a fragment is called exempts it from nothing.
      `{ ...__schema } fragment __schema on Query { ${times(31, (index) => `a${index}: __typename`)} }`,
      'The operation has more than 30 aliases.',
    ],
    [
      `{ ${times(300, (index) => `a${index % 2}: batchStatus(${TYPE}) { id }`)} }`,
      'The document has more than 1000 tokens.',
    ],
  ];
  for (const [query, message] of bombs) {
    const { status, body } = await sendBody(gateway, JSON.stringify({ query }));
    expect({ status, ...JSON.parse(body) }).toEqual(tooComplex(message));
  }
});

test('5: nesting 20,000 deep is 400 (API4:2023)', async () => {
  await using gateway = await startTestGateway();
  await using patient = await startTestGateway({ environment: ALONE });
  for (const query of ['{a'.repeat(20_000), `{a(b:${'['.repeat(20_000)}`, '{...'.repeat(15_000)]) {
    const body = JSON.stringify({ query });
    const answer = await sendBody(gateway, body);
    expect({ status: answer.status, ...JSON.parse(answer.body) }).toEqual(
      tooComplex('The document has more than 1000 tokens.'),
    );
    expect(await sendBody(patient, body)).toMatchObject({ status: 400 });
  }
});

test('7: aliases of one batch cost one call; 20 different batches are taken (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  const equal = `{ ${times(30, (index) => `a${index}: batchStatus(${TYPE}) { id }`)} }`;
  expect(await sendBody(gateway, JSON.stringify({ query: equal }))).toMatchObject({
    status: 200,
    body: expect.not.stringContaining('errors'),
  });
  expect(upstream.statusCalls).toHaveLength(1);

  const different = `{ ${times(20, (index) => `a${index}: batchStatus(${TYPE}, batchId: "b${index}") { id }`)} }`;
  expect(await sendBody(gateway, JSON.stringify({ query: different }))).toMatchObject({
    status: 200,
    body: expect.not.stringContaining('errors'),
  });
  expect(upstream.statusCalls).toHaveLength(21);
});

test('7: 21 different batches are refused before any call, references of a router with them (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  const query = `query ($them: [_Any!]!) {
    ${times(11, (index) => `a${index}: batchStatus(${TYPE}, batchId: "b${index}") { id }`)}
    _entities(representations: $them) { __typename }
  }`;
  const them = Array.from({ length: 10 }, (_, index) => ({
    __typename: 'BatchStatus',
    id: `vehicles/r${index}`,
  }));
  const body = JSON.stringify({ query, variables: { them } });
  const { status, body: text } = await sendBody(gateway, body);
  const answer: { errors: object[]; data: { _entities: unknown } } = JSON.parse(text);
  expect([status, answer.data]).toEqual([
    200,
    {
      ...Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`a${index}`, null])),
      _entities: them.map(() => null),
    },
  ]);
  expect(answer.errors).toHaveLength(21);
  for (const error of answer.errors) {
    expect(error).toEqual({
      message: 'The request asks for more than 20 different batches.',
      locations: expect.any(Array),
      path: expect.any(Array),
      extensions: { code: 'OPERATION_TOO_COMPLEX', retryable: false, requestId: 'the-same' },
    });
  }
  expect(upstream.statusCalls).toEqual([]);
});

test('7: 100 references are taken, equal ones counted; 101 are refused whole (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  const query =
    'query ($them: [_Any!]!) { _entities(representations: $them) { ... on BatchStatus { id } } }';
  const send = (count: number, reference: object) => {
    const them = Array.from({ length: count }, () => reference);
    return sendBody(gateway, JSON.stringify({ query, variables: { them } }));
  };
  const good = { __typename: 'BatchStatus', id: 'vehicles' };
  for (const reference of [good, {}]) {
    const { status, body } = await send(101, reference);
    expect({ status, ...JSON.parse(body) }).toEqual(
      tooComplex('The variable $them is a list of more than 100 elements.'),
    );
  }
  expect(upstream.statusCalls).toEqual([]);
  expect(JSON.parse((await send(100, good)).body)).toEqual({
    data: { _entities: Array.from({ length: 100 }, () => ({ id: 'vehicles' })) },
  });
  expect(upstream.statusCalls).toHaveLength(1);
});

test('introspection as GraphiQL sends it is within the limits', async () => {
  await using gateway = await startTestGateway();
  const query = getIntrospectionQuery({
    inputValueDeprecation: true,
    schemaDescription: true,
    specifiedByUrl: true,
    directiveIsRepeatable: true,
    oneOf: true,
  });
  expect(await sendBody(gateway, JSON.stringify({ query }))).toMatchObject({
    status: 200,
    body: expect.stringMatching(/^\{"data":\{"__schema":/),
  });
});

test('2: a limit of the request body that is set is the limit (API4:2023)', async () => {
  await using gateway = await startTestGateway({ environment: { REQUEST_MAX_BYTES: '1024' } });
  const start = '{"query":"{ __typename }","operationName":null,"extensions":{"x":"';
  const answers = [1_024, 1_025].map((length) => {
    const body = `${start}${'x'.repeat(length - start.length - 3)}"}}`;
    return fetch(gateway.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
  });
  const [taken, refused] = await Promise.all(answers);
  expect([taken?.status, refused?.status, await refused?.json()]).toEqual([
    200,
    413,
    {
      errors: [
        {
          message: 'The request body is longer than 1024 bytes.',
          extensions: { code: 'PAYLOAD_TOO_LARGE', retryable: false, requestId: UUID },
        },
      ],
    },
  ]);
});

test('fragments count wherever they are spread: as much as the same text written out', () => {
  const limits = {
    maxTokens: 0,
    maxDepth: 5,
    maxAliases: 6,
    maxDirectives: 4,
    maxCost: 20,
    maxReferences: 5,
  };
  const leaf = fc.constantFrom('a', 'b: a', 'a @skip(if: false)', 'data', '... @x { b: a }');
  const set = fc.array(leaf, { minLength: 1, maxLength: 4 }).map((it) => it.join(' '));
  fc.assert(
    fc.property(
      fc.array(set, { minLength: 1, maxLength: 4 }),
      fc.array(fc.boolean()),
      (sets, deep) => {
        // Each fragment spreads the next, at its own level or within a field, twice.
        const spread = (index: number, what: string) =>
          deep[index] ? `c { ${what} } ${what}` : `${what} ${what}`;
        const fragments = sets.map(
          (own, index) =>
            `fragment F${index} on T { ${own} ${index + 1 < sets.length ? spread(index, `...F${index + 1}`) : ''} }`,
        );
        const written = (index: number): string =>
          `${sets[index]} ${index + 1 < sets.length ? spread(index, written(index + 1)) : ''}`;
        const spreadOut = parse(`{ ...F0 } ${fragments.join(' ')}`);
        expect(exceededLimit(spreadOut, limits)).toBe(
          exceededLimit(parse(`{ ${written(0)} }`), limits),
        );
      },
    ),
  );
});
