import { expect, test } from 'vitest';
import { createDocuments } from '../../src/graphql/documents.ts';
import { createHandler } from '../../src/graphql/handler.ts';
import { createPlainDocuments } from '../../src/graphql/persisted-documents.ts';
import { createResponseCaches } from '../../src/graphql/response-cache.ts';
import { toCountingSchema } from '../../src/graphql/response-size.ts';
import { createSchema } from '../../src/graphql/schema/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { HeldMemory } from '../../src/lib/held-memory.ts';
import { Turns } from '../../src/lib/turns.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { logEvents } from '../../src/telemetry/log-events.ts';
import { STATUS_QUERY } from '../support/test-gateway.ts';

test('a fault of the gateway itself is masked, and logged with its cause and the same request id', async () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLog('info', destination);
  const cause = new Error('the cause');
  const handler = createHandler({
    documents: createDocuments({
      schema: createSchema(),
      createCountingSchema: () => toCountingSchema(createSchema()),
      limits: {
        maxTokens: 100,
        maxDepth: 10,
        maxAliases: 0,
        maxDirectives: 0,
        maxCost: 100,
        maxReferences: 5,
      },
      introspection: true,
    }),
    persistedDocuments: createPlainDocuments(),
    responseCache: createResponseCaches(systemClock).ofTenant('tenant-1'),
    heldMemory: new HeldMemory(64 * 1024 * 1024),
    liveOperations: undefined,
    statuses: { get: () => Promise.reject(new TypeError('canary: a bug', { cause })) },
    participantTypes: new Set(),
    maxBatches: 1,
    maxResponseBytes: 65_536,
    turns: new Turns(),
    forwardUserInfo: false,
    errorDetail: 'full',
    telemetry: logEvents(log, destination),
  });
  const answer = await handler.handle(
    {
      method: 'POST',
      headers: {},
      search: '',
      body: JSON.stringify({
        query: STATUS_QUERY,
        variables: { participantType: 'vehicles' },
      }),
    },
    { id: 'the-request', deadline: Number.POSITIVE_INFINITY, signal: new AbortController().signal },
    {
      principal: {
        tenantId: 'tenant-1',
        subject: undefined,
        name: undefined,
        scopes: new Set(),
        participantTypes: undefined,
        isRouter: false,
        isProvenRouter: false,
        expiresAt: undefined,
        cachePartition: '["tenant-1"]',
      },
      caller: { key: '["tenant-1"]', weight: 1 },
    },
  );
  if ('open' in answer) throw new Error('a query has one answer');

  expect([answer.status, JSON.parse(answer.serialize()), answer.summary.errorCodes]).toEqual([
    200,
    {
      data: { batchStatus: null },
      errors: [
        {
          message: 'Something went wrong in the gateway.',
          locations: [{ line: 2, column: 3 }],
          path: ['batchStatus'],
          extensions: {
            code: 'INTERNAL_SERVER_ERROR',
            retryable: false,
            requestId: 'the-request',
          },
        },
      ],
    },
    ['INTERNAL_SERVER_ERROR'],
  ]);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      level: 'error',
      time: expect.any(String),
      requestId: 'the-request',
      path: ['batchStatus'],
      err: {
        name: 'TypeError',
        message: 'canary: a bug',
        stack: expect.stringContaining('handler.test.ts'),
        cause: { name: 'Error', message: 'the cause', stack: expect.any(String) },
      },
      msg: 'masked error',
    },
  ]);
});
