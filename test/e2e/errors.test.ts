import { expect, test } from 'vitest';
import { ECHO, type ScriptedAnswer, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { STATUS_QUERY, startTestGateway, statusFailure, UUID } from '../support/test-gateway.ts';

const NO_ENVELOPE = { code: null, description: null, additionalInfo: null, request: null };

const sandboxFaults: [fault: string, message: string, extensions: object][] = [
  [
    'fault-400',
    'The batch request is malformed.',
    {
      code: 'BAD_USER_INPUT',
      retryable: false,
      upstream: {
        status: 400,
        code: '101100120001',
        description: 'The batch request is malformed.',
        additionalInfo: { field: 'batchId' },
      },
    },
  ],
  [
    'fault-401',
    'The identity of the client is unknown.',
    {
      code: 'UPSTREAM_UNAUTHENTICATED',
      retryable: false,
      upstream: {
        status: 401,
        code: '100100120002',
        description: 'The identity of the client is unknown.',
        additionalInfo: {},
      },
    },
  ],
  [
    'fault-403',
    'The client may not read this batch.',
    {
      code: 'UPSTREAM_FORBIDDEN',
      retryable: false,
      upstream: {
        status: 403,
        code: '101100120004',
        description: 'The client may not read this batch.',
        additionalInfo: {},
      },
    },
  ],
  [
    'fault-404',
    'The batch does not exist.',
    {
      code: 'NOT_FOUND',
      retryable: false,
      upstream: {
        status: 404,
        code: '101100120005',
        description: 'The batch does not exist.',
        additionalInfo: {},
      },
    },
  ],
  [
    'fault-429',
    'Too many requests.',
    {
      code: 'UPSTREAM_RATE_LIMITED',
      retryable: true,
      retryAfterMs: 2_000,
      upstream: {
        status: 429,
        code: '101100120006',
        description: 'Too many requests.',
        additionalInfo: {},
      },
    },
  ],
  [
    'fault-500',
    'The service failed.',
    {
      code: 'UPSTREAM_UNAVAILABLE',
      retryable: true,
      upstream: {
        status: 500,
        code: '101100120007',
        description: 'The service failed.',
        additionalInfo: {},
      },
    },
  ],
  [
    'fault-503',
    'The service is under maintenance.',
    {
      code: 'UPSTREAM_UNAVAILABLE',
      retryable: true,
      retryAfterMs: 5_000,
      upstream: {
        status: 503,
        code: '101100120008',
        description: 'The service is under maintenance.',
        additionalInfo: {},
      },
    },
  ],
];

for (const [fault, message, extensions] of sandboxFaults) {
  test(`30: ${fault} of the sandbox gives its code, with upstream filled from the envelope`, async () => {
    await using gateway = await startTestGateway({
      // The deadline is sooner than a Retry-After, which would be waited for.
      environment: { ERROR_DETAIL: 'public', REQUEST_DEADLINE_MS: '1900' },
    });
    expect(
      await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: fault }),
    ).toEqual(statusFailure(message, extensions));
  });
}

const badResponses: [fault: string, message: string, extensions: object][] = [
  ...['fault-html', 'fault-truncated', 'fault-empty'].map((fault): [string, string, object] => [
    fault,
    'The Participant Service answered something that is not its documented envelope.',
    { upstream: { status: 200, ...NO_ENVELOPE } },
  ]),
  ['fault-huge', 'The Participant Service answered more than the gateway reads.', {}],
];

for (const [fault, message, extensions] of badResponses) {
  test(`30: ${fault} of the sandbox is a bad response`, async () => {
    await using gateway = await startTestGateway();
    expect(
      await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: fault }),
    ).toEqual(
      statusFailure(message, { code: 'UPSTREAM_BAD_RESPONSE', retryable: true, ...extensions }),
    );
  });
}

test('30: fault-reset of the sandbox, and an upstream that is not there, are unavailable', async () => {
  const upstream = await startScriptedUpstream();
  await using sandboxed = await startTestGateway();
  await using gateway = await startTestGateway({ upstream });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  await upstream[Symbol.asyncDispose]();
  const unavailable = statusFailure('The Participant Service cannot be reached.', {
    code: 'UPSTREAM_UNAVAILABLE',
    retryable: true,
  });

  expect(
    await sandboxed.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'fault-reset' }),
  ).toEqual(unavailable);
  expect(
    await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'b-1' }),
  ).toEqual(unavailable);
});

test('30: a call without an answer ends at the time limit of the attempt', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock });
  upstream.onStatus = () => undefined;
  const answer = gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  await upstream.statusCallCount(1);
  clock.advance(2_000);

  expect(await answer).toEqual(
    statusFailure('The Participant Service did not answer in time.', {
      code: 'UPSTREAM_TIMEOUT',
      retryable: true,
    }),
  );
  await upstream.statusCalls[0]?.closed;
});

test('30: an answer that trickles ends at the same time limit', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock });
  upstream.onStatus = (_call, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{"data":');
    return undefined;
  };
  const answer = gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  await upstream.statusCallCount(1);
  clock.advance(2_000);

  expect(await answer).toEqual(
    statusFailure('The Participant Service did not answer in time.', {
      code: 'UPSTREAM_TIMEOUT',
      retryable: true,
    }),
  );
});

