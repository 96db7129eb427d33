import fc from 'fast-check';
import { getIntrospectionQuery } from 'graphql';
import { auditServer } from 'graphql-http';
import { expect, test } from 'vitest';
import { createSubgraphSchema } from '../src/graphql/schema.ts';
import { arbitraryRequest } from './support/arbitrary-documents.ts';
import { LANE_MEDIA_TYPES, type Lane, lanesTaken, sendThrough } from './support/lanes.ts';
import { ECHO, startScriptedUpstream } from './support/scripted-upstream.ts';
import { TestClock } from './support/test-clock.ts';
import { STATUS_QUERY, startTestGateway } from './support/test-gateway.ts';

const LANES: Lane[] = ['lean', 'yoga'];
/** Each answer is made anew. */
const NO_COPIES = { STATUS_TTL_MS: '0', STATUS_FINISHED_TTL_MS: '0' };

function batch(id: string, fields = 'id status finished data fetchedAt request { uri body }') {
  return `batchStatus(participantType: "vehicles", batchId: "${id}") { ${fields} }`;
}

/** Good calls after bad ones, or the gateway would make no more after a while. */
const KEEPS_CIRCUIT_CLOSED = `query KeepsCircuitClosed { ${['vehicles', 'drivers', 'operators']
  .flatMap((type) => [
    `a_${type}: batchStatus(participantType: "${type}", batchId: "batch-failed") { id }`,
    `b_${type}: batchStatus(participantType: "${type}", batchId: "batch-partial") { id }`,
  ])
  .join(' ')} }`;

