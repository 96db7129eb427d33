import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { getIntrospectionQuery, Kind, parse } from 'graphql';
import { expect, test, vi } from 'vitest';
import { INTROSPECTION_LISTS, MeasuredOperation } from '../../src/graphql/limits.ts';
import { createSubgraphSchema } from '../../src/graphql/schema/index.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { sendBody, startTestGateway, type TestGateway } from '../support/test-gateway.ts';

const MIB = 1024 * 1024;

function times(count: number, part: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => part(index)).join(' ');
}

function references(count: number): object[] {
  return Array.from({ length: count }, () => ({ __typename: 'BatchStatus', id: 'vehicles/large' }));
}

function dataOfReferences(aliases: number): string {
  return `query ($them: [_Any!]!) { _entities(representations: $them) {
    ... on BatchStatus { id ${times(aliases, (index) => `d${index}: data`)} }
  } }`;
}

interface Answer {
  status: number;
  bytes: number;
  data: { _entities: (Record<string, unknown> | null)[] } | null | undefined;
  errors: { message: string; path?: (string | number)[]; extensions: { code: string } }[];
}

async function send(gateway: TestGateway, query: string, variables: object = {}): Promise<Answer> {
  const { status, body } = await sendBody(gateway, JSON.stringify({ query, variables }));
  const { data, errors = [] } = JSON.parse(body);
  return { status, bytes: Buffer.byteLength(body), data, errors };
}

function tooLong(limit: number) {
  return {
    message: `The answer would be longer than ${limit} bytes: ask for less at a time.`,
    locations: expect.any(Array),
    path: expect.any(Array),
    extensions: { code: 'OPERATION_TOO_COMPLEX', retryable: false, requestId: 'the-same' },
  };
}

test('79: 100 references × 5 aliases of a payload of 1 MB: what fits is served, the rest is OPERATION_TOO_COMPLEX, and no more is written out than RESPONSE_MAX_BYTES (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  const payload = { status: 'FAILED', errors: Array.from({ length: 10_000 }, longRecord) };
  upstream.onStatus = () => ({ body: { data: payload, request: ECHO } });
  await using gateway = await startTestGateway({ upstream });
  const stringify = vi.spyOn(JSON, 'stringify');
  const answer = await send(gateway, dataOfReferences(5), { them: references(100) });
  // What the test itself and the upstream write out is not the gateway's.
  const written = stringify.mock.results.reduce((most, { value }) => {
    const text = String(value);
    return text.includes('"_entities"') ? Math.max(most, text.length) : most;
  }, 0);
  stringify.mockRestore();

  const size = Buffer.byteLength(JSON.stringify(payload));
  const fitting = Math.floor((8 * MIB) / size / 5);
  expect([answer.status, written]).toEqual([200, answer.bytes]);
  expect(answer.bytes).toBeLessThanOrEqual(8 * MIB);
  expect(answer.bytes).toBeGreaterThan(5 * fitting * size);
  // `data` is never null, so where it does not fit its reference is.
  const whole = answer.data?._entities.filter((entity) => entity !== null) ?? [];
  expect(whole).toHaveLength(fitting);
  expect(whole).toEqual(
    whole.map(() => ({
      id: 'vehicles/large',
      ...Object.fromEntries([0, 1, 2, 3, 4].map((index) => [`d${index}`, payload])),
    })),
  );
  expect(answer.errors).toEqual(answer.errors.map(() => tooLong(8 * MIB)));
  expect(answer.errors).toHaveLength(100 - whole.length);
  expect(upstream.statusCalls).toHaveLength(1);
});

function longRecord(_: unknown, index: number) {
  return {
    refID: `r-${index}`,
    reason: `The plate number of record ${index} is taken already, it says.`,
  };
}