test('the deadline of a request ends what it still waits for, and what is there comes all the same', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: { REQUEST_DEADLINE_MS: '1000', UPSTREAM_TIMEOUT_MS: '2000' },
  });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'quick' });
  upstream.onStatus = () => undefined;
  const answer = gateway.query(`{
    quick: batchStatus(participantType: "vehicles", batchId: "quick") { status }
    slow: batchStatus(participantType: "vehicles", batchId: "slow") { status }
  }`);
  await upstream.statusCallCount(2);
  clock.advance(1_000);

  expect(await answer).toEqual({
    status: 200,
    body: {
      data: { quick: { status: 'IN_PROGRESS' }, slow: null },
      errors: [
        {
          message: 'The request took longer than 1000 ms.',
          locations: [{ line: 3, column: 5 }],
          path: ['slow'],
          extensions: { code: 'UPSTREAM_TIMEOUT', retryable: true, requestId: UUID },
        },
      ],
    },
  });
});

const statuses: [status: number, code: string, retryable: boolean][] = [
  [402, 'UPSTREAM_REJECTED', false],
  [409, 'UPSTREAM_REJECTED', false],
  [422, 'UPSTREAM_REJECTED', false],
  [408, 'UPSTREAM_TIMEOUT', true],
  [504, 'UPSTREAM_TIMEOUT', true],
  [502, 'UPSTREAM_UNAVAILABLE', true],
  [599, 'UPSTREAM_UNAVAILABLE', true],
];

for (const [status, code, retryable] of statuses) {
  test(`30: the status ${status} without an envelope is ${code}`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    upstream.onStatus = () => ({ status, body: '<h1>no</h1>' });
    expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
      statusFailure(`The Participant Service answered ${status} without saying why.`, {
        code,
        retryable,
        upstream: { status, ...NO_ENVELOPE, request: undefined },
      }),
    );
  });
}

test('36: a redirect is not followed, and the token goes nowhere', async () => {
  await using elsewhere = await startScriptedUpstream();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({ status: 302, headers: { location: elsewhere.url.href } });

  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
    statusFailure(
      'The Participant Service answered with a redirect, which the gateway does not follow.',
      {
        code: 'UPSTREAM_BAD_RESPONSE',
        retryable: true,
        upstream: { status: 302, code: null, description: null, additionalInfo: null },
      },
    ),
  );
  expect(elsewhere.statusCalls).toEqual([]);
});

const infos: unknown[] = [{ a: [1] }, ['x', null], 'text', 7, true, null];

for (const additionalInfo of infos) {
  test(`30: additionalInfo ${JSON.stringify(additionalInfo)} is passed on as it is`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    const error = { code: '101100000001', description: 'No.', additionalInfo };
    upstream.onStatus = () => ({ status: 400, body: { error, request: ECHO } });
    expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
      statusFailure('No.', {
        code: 'BAD_USER_INPUT',
        retryable: false,
        upstream: { status: 400, ...error },
      }),
    );
  });
}

const envelopes: [name: string, answer: ScriptedAnswer, upstream: object, message: string][] = [
  [
    "the seed's own example, every member empty and lower case",
    {
      status: 404,
      body: {
        error: { code: '', description: '', additionalinfo: {} },
        request: { uri: '', method: '', querystring: '', body: {} },
      },
    },
    {
      status: 404,
      code: null,
      description: null,
      additionalInfo: {},
      request: { uri: '', method: '', queryString: '', body: {} },
    },
    'The Participant Service answered 404 without saying why.',
  ],
  [
    'members in any case, and unknown ones',
    {
      status: 404,
      body: {
        Error: { Code: '101100000001', DESCRIPTION: 'Gone.', AdditionalInfo: null, more: 1 },
        REQUEST: { URI: '/x', Method: 'GET', QueryString: 'a=b', Body: null },
        extra: true,
      },
    },
    {
      status: 404,
      code: '101100000001',
      description: 'Gone.',
      additionalInfo: null,
      request: { uri: '/x', method: 'GET', queryString: 'a=b', body: null },
    },
    'Gone.',
  ],
  [
    'an error without anything in it',
    { status: 404, body: { error: {} } },
    { status: 404, ...NO_ENVELOPE },
    'The Participant Service answered 404 without saying why.',
  ],
];

for (const [name, answer, report, message] of envelopes) {
  test(`30: an error envelope with ${name}`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({
      upstream,
      environment: { ERROR_DETAIL: 'full' },
    });
    upstream.onStatus = () => answer;
    expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
      statusFailure(message, { code: 'NOT_FOUND', retryable: false, upstream: report }),
    );
  });
}

test("the error's requestId is the X-COREOS-REQUEST-ID of the failing call", async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({ status: 404 });
  const { body } = await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });

  expect(body).toHaveProperty(
    'errors.0.extensions.requestId',
    upstream.statusCalls[0]?.headers['x-coreos-request-id'],
  );
});

test('38: one failing alias leaves its siblings alone, and its error has its path', async () => {
  await using gateway = await startTestGateway({ environment: { ERROR_DETAIL: 'public' } });

  expect(
    await gateway.query(`{
      good: batchStatus(participantType: "vehicles", batchId: "batch-finished") { status }
      bad: batchStatus(participantType: "vehicles", batchId: "no-such-batch") { status }
    }`),
  ).toEqual({
    status: 200,
    body: {
      data: { good: { status: 'SUCCESS' }, bad: null },
      errors: [
        {
          message: 'The batch does not exist.',
          locations: [{ line: 3, column: 7 }],
          path: ['bad'],
          extensions: {
            code: 'NOT_FOUND',
            retryable: false,
            requestId: UUID,
            upstream: {
              status: 404,
              code: '101100110005',
              description: 'The batch does not exist.',
              additionalInfo: { batchId: 'no-such-batch' },
            },
          },
        },
      ],
    },
  });
});