const DOCUMENTS: { query: unknown; variables?: unknown; [member: string]: unknown }[] = [
  ...[
    'batch-finished',
    'batch-partial',
    'batch-failed',
    'batch-running',
    'batch-large',
    'fault-400',
    'fault-401',
    'fault-401-once',
    'fault-403',
    'fault-404',
    'fault-429',
    'fault-500',
    'fault-503',
    'fault-reset',
    'fault-html',
    'fault-truncated',
    'fault-empty',
    'fault-huge',
  ].map((id) => ({ query: `{ ${batch(id)} }` })),
  // Arguments, variables, defaults
  { query: '{ batchStatus(participantType: "vehicles") { id batchId } }' },
  { query: '{ batchStatus(participantType: "") { id } }' },
  { query: '{ batchStatus(participantType: "vehicles", batchId: "a\\nb") { id } }' },
  { query: '{ batchStatus { id } }' },
  { query: '{ batchStatus(participantType: vehicles) { id } }' },
  { query: '{ batchStatus(participantType: "vehicles", batchId: 7) { id batchId } }' },
  { query: STATUS_QUERY, variables: { participantType: 'vehicles', batchId: 'batch-partial' } },
  { query: STATUS_QUERY, variables: { participantType: 'vehicles', batchId: 12 } },
  { query: STATUS_QUERY, variables: { participantType: 'vehicles', batchId: null } },
  { query: STATUS_QUERY, variables: { participantType: 'vehicles', more: { a: [1] } } },
  { query: STATUS_QUERY, variables: { participantType: 7 } },
  { query: STATUS_QUERY, variables: { participantType: null } },
  { query: STATUS_QUERY, variables: {} },
  { query: STATUS_QUERY, variables: null },
  { query: STATUS_QUERY, variables: 'x' },
  { query: STATUS_QUERY, variables: [] },
  { query: 'query ($t: String! = "drivers") { batchStatus(participantType: $t) { id } }' },
  {
    query: 'query ($t: String! = "drivers") { batchStatus(participantType: $t) { id } }',
    variables: { t: null },
  },
  { query: 'query ($t: Missing) { __typename }', variables: { t: 1 } },
  { query: 'query ($t: String, $t: ID) { __typename }' },
  { query: 'query ($unused: String) { __typename }' },
  // Partial data, aliases, fragments, directives
  { query: `{ good: ${batch('batch-finished')} bad: ${batch('no-such-batch')} }` },
  { query: `{ a: ${batch('fault-500')} b: ${batch('fault-500')} c: ${batch('fault-html')} }` },
  {
    query: `{ ${batch('batch-partial', 'a: dataAt(pointer: "/status") b: dataAt(pointer: "x")')} }`,
  },
  {
    query: `{ ${batch('batch-partial', '__typename ...P')} } fragment P on BatchStatus { id ...Q } fragment Q on BatchStatus { status }`,
  },
  {
    query: `{ ${batch('batch-partial', '... on BatchStatus @include(if: true) { id } ... @skip(if: true) { status }')} }`,
  },
  {
    query: `query ($on: Boolean!) { ${batch('batch-partial', 'id @include(if: $on) status @skip(if: $on)')} }`,
    variables: { on: true },
  },
  {
    query: `query ($on: Boolean!) { ${batch('batch-partial', 'id @include(if: $on) status @skip(if: $on)')} }`,
    variables: { on: false },
  },
  { query: `query ($on: Boolean!) { ${batch('batch-partial', 'id @include(if: $on)')} }` },
  { query: `query { __typename ...P } fragment P on Query { ${batch('batch-finished', 'id')} }` },
  { query: '{ ...Loop } fragment Loop on Query { ...Loop }' },
  { query: '{ ...Missing }' },
  // Limits
  { query: `{ ${Array.from({ length: 31 }, (_, index) => `a${index}: __typename`).join(' ')} }` },
  { query: `${'{ ... '.repeat(20)}{ __typename }${' }'.repeat(20)}` },
  { query: `{ ${'__typename '.repeat(501)} }` },
  { query: `{ ${'__typename '.repeat(1_001)} }` },
  { query: `{ __typename ${'@skip(if: false) '.repeat(31)} }` },
  {
    query: `{ ${Array.from({ length: 21 }, (_, index) => `a${index}: ${batch(`b${index}`, 'id')}`).join(' ')} }`,
  },
  {
    query: 'query ($them: [_Any!]!) { _entities(representations: $them) { __typename } }',
    variables: { them: Array.from({ length: 101 }, () => ({})) },
  },
  { query: `{ ${'statu '.repeat(40)} }` },
  // Hashes, which are off
  { query: undefined, extensions: { persistedQuery: { version: 1, sha256Hash: 'a' } } },
  { query: '{ __typename }', extensions: { persistedQuery: { version: 1, sha256Hash: 'a' } } },
  { query: undefined, documentId: 'a' },
  { query: '{ __typename } fragment Unused on Query { __typename }' },
  { query: '{ __typename @unknown }' },
  { query: '{ a: __typename a: batchStatus(participantType: "x") { id } }' },
  { query: `{ ${batch('batch-partial', 'id: status status: id')} }` },
  { query: `{ ${batch('batch-partial', 'request')} }` },
  { query: `{ ${batch('batch-partial', 'id { a }')} }` },
  { query: '{ statsu }' },
  // Introspection and federation
  { query: getIntrospectionQuery() },
  { query: '{ __schema { queryType { name } } __type(name: "BatchStatus") { fields { name } } }' },
  { query: '{ __type(name: 7) { name } }' },
  { query: '{ _service { sdl } }' },
  {
    query:
      'query ($r: [_Any!]!) { _entities(representations: $r) { __typename ... on BatchStatus { id status } } }',
    variables: {
      r: [
        { __typename: 'BatchStatus', id: 'vehicles/batch-finished' },
        { __typename: 'BatchStatus', participantType: 'drivers', batchId: 'no-such-batch' },
        { __typename: 'Nothing' },
        7,
      ],
    },
  },
  // Several operations, operation names
  { query: 'query A { __typename } query B { b: __typename }', operationName: 'B' },
  { query: 'query A { __typename } query B { b: __typename }', operationName: 'C' },
  { query: 'query A { __typename } query B { b: __typename }', operationName: '' },
  { query: 'query A { __typename } query B { b: __typename }', operationName: null },
  { query: 'query A { __typename } query B { b: __typename }' },
  { query: 'query A { __typename } query A { b: __typename }', operationName: 'A' },
  { query: 'query A { __typename } { b: __typename }' },
  { query: 'query A { __typename }', operationName: 7 },
  { query: 'mutation M { __typename }' },
  { query: 'query A { __typename } mutation M { __typename }', operationName: 'M' },
  { query: 'fragment P on Query { __typename }' },
  // Unicode, white space, comments
  { query: '{ batchStatus(participantType: "véhicules 🚚", batchId: "ß/?#%") { id } }' },
  { query: '{ batchStatus(participantType: "\\u{1F69A}") { id } }' },
  { query: '{ batchStatus(participantType: "\\uD83D") { id } }' },
  { query: '\uFEFF{ __typename } # the end 🚚' },
  { query: '{\r\n  __typename,,,\r}' },
  { query: '{ batchStatus(participantType: """\n  vehicles\n  """) { id } }' },
  // What is no document, and no parameters
  { query: '' },
  { query: ' ' },
  { query: '#' },
  { query: '{' },
  { query: '{ a(b: "' },
  { query: 'type Query { a: Int }' },
  { query: null },
  { query: 7 },
  { query: ['{ __typename }'] },
  { query: '{ __typename }', extensions: { persistedQuery: { version: 1, sha256Hash: 'x' } } },
  { query: '{ __typename }', extensions: 'x' },
  { query: '{ __typename }', extensions: null },
  { query: '{ __typename }', more: 1 },
  { query: '{ __typename }', more: null },
  { query: '{a'.repeat(20_000) },
];