test('79: 100 references × 30 aliases cost more than an operation may, and nobody is asked (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  for (const query of [
    dataOfReferences(30),
    // What is asked for in a fragment counts as well.
    `query ($them: [_Any!]!) { _entities(representations: $them) { ...F } }
     fragment F on BatchStatus { ${times(30, (index) => `d${index}: data`)} }`,
  ]) {
    const { body, status } = await sendBody(
      gateway,
      JSON.stringify({ query, variables: { them: references(100) } }),
    );
    expect({ status, ...JSON.parse(body) }).toEqual({
      status: 400,
      errors: [
        {
          message: 'The operation costs more than 10000 points.',
          extensions: { code: 'OPERATION_TOO_COMPLEX', retryable: false, requestId: 'the-same' },
        },
      ],
    });
  }
  expect(upstream.statusCalls).toEqual([]);
});

const PAGE = `batchStatus(participantType: "vehicles") {
  failures(first: $first) { edges { node { refId reason } } }
}`;
/** What one of them costs with `first`: 1 + 10 + 4 × first. */
const byVariables: [name: string, variables: object, cost: number][] = [
  ['100 records', { first: 100 }, 411],
  ['one record', { first: 1 }, 15],
  ['none', { first: 0 }, 15],
  ['the default', {}, 91],
  ['null', { first: null }, 91],
  ['more than there may be', { first: 1_000_000 }, 411],
];

test.each(byVariables)('79: the cost goes by the variables: %s', async (_, variables, cost) => {
  await using upstream = await startScriptedUpstream();
  const query = `query ($first: Int) { ${PAGE} }`;
  await using within = await startTestGateway({
    upstream,
    environment: { QUERY_MAX_COST: String(cost) },
  });
  await using beyond = await startTestGateway({
    upstream,
    environment: { QUERY_MAX_COST: String(cost - 1) },
  });
  expect((await send(within, query, variables)).status).toBe(200);
  const { status, errors } = await send(beyond, query, variables);
  expect([status, errors.map(({ message }) => message)]).toEqual([
    400,
    [`The operation costs more than ${cost - 1} points.`],
  ]);
});

test('79: what docs/security.md says that queries cost, they cost', async () => {
  const docs = await readFile(new URL('../../docs/security.md', import.meta.url), 'utf8');
  const arguments_ = 'participantType: "vehicles"';
  const rows = [...docs.matchAll(/^\| `(\{.*\})` \| [^|]*?([\d,]+) \|$/gm)].map(
    ([, query = '', points = '']) =>
      [query.replace('…', arguments_), Number(points.replace(',', ''))] as const,
  );
  expect(rows).toHaveLength(3);
  const reference = '{ __typename: "BatchStatus", id: "vehicles" }';
  const entities = (selection: string) =>
    `{ _entities(representations: [${times(100, () => reference)}]) { ... on BatchStatus { ${selection} } } }`;
  const failures = rows[2]?.[0].slice(1, -1) ?? '';
  const more = [
    [`{ ${times(20, (index) => `b${index}: ${failures}`)} }`, 8_220],
    [entities('id status data'), 1_201],
    [entities(times(30, (index) => `d${index}: data`)), 30_001],
    [INTROSPECTION, 9_406],
  ] as const;
  for (const [, points] of more) expect(docs).toContain(points.toLocaleString('en'));
  for (const [query, points] of [...rows, ...more]) expect(costOf(query)).toBe(points);
});

const INTROSPECTION = getIntrospectionQuery({
  inputValueDeprecation: true,
  schemaDescription: true,
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  oneOf: true,
});

function costOf(query: string): number {
  const document = parse(query);
  const operation = document.definitions.find((it) => it.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined) throw new Error('no operation');
  return new MeasuredOperation(document, operation, {
    maxTokens: 0,
    maxDepth: 0,
    maxAliases: 0,
    maxDirectives: 0,
    maxCost: Number.POSITIVE_INFINITY,
    maxReferences: 100,
  }).greatestCost;
}

test('79: the lists of the introspection count what they hold on the average', () => {
  const types = Object.values(createSubgraphSchema().getTypeMap());
  const fields = types.flatMap((type) =>
    'getFields' in type ? Object.values(type.getFields()) : [],
  );
  const values = types.flatMap((type) => ('getValues' in type ? type.getValues() : []));
  expect(Object.fromEntries(INTROSPECTION_LISTS)).toEqual({
    types: types.length,
    fields: Math.ceil(fields.length / types.length),
    enumValues: Math.ceil(values.length / types.length),
    directives: expect.any(Number),
  });
});

