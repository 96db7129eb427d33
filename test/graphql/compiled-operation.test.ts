import { type GraphQLSchema, parse, validate } from 'graphql';
import { expect, test, vi } from 'vitest';
import type { Handler } from '../../src/core/answer.ts';
import { isCompilable } from '../../src/graphql/compiled-operation.ts';
import { createDocuments } from '../../src/graphql/documents.ts';
import { createHandler } from '../../src/graphql/handler.ts';
import { createPlainDocuments } from '../../src/graphql/persisted-documents.ts';
import { createResponseCaches } from '../../src/graphql/response-cache.ts';
import { toCountingSchema } from '../../src/graphql/response-size.ts';
import { createSubgraphSchema } from '../../src/graphql/schema/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { HeldMemory } from '../../src/lib/held-memory.ts';
import { parseJson } from '../../src/lib/json.ts';
import { Turns } from '../../src/lib/turns.ts';
import { type BatchStatus, toBatchStatus } from '../../src/status/status.ts';
import { UpstreamError } from '../../src/upstream/errors.ts';
import { type RandomDocument, randomDocument } from '../support/random-document.ts';
import { startTestGateway, UUID } from '../support/test-gateway.ts';

/** DOCUMENTS=100000 for `npm run test:documents`. */
const DOCUMENTS = Number(process.env['DOCUMENTS'] ?? 5_000);
/** Another one each time that so many are asked for, as there. */
const FIRST_SEED = DOCUMENTS > 5_000 ? Date.now() % 2 ** 31 : 1;

const DATA = parseJson(
  '{"meta":{"status":"RUNNING","success":1,"failed":2,"total":9007199254740993},"errors":[{"refID":"a","reason":"x"},{"refID":1.0}],"success":[{"id":"p-1","__typename":"X","then":{}}]}',
);

function statusOf(key: BatchStatus['key']): BatchStatus {
  return toBatchStatus({
    key,
    envelope: {
      data: key.batchId === 'done' ? Object(DATA) : {},
      request: { uri: '/x', method: 'GET', queryString: null, body: [{ n: 1 }] },
      jsonBytes: 1_000,
    },
    fetchedAt: new Date('2026-01-31T12:00:00.000Z'),
    size: 1,
    finishedStatuses: new Set(),
  });
}

/** The gateway's GraphQL over statuses that are at hand, of which some fail. */
function createTestHandler(schema: GraphQLSchema): Handler {
  const limits = {
    maxTokens: 10_000,
    maxDepth: 100,
    maxAliases: 1_000,
    maxDirectives: 1_000,
    maxCost: 1_000_000,
    maxReferences: 100,
  };
  return createHandler({
    documents: createDocuments({
      schema,
      createCountingSchema: () => toCountingSchema(createSubgraphSchema()),
      limits,
      introspection: true,
    }),
    persistedDocuments: createPlainDocuments(),
    responseCache: createResponseCaches(systemClock).ofTenant('tenant-1'),
    heldMemory: new HeldMemory(64 * 1024 * 1024),
    liveOperations: undefined,
    statuses: {
      async get(key) {
        const kind = { gone: 'not-found', down: 'unavailable' } as const;
        if (key.batchId !== 'gone' && key.batchId !== 'down') {
          const status = statusOf(key);
          return {
            status,
            source: 'fetched',
            freshUntil: 0,
            staleBecause: undefined,
            upstreamCalls: 0,
            upstreamRequestId: undefined,
          };
        }
        const error = new UpstreamError(kind[key.batchId], 'No.', { requestId: 'u' });
        return { error, upstreamCalls: 0 };
      },
    },
    participantTypes: new Set(),
    maxBatches: 20,
    maxResponseBytes: 2 ** 28,
    turns: new Turns(),
    forwardUserInfo: false,
    errorDetail: 'full',
    telemetry: {
      internalError({ error }) {
        throw error;
      },
    },
  });
}

const CONTEXT = {
  id: 'r',
  signal: new AbortController().signal,
  deadline: Number.POSITIVE_INFINITY,
};
const ASKER = {
  principal: {
    tenantId: 't',
    subject: undefined,
    name: undefined,
    scopes: new Set<string>(),
    participantTypes: undefined,
    isRouter: true,
    isProvenRouter: false,
    expiresAt: undefined,
    cachePartition: '[]',
  },
  caller: { key: '[]', weight: 1 },
};

/** How often a compiled operation was run. */
let compiledRuns = 0;
vi.mock('graphql-jit', async (importOriginal) => {
  const original = await importOriginal<typeof import('graphql-jit')>();
  return {
    ...original,
    compileQuery(...of: Parameters<typeof original.compileQuery>) {
      const compiled = original.compileQuery(...of);
      if (!('query' in compiled)) return compiled;
      const { query } = compiled;
      compiled.query = (...input) => {
        compiledRuns += 1;
        return query(...input);
      };
      return compiled;
    },
  };
});