const BODIES = [
  ...DOCUMENTS.map((document) => JSON.stringify(document)),
  '{"query":"{ __typename }","query":"{ t: __typename }"}',
  '{"query":"{ __typename }","__proto__":{"a":1}}',
  '\uFEFF{"query":"{ __typename }"}',
  ' {"query":"{ __typename }"}\n',
  '{"query":"{ __typename }"} x',
  '{"query":',
  '[{"query":"{ __typename }"}]',
  '[]',
  '{}',
  'null',
  '7',
  '"{ __typename }"',
  '',
];

const ACCEPTS = [
  undefined,
  'application/graphql-response+json',
  'application/graphql-response+json, application/json;q=0.9',
  'application/json; charset=utf-8, application/graphql-response+json',
  'application/graphql-response+json;charset=iso-8859-1, application/json',
  'text/html, application/*',
];

/** A gateway on whose sandbox nothing changes, while waits between calls come to their end. */
async function startStillGateway() {
  const clock = new TestClock();
  const gateway = await startTestGateway({ environment: NO_COPIES, clock });
  for (const type of ['vehicles', 'drivers', 'operators']) {
    await gateway.query(STATUS_QUERY, { participantType: type, batchId: 'batch-running' });
  }
  clock.advance(60_000);
  clock.wallStandsStill = true;
  return {
    gateway,
    async send(lane: Lane, body: string, headers: Record<string, string> = {}) {
      const answer = await clock.elapse(sendThrough(lane, gateway, body, headers));
      // Until then nothing else of the participant type is asked for.
      if (answer.body.includes('UPSTREAM_RATE_LIMITED')) clock.advance(2_000);
      if (answer.body.includes('UPSTREAM_'))
        await clock.elapse(gateway.query(KEEPS_CIRCUIT_CLOSED));
      return answer;
    },
  };
}

test(`1: both lanes answer the same: ${BODIES.length} bodies, each with ${ACCEPTS.length} accept headers`, async () => {
  const { gateway, send } = await startStillGateway();
  await using _ = gateway;
  for (const body of BODIES) {
    for (const accept of ACCEPTS) {
      const headers = accept === undefined ? {} : { accept };
      const lean = await send('lean', body, headers);
      expect([body, accept, lean]).toEqual([body, accept, await send('yoga', body, headers)]);
    }
  }
  const lanes = lanesTaken(gateway, 'KeepsCircuitClosed').slice(3);
  const inLeanLane = lanes.filter((lane) => lane === 'lean').length;
  expect(lanes.filter((lane) => lane === 'yoga').length + inLeanLane).toBe(
    2 * BODIES.length * ACCEPTS.length,
  );
  expect(inLeanLane).toBe((BODIES.length - 10) * ACCEPTS.length);
});

test('1: what the lean lane does not know is answered by Yoga, whatever the media type', async () => {
  await using gateway = await startTestGateway();
  const body = '{"query":"{ __typename }"}';
  for (const accept of ['text/plain', 'text/event-stream', 'multipart/mixed', 'image/*;q=1']) {
    const lean = await sendThrough('lean', gateway, body, { accept });
    expect([accept, lean]).toEqual([accept, await sendThrough('yoga', gateway, body, { accept })]);
  }
  const subscription = '{"query":"subscription { __typename }"}';
  expect(await sendThrough('lean', gateway, subscription)).toEqual(
    await sendThrough('yoga', gateway, subscription),
  );
  expect(new Set(lanesTaken(gateway))).toEqual(new Set(['yoga']));
});

const GENERATED = 600;
test(`1: both lanes answer the same to ${GENERATED} documents made from the schema`, async () => {
  const { gateway, send } = await startStillGateway();
  await using _ = gateway;
  let withData = 0;
  await fc.assert(
    fc.asyncProperty(arbitraryRequest(createSubgraphSchema()), async (request) => {
      const body = JSON.stringify(request);
      const lean = await send('lean', body);
      expect(lean).toEqual(await send('yoga', body));
      if (lean.body.includes('"data":{')) withData += 1;
    }),
    { numRuns: GENERATED },
  );
  expect(withData).toBeGreaterThan(GENERATED / 4);
});