const LIMIT = 16_384;
const LONG = 'x'.repeat(6_000);

/** Answers that would be longer than the limit, each by another of its parts. */
const long: [name: string, query: string, answer: { status?: number; body: object }][] = [
  [
    'a payload',
    times(4, (index) => `a${index}: batchStatus(participantType: "t") { data }`),
    { body: { data: { LONG } } },
  ],
  [
    'parts of a payload',
    `batchStatus(participantType: "t") { ${times(4, (index) => `a${index}: dataAt(pointer: "/LONG")`)} }`,
    { body: { data: { LONG: [LONG] } } },
  ],
  [
    'a text of the service',
    `batchStatus(participantType: "t") { ${times(4, (index) => `a${index}: status`)} }`,
    { body: { data: { status: LONG } } },
  ],
  [
    'texts that JSON has to escape',
    `batchStatus(participantType: "t") { ${times(4, (index) => `a${index}: status`)} }`,
    { body: { data: { status: '\u0001'.repeat(1_000) } } },
  ],
  [
    'numbers that grow when they are written',
    `batchStatus(participantType: "t") { ${times(4, (index) => `a${index}: data`)} }`,
    { body: { data: { n: Array.from({ length: 300 }, () => 1e20) } } },
  ],
  [
    'records',
    'batchStatus(participantType: "t") { failures(first: 100) { edges { node { reason record again: record } } } }',
    { body: { data: { errors: Array.from({ length: 100 }, longRecord) } } },
  ],
  [
    'names of an alias',
    `batchStatus(participantType: "t") { failures(first: 100) { edges { ${'n'.repeat(200)}: cursor } } }`,
    { body: { data: { errors: Array.from({ length: 100 }, longRecord) } } },
  ],
  [
    'names of an alias whose fields have fields',
    `batchStatus(participantType: "t") { failures(first: 100) { edges { ${'n'.repeat(200)}: node { id } } } }`,
    { body: { data: { errors: Array.from({ length: 100 }, longRecord) } } },
  ],
  [
    'names of types',
    `batchStatus(participantType: "t") { failures(first: 100) { edges { ${times(20, (index) => `type${index}: __typename`)} } } }`,
    { body: { data: { errors: Array.from({ length: 100 }, longRecord) } } },
  ],
  [
    'the echo',
    `batchStatus(participantType: "t") { request { ${times(4, (index) => `a${index}: body`)} } }`,
    { body: { data: {}, request: { ...ECHO, body: { LONG } } } },
  ],
  [
    'errors of the service',
    times(4, (index) => `a${index}: batchStatus(participantType: "t") { id }`),
    { status: 409, body: { error: { description: LONG, additionalInfo: { LONG } } } },
  ],
  [
    'the introspection',
    `__schema { ${times(20, (index) => `a${index}: types { name description }`)} }`,
    { body: { data: {} } },
  ],
];

test.each(long)(
  '79: an answer that %s would make too long is bounded',
  async (_, query, answer) => {
    await using upstream = await startScriptedUpstream();
    upstream.onStatus = () => answer;
    await using gateway = await startTestGateway({
      upstream,
      environment: { RESPONSE_MAX_BYTES: String(LIMIT) },
    });
    await using patient = await startTestGateway({ upstream });
    expect((await send(patient, `{ ${query} }`)).bytes).toBeGreaterThan(LIMIT);

    const { status, bytes, errors } = await send(gateway, `{ ${query} }`);
    expect(status).toBe(200);
    expect(bytes).toBeLessThanOrEqual(LIMIT);
    expect(errors.map(({ extensions }) => extensions.code)).toContain('OPERATION_TOO_COMPLEX');
    for (const error of errors) {
      if (error.extensions.code === 'OPERATION_TOO_COMPLEX') {
        expect(error.message).toBe(tooLong(LIMIT).message);
      }
    }
    // Others are served as before.
    expect((await send(gateway, '{ __typename }')).data).toEqual({ __typename: 'Query' });
  },
);

