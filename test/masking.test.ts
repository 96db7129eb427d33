import { expect, test } from 'vitest';
import { createAccess } from '../src/callers/access.ts';
import { systemClock } from '../src/clock.ts';
import { createSchema } from '../src/graphql/schema.ts';
import { createGraphQLServer } from '../src/graphql/yoga.ts';
import { createAdmission } from '../src/http/admission.ts';
import { createBrowserPolicy } from '../src/http/browsers.ts';
import { createClientAddress } from '../src/http/client-address.ts';
import { createFrontDoor } from '../src/http/front-door.ts';
import { createLog } from '../src/log.ts';
import type { BatchStatusCache } from '../src/participants/batch-status-cache.ts';
import { parseSettings } from '../src/settings.ts';
import { STATUS_QUERY, UUID } from './support/test-gateway.ts';

test('a fault of the gateway itself is masked, and logged with its cause and the same request id', async () => {
  const cause = new Error('the cause');
  const cache: BatchStatusCache = {
    get: () => Promise.reject(new TypeError('canary: a bug', { cause })),
  };
  const { limits, requestMaxBytes, sockets } = parseSettings({}, () => true);
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });
  const frontDoor = createFrontDoor({
    tenantId: 'tenant-1',
    endpoint: '/graphql',
    graphql: createGraphQLServer({
      endpoint: '/graphql',
      schema: createSchema(),
      cache,
      participantTypes: new Set(),
      introspection: true,
      forwardUserInfo: false,
      limits,
      persistedDocuments: undefined,
      errorDetail: 'full',
      log,
    }),
    graphiql: undefined,
    readiness: {},
    access: createAccess({
      tokens: undefined,
      requiredScopes: [],
      router: { secret: undefined, scope: undefined },
      forwardUserInfo: false,
    }),
    loopbackOnly: true,
    browsers: createBrowserPolicy({ corsOrigins: new Set(), getQueries: true }),
    clock: systemClock,
    log,
    clientAddress: createClientAddress([]),
    rateLimit: undefined,
    admission: createAdmission(1),
    sockets,
    deadlineMs: 5_000,
    requestMaxBytes,
  });
  const origin = await frontDoor.listen('127.0.0.1', 0);
  const response = await fetch(new URL('/graphql', origin), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: STATUS_QUERY, variables: { participantType: 'vehicles' } }),
  });
  const requestId = response.headers.get('x-request-id');
  const body = await response.json();
  await frontDoor.drain(0, 1_000);

  expect([response.status, body]).toEqual([
    200,
    {
      data: { batchStatus: null },
      errors: [
        {
          message: 'Something went wrong in the gateway.',
          locations: [{ line: 2, column: 3 }],
          path: ['batchStatus'],
          extensions: { code: 'INTERNAL_SERVER_ERROR', retryable: false, requestId },
        },
      ],
    },
  ]);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      level: 'error',
      time: expect.any(String),
      requestId,
      path: ['batchStatus'],
      err: {
        name: 'TypeError',
        message: 'canary: a bug',
        stack: expect.stringContaining('masking.test.ts'),
        cause: { name: 'Error', message: 'the cause', stack: expect.any(String) },
      },
      msg: 'masked error',
    },
    expect.objectContaining({
      requestId: UUID,
      codes: ['INTERNAL_SERVER_ERROR'],
      status: 200,
      msg: 'request',
    }),
  ]);
});