test('1: a call that takes too long is the same answer in both lanes', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock, environment: NO_COPIES });
  upstream.onStatus = () => undefined;
  const body = JSON.stringify({ query: STATUS_QUERY, variables: { participantType: 'vehicles' } });
  const answers = [];
  for (const lane of LANES) {
    const answer = sendThrough(lane, gateway, body);
    await upstream.statusCallCount(answers.length + 1);
    clock.advance(60_000);
    answers.push(await answer);
  }
  expect(answers[0]).toEqual(answers[1]);
  expect(answers[0]?.body).toContain('UPSTREAM_TIMEOUT');
});

const audits = LANES.flatMap((lane) => [
  { lane, header: 'with the CSRF header: all 61', extra: { 'graphql-require-preflight': '1' } },
  { lane, header: 'without the CSRF header: every MUST and SHOULD', extra: {} },
]);
test.each(audits)('1: the audits in the $lane lane, $header', async ({ lane, extra }) => {
  await using gateway = await startTestGateway();
  const results = await auditServer({
    url: gateway.endpoint.href,
    fetchFn: (url: string, init: RequestInit = {}) => {
      const headers = new Headers({ ...Object.fromEntries(new Headers(init.headers)), ...extra });
      const type = headers.get('content-type')?.replace('application/json', LANE_MEDIA_TYPES[lane]);
      if (type !== undefined) headers.set('content-type', type);
      return fetch(url, { ...init, headers });
    },
  });
  expect(results).toHaveLength(61);
  const optional = 'graphql-require-preflight' in extra ? [] : [expect.stringMatching(/^MAY /)];
  const failed = results.filter((result) => result.status !== 'ok').map(({ name }) => name);
  expect(failed).toEqual(failed.map(() => optional[0]));
  expect(new Set(lanesTaken(gateway)).has('lean')).toBe(lane === 'lean');
});

test('an answer that is kept is the same answer again, without a call, until its first copy ends', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = ({ target }) => ({
    body: {
      data: { status: target.includes('done') ? 'SUCCESS' : 'RUNNING', at: clock.now() },
      request: ECHO,
    },
  });
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: { STATUS_TTL_MS: '1000', STATUS_FINISHED_TTL_MS: '60000' },
  });
  const body = JSON.stringify({ query: `{ ${batch('done', 'data')} b: ${batch('b', 'data')} }` });
  const answer = (done: number, running: number) =>
    `{"data":{"batchStatus":{"data":{"status":"SUCCESS","at":${done}}},"b":{"data":{"status":"RUNNING","at":${running}}}}}`;

  expect((await sendThrough('lean', gateway, body)).body).toBe(answer(1_000, 1_000));
  expect((await sendThrough('lean', gateway, body)).body).toBe(answer(1_000, 1_000));
  clock.advance(999);
  expect(await sendThrough('lean', gateway, body)).toEqual(
    await sendThrough('yoga', gateway, body),
  );
  clock.advance(2);
  expect((await sendThrough('lean', gateway, body)).body).toBe(answer(1_000, 2_001));
  clock.advance(500);
  await sendThrough('lean', gateway, body);
  expect((await sendThrough('lean', gateway, body)).body).toBe(answer(1_000, 2_001));
  expect(lanesTaken(gateway)).toEqual(['lean', 'lean', 'kept', 'yoga', 'lean', 'lean', 'kept']);
  expect(upstream.statusCalls).toHaveLength(3);
});

test('an answer with an error is not kept, nor one to another body or media type', async () => {
  const clock = new TestClock();
  await using gateway = await startTestGateway({ clock });
  const good = JSON.stringify({ query: `{ ${batch('batch-finished')} }` });
  const bad = JSON.stringify({ query: `{ ${batch('batch-finished')} b: ${batch('fault-500')} }` });
  const none = JSON.stringify({ query: '{ __typename }' });
  for (const body of [bad, bad, none, none, good, good, good, `${good} `]) {
    await sendThrough('lean', gateway, body);
  }
  await sendThrough('lean', gateway, good, { accept: 'application/graphql-response+json' });
  expect(lanesTaken(gateway)).toEqual([
    ...['lean', 'lean', 'lean', 'lean', 'lean', 'kept', 'kept'],
    'lean',
    'lean',
  ]);
});