test('79: an answer is whole as long as it is within the limit, to the byte, and never longer', async () => {
  await using upstream = await startScriptedUpstream();
  let body: object = { data: {} };
  upstream.onStatus = () => ({ body });
  const environment = { STATUS_TTL_MS: '0', STATUS_STALE_MS: '0' };
  // Making up data takes so long that calls would be out of time.
  const clock = new TestClock();
  await using patient = await startTestGateway({ upstream, clock, environment });
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: { ...environment, RESPONSE_MAX_BYTES: String(LIMIT) },
  });
  const query = `{ ${times(
    3,
    (index) => `a${index}: batchStatus(participantType: "t") {
      id status data dataAt(pointer: "/errors/0") failures(first: 5) { edges { cursor node { refId reason record } } pageInfo { endCursor } }
      request { uri body }
    }`,
  )} }`;
  const post = (to: TestGateway) => sendBody(to, JSON.stringify({ query }));
  const text = fc.string({ unit: 'binary', maxLength: 300 });
  const seen = { whole: 0, cut: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        status: text,
        errors: fc.array(fc.record({ refID: text, reason: text, x: fc.json() }), { maxLength: 8 }),
        padding: fc.nat({ max: 4_000 }),
      }),
      text,
      async ({ padding, ...data }, uri) => {
        body = { data: { ...data, padding: 'x'.repeat(padding) }, request: { ...ECHO, uri } };
        // Made to end within a few bytes of the limit.
        const before = await post(patient);
        const missing = LIMIT - Buffer.byteLength(before.body);
        if (missing > 0 && padding % 2 === 0) {
          const filled = 'x'.repeat(padding + Math.floor(missing / 3) + (padding % 3));
          body = { data: { ...data, padding: filled }, request: { ...ECHO, uri } };
        }
        const whole = await post(patient);
        const bounded = await post(gateway);
        const isShort = Buffer.byteLength(whole.body) <= LIMIT;
        seen[isShort ? 'whole' : 'cut'] += 1;
        const strip = (answer: string) => answer.replaceAll(/"fetchedAt":"[^"]*"/g, '');
        if (isShort) expect(strip(bounded.body) === strip(whole.body)).toBe(true);
        else expect(bounded.body).toContain('"OPERATION_TOO_COMPLEX"');
        expect(Buffer.byteLength(bounded.body)).toBeLessThanOrEqual(LIMIT);
        expect(bounded.status).toBe(200);
      },
    ),
    { numRuns: 300, seed: 79, endOnFailure: true },
  );
  expect(Math.min(seen.whole, seen.cut)).toBeGreaterThan(20);
});

const NULLS = `query ($them: [_Any!]!) { _entities(representations: $them) { __typename } }`;

test('87: 64 KB of nulls are refused before one of them is coerced, and to who is no router as such (API4:2023)', async () => {
  const secret = 'canary-router-secret';
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { FEDERATION_SECRET: secret },
  });
  const body = JSON.stringify({
    query: NULLS,
    variables: { them: Array.from({ length: 13_000 }, () => null) },
  });
  expect(body.length).toBeGreaterThan(64_000);
  const send_ = async (headers: Record<string, string>) => {
    const { status, body: text } = await sendBody(gateway, body, headers);
    return { status, ...JSON.parse(text) };
  };
  const refusal = (status: number, code: string, message: string) => ({
    status,
    errors: [{ message, extensions: { code, retryable: false, requestId: 'the-same' } }],
  });
  expect(await send_({})).toEqual(refusal(403, 'FORBIDDEN', '_entities is for routers only.'));
  expect(await send_({ 'router-authorization': secret })).toEqual(
    refusal(
      400,
      'OPERATION_TOO_COMPLEX',
      'The variable $them is a list of more than 100 elements.',
    ),
  );
  expect(gateway.logLines.join('')).not.toContain(secret);
});