/** Lets what came for the second time be compiled. */
async function compilation(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The bytes of the answers to one request, made four times: by the executor, and then compiled if it can be. */
async function fourAnswers(handler: Handler, { query, variables }: RandomDocument) {
  const request = {
    method: 'POST',
    headers: {},
    search: '',
    body: JSON.stringify({ query, variables }),
  };
  const answers: string[] = [];
  for (let time = 0; time < 4; time += 1) {
    const answer = await handler.handle(request, CONTEXT, ASKER);
    if ('open' in answer) throw new Error('a query has one answer');
    answers.push(answer.serialize());
    if (time === 1) await compilation();
  }
  return answers;
}

test(`68: ${DOCUMENTS} generated documents have one answer each, byte for byte, however often they are asked`, async () => {
  const schema = createSubgraphSchema();
  const handler = createTestHandler(schema);
  compiledRuns = 0;
  let valid = 0;
  let compiled = 0;
  let erroneous = 0;
  for (let seed = FIRST_SEED; valid < DOCUMENTS; seed += 1) {
    const request = randomDocument(schema, seed);
    const document = parse(request.query);
    if (validate(schema, document).length > 0) continue;
    valid += 1;
    const [first, ...others] = await fourAnswers(handler, request);
    if (others.some((answer) => answer !== first)) {
      expect.fail(`seed ${seed}: ${JSON.stringify(request)}\n${[first, ...others].join('\n')}`);
    }
    if (isCompilable(document)) compiled += 1;
    if (first?.startsWith('{"errors"')) erroneous += 1;
  }
  const summary = `${valid} documents, ${compiled} of them compiled, ${erroneous} answers with errors: no difference.\n`;
  if (process.env['DOCUMENTS'] !== undefined) process.stdout.write(summary);
  // There is enough of each.
  expect(compiled).toBeGreaterThan(valid / 5);
  // Twice each, but where the variables are faulty.
  expect(compiledRuns).toBeGreaterThan(1.8 * compiled);
  expect(erroneous).toBeGreaterThan(valid / 20);
  expect(globalThis).not.toHaveProperty('compiled');
}, 1_200_000);

const BATCH = 'batchStatus(participantType: "vehicles", batchId: "batch-failed")';
const F = 'fragment F on BatchStatus { status }';
/** What graphql-jit gets wrong, and the right answers: by graphql's specification, in the order of the document. */
const hazards: [name: string, query: string, variables: object, data: string][] = [
  [
    'a condition on one of two spreads of a fragment',
    `query ($a: Boolean!) { x: ${BATCH} { ...F @include(if: $a) } y: ${BATCH} { ...F } } ${F}`,
    { a: false },
    '{"x":{},"y":{"status":"FAILED"}}',
  ],
  [
    'the same fragment with a condition and without',
    `query ($a: Boolean!) { ${BATCH} { ...F @include(if: $a) ...F } } ${F}`,
    { a: false },
    '{"batchStatus":{"status":"FAILED"}}',
  ],
  [
    'a fragment that two others reach',
    `query ($a: Boolean!) { ${BATCH} { ...G @skip(if: $a) ...H } } fragment G on BatchStatus { ...F finished } fragment H on BatchStatus { ...F } ${F}`,
    { a: true },
    '{"batchStatus":{"status":"FAILED"}}',
  ],
  [
    'a condition on one of two equal fields',
    `query ($a: Boolean!) { ${BATCH} { status @include(if: $a) status } }`,
    { a: false },
    '{"batchStatus":{"status":"FAILED"}}',
  ],
  [
    'conditions on inline fragments around one field',
    `query ($a: Boolean!) { ${BATCH} { ... @include(if: $a) { status finished } ... @skip(if: $a) { status } } }`,
    { a: false },
    '{"batchStatus":{"status":"FAILED"}}',
  ],
  [
    'names that objects inherit',
    `{ __proto__: ${BATCH} { constructor: status toString: __typename __proto__: finished } toJSON: __typename }`,
    {},
    '{"__proto__":{"constructor":"FAILED","toString":"BatchStatus","__proto__":true},"toJSON":"Query"}',
  ],
  [
    'variables and operations with such names',
    `query valueOf($constructor: ID, $toString: ID) { a: batchStatus(participantType: "vehicles", batchId: $constructor) { batchId } b: batchStatus(participantType: "vehicles", batchId: $toString) { batchId } }`,
    { constructor: 'batch-failed' },
    '{"a":{"batchId":"batch-failed"},"b":{"batchId":null}}',
  ],
  [
    'keys in the order of the document',
    `{ b: __typename ${BATCH} { ...F id status finished } a: __typename } ${F}`,
    {},
    '{"b":"Query","batchStatus":{"status":"FAILED","id":"vehicles/batch-failed","finished":true},"a":"Query"}',
  ],
  [
    'a defaulted variable that is left out',
    `query ($t: String = "vehicles", $n: Int = 1) { batchStatus(participantType: $t, batchId: "batch-failed") { failures(first: $n) { edges { node { refId } } } } }`,
    {},
    '{"batchStatus":{"failures":{"edges":[{"node":{"refId":"row-1"}}]}}}',
  ],
  [
    'null for a defaulted variable of a nullable argument',
    `query ($n: Int = 1) { ${BATCH} { failures(first: $n) { edges { node { refId } } } } }`,
    { n: null },
    '{"batchStatus":{"failures":{"edges":[{"node":{"refId":"row-1"}},{"node":{"refId":"row-2"}}]}}}',
  ],
];

test.each(hazards)(
  '68: %s: one answer, the first time and every other',
  async (_name, query, variables, data) => {
    await using gateway = await startTestGateway({ environment: { STATUS_FINISHED_TTL_MS: '0' } });
    const answers: string[] = [];
    for (let time = 0; time < 3; time += 1) {
      const response = await fetch(gateway.endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
      });
      answers.push(await response.text());
      await compilation();
    }
    expect(answers).toEqual(Array.from({ length: 3 }, () => `{"data":${data}}`));
  },
);

test.each([
  [
    'a condition',
    `query ($b: Boolean = true) { ${BATCH} { id status @include(if: $b) } }`,
    { b: null },
    'Argument "if" of non-null type "Boolean!" must not be null.',
  ],
  [
    'an argument',
    'query ($b: String = "vehicles") { batchStatus(participantType: $b) { id } }',
    { b: null },
    'Argument "participantType" of non-null type "String!" must not be null.',
  ],
])(
  '68: null for a defaulted variable of %s that takes none is an error each time',
  async (_name, query, variables, message) => {
    await using gateway = await startTestGateway();
    for (let time = 0; time < 3; time += 1, await compilation()) {
      expect(await gateway.query(query, variables)).toEqual({
        status: 200,
        body: {
          data: { batchStatus: null },
          errors: [
            {
              message,
              locations: expect.any(Array),
              path: ['batchStatus'],
              extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: UUID },
            },
          ],
        },
      });
    }
  },
);

test('68: errors come in the order of the document', async () => {
  await using gateway = await startTestGateway();
  const query = `{
    a: batchStatus(participantType: "vehicles", batchId: "fault-404") { id }
    b: batchStatus(participantType: "") { id }
    c: batchStatus(participantType: "vehicles", batchId: "batch-failed") { failures(first: -1) { totalCount } }
    d: batchStatus(participantType: "vehicles", batchId: "fault-403") { id }
  }`;
  for (let time = 0; time < 3; time += 1, await compilation()) {
    const { body } = await gateway.query(query);
    const { errors } = JSON.parse(JSON.stringify(body));
    expect(errors.map(({ path }: { path: unknown[] }) => path.join('.'))).toEqual([
      ...['a', 'b', 'c.failures', 'd'],
    ]);
  }
});

test('68: a text of a query is never run as code (API8:2023)', async () => {
  await using gateway = await startTestGateway();
  // A mark of graphql-jit's, behind which it would stand in the code of the compiled query.
  const mark = '__MAGIC_DATE__33a9e76d_02e0_4128_8e92_3530ad3da74d';
  const query = `{ batchStatus(participantType: "vehicles", batchId: "${mark}globalThis.ranAsCode=true") { id } }`;
  for (let time = 0; time < 3; time += 1, await compilation()) {
    const { body } = await gateway.query(query);
    expect(body).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  }
  expect(globalThis).not.toHaveProperty('ranAsCode');
});

test('68: a variable whose value graphql would lose is refused', async () => {
  await using gateway = await startTestGateway();
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    // As text: in an object literal this name would be the prototype.
    body: `{"query":${JSON.stringify('query ($__proto__: ID) { batchStatus(participantType: "vehicles", batchId: $__proto__) { id } }')},"variables":{"__proto__":"batch-failed"}}`,
  });
  expect(await response.json()).toEqual({
    errors: [
      {
        message: 'A variable cannot be named "__proto__": choose another name.',
        locations: [{ line: 1, column: 8 }],
        extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: UUID },
      },
    ],
  });
});
