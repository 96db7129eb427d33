import { expect, test } from 'vitest';
import {
  type BrokenGateway,
  circuitLog,
  failure,
  QUERY,
  startBroken,
  status,
} from '../support/broken-upstream.ts';
import type { ScriptedAnswer } from '../support/scripted-upstream.ts';
import { UUID } from '../support/test-gateway.ts';

/** A copy of `seen`, 5 s old. */
async function startWithCopy(environment: Record<string, string> = {}) {
  const broken = await startBroken(environment);
  broken.clock.wallStandsStill = true;
  const fetchedAt = broken.clock.date().toISOString();
  expect(await broken.ask('seen')).toEqual(status('seen', fetchedAt));
  broken.clock.wallStandsStill = false;
  broken.clock.advance(5_000);
  broken.upstream.statusCalls.length = 0;
  return { ...broken, fetchedAt };
}

/** The last request's line, as far as it is about stale statuses. */
function lastLine({ gateway }: Pick<BrokenGateway, 'gateway'>) {
  const lines = gateway.logLines.map((line) => JSON.parse(line));
  const { codes, staleStatuses, staleBecause } = lines.findLast(({ msg }) => msg === 'request');
  return { codes, staleStatuses, staleBecause };
}

type Failure = [name: string, fail: (broken: BrokenGateway) => unknown, reason: object];
const failures: Failure[] = [
  ...[500, 502, 503].map(
    (code): Failure => [
      `answers ${code}`,
      ({ upstream }) => {
        upstream.onStatus = () => ({ status: code });
      },
      { code: 'UPSTREAM_UNAVAILABLE', upstreamStatus: code, upstreamRequestId: UUID },
    ],
  ),
  ...[408, 504].map(
    (code): Failure => [
      `answers ${code}`,
      ({ upstream }) => {
        upstream.onStatus = () => ({ status: code });
      },
      { code: 'UPSTREAM_TIMEOUT', upstreamStatus: code, upstreamRequestId: UUID },
    ],
  ),
  [
    'refuses connections',
    ({ proxy }) => proxy.refuse(),
    { code: 'UPSTREAM_UNAVAILABLE', upstreamRequestId: UUID },
  ],
  [
    'resets connections',
    ({ proxy }) => {
      proxy.fault = 'reset';
    },
    { code: 'UPSTREAM_UNAVAILABLE', upstreamRequestId: UUID },
  ],
  [
    'hangs',
    ({ proxy }) => {
      proxy.fault = 'hang';
    },
    { code: 'UPSTREAM_TIMEOUT', upstreamRequestId: UUID },
  ],
  [
    'asks for patience',
    ({ upstream }) => {
      upstream.onStatus = () => ({ status: 429, headers: { 'retry-after': '2' } });
    },
    { code: 'UPSTREAM_RATE_LIMITED', upstreamStatus: 429, upstreamRequestId: UUID },
  ],
  [
    'asks for patience without saying for how long',
    ({ upstream }) => {
      upstream.onStatus = () => ({ status: 429 });
    },
    { code: 'UPSTREAM_RATE_LIMITED', upstreamStatus: 429, upstreamRequestId: UUID },
  ],
  [
    'answers with HTML',
    ({ upstream }) => {
      upstream.onStatus = () => ({ body: '<html>' });
    },
    { code: 'UPSTREAM_BAD_RESPONSE', upstreamStatus: 200, upstreamRequestId: UUID },
  ],
  [
    'redirects',
    ({ upstream }) => {
      upstream.onStatus = () => ({ status: 302, headers: { location: 'https://example.com/' } });
    },
    { code: 'UPSTREAM_BAD_RESPONSE', upstreamStatus: 302, upstreamRequestId: UUID },
  ],
  [
    'answers more than is read',
    ({ upstream }) => {
      upstream.onStatus = () => ({ body: 'x'.repeat(2 * 1024 * 1024) });
    },
    { code: 'UPSTREAM_BAD_RESPONSE', upstreamRequestId: UUID },
  ],
];

test.each(failures)(
  '92: when the upstream %s, the very first answer is the copy, marked as stale, and the log says why',
  async (_name, fail, reason) => {
    await using broken = await startWithCopy();
    await fail(broken);
    for (let time = 0; time < 2; time += 1) {
      expect(await broken.ask('seen')).toEqual(status('seen', broken.fetchedAt, true));
    }
    const [first] = broken.gateway.logLines
      .map((line) => JSON.parse(line))
      .filter(({ staleStatuses }) => staleStatuses !== undefined);
    expect(first).toMatchObject({ codes: [], staleStatuses: 1 });
    expect(first.staleBecause).toEqual([reason]);
    expect(circuitLog(broken.gateway.logLines)).toEqual([]);
  },
);

test('92: without a copy it is the error, and a copy that is too old is none', async () => {
  await using broken = await startWithCopy({ STATUS_STALE_MS: '6000' });
  const { upstream, clock, ask } = broken;
  upstream.onStatus = () => ({ status: 500 });
  const unavailable = failure('The Participant Service answered 500 without saying why.', {
    code: 'UPSTREAM_UNAVAILABLE',
    upstream: expect.objectContaining({ status: 500 }),
  });
  expect(await ask('never seen')).toEqual(unavailable);
  expect(await ask('seen')).toEqual(status('seen', broken.fetchedAt, true));
  clock.advance(1_001);
  expect(await ask('seen')).toEqual(unavailable);
});

test('92: a gateway whose own request takes too long serves the copy, too', async () => {
  await using broken = await startWithCopy({
    REQUEST_DEADLINE_MS: '500',
    UPSTREAM_TIMEOUT_MS: '2000',
  });
  broken.proxy.fault = 'hang';
  expect(await broken.ask('seen')).toEqual(status('seen', broken.fetchedAt, true));
  expect(lastLine(broken)).toEqual({
    codes: [],
    staleStatuses: 1,
    staleBecause: [{ code: 'UPSTREAM_TIMEOUT' }],
  });
});

test('92: an upstream that is well again is asked again at once, and its answer is no copy', async () => {
  await using broken = await startWithCopy();
  const { upstream, ask } = broken;
  const { onStatus } = upstream;
  upstream.onStatus = () => ({ status: 500 });
  expect(await ask('seen')).toEqual(status('seen', broken.fetchedAt, true));
  upstream.onStatus = onStatus;
  expect(await ask('seen')).toEqual(status('seen', expect.any(String), false));
  expect(upstream.statusCalls).toHaveLength(2);
});

test.each([
  [400, 'BAD_USER_INPUT'],
  [403, 'UPSTREAM_FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [410, 'UPSTREAM_REJECTED'],
])(
  '92: %i drops the copy: it is not served even when the upstream fails later',
  async (code, errorCode) => {
    await using broken = await startWithCopy();
    const { upstream, ask } = broken;
    upstream.onStatus = () => ({ status: code });
    expect(await ask('seen')).toMatchObject({
      body: { data: { batchStatus: null }, errors: [{ extensions: { code: errorCode } }] },
    });
    upstream.onStatus = () => ({ status: 500 });
    expect(await ask('seen')).toMatchObject({
      body: {
        data: { batchStatus: null },
        errors: [{ extensions: { code: 'UPSTREAM_UNAVAILABLE' } }],
      },
    });
  },
);

test('92: 401 keeps the copy, but does not serve it', async () => {
  await using broken = await startWithCopy();
  const { upstream, ask } = broken;
  upstream.onStatus = () => ({ status: 401 });
  expect(await ask('seen')).toMatchObject({
    body: {
      data: { batchStatus: null },
      errors: [{ extensions: { code: 'UPSTREAM_UNAUTHENTICATED' } }],
    },
  });
  upstream.onStatus = () => ({ status: 500 });
  expect(await ask('seen')).toEqual(status('seen', broken.fetchedAt, true));
});

test('43: after the end of the token, with its endpoint down, the copy is served, and TOKEN_UNAVAILABLE where there is none', async () => {
  await using broken = await startBroken({ STATUS_STALE_MS: '3600000' });
  const { clock, upstream, ask } = broken;
  clock.advance(3_590_000);
  // Renewed ahead of its end, so this is asked for with a token of 5 s.
  upstream.onToken = () => ({ body: { data: { accessToken: 'short', expiresIn: 5 } } });
  clock.advance(10_000);
  await ask('seen');
  upstream.onToken = () => ({ status: 503 });
  clock.advance(10_000);
  expect(await ask('seen')).toEqual(status('seen', expect.any(String), true));
  expect(lastLine(broken)).toEqual({
    codes: [],
    staleStatuses: 1,
    staleBecause: [{ code: 'TOKEN_UNAVAILABLE', upstreamRequestId: UUID }],
  });
  expect(await ask('never seen')).toMatchObject({
    body: { errors: [{ extensions: { code: 'TOKEN_UNAVAILABLE' } }] },
  });
});

test('92: credentials that are refused serve no copy', async () => {
  await using broken = await startBroken({ STATUS_STALE_MS: '3600000' });
  const { clock, upstream, ask } = broken;
  await ask('seen');
  upstream.onToken = () => ({ status: 401 });
  clock.advance(3_599_000);
  clock.advance(600);
  upstream.onStatus = () => ({ status: 401 });
  expect(await ask('seen')).toMatchObject({
    body: { errors: [{ extensions: { code: 'UPSTREAM_UNAUTHENTICATED' } }] },
  });
});

const BY_TYPE = `query ($type: String!, $id: ID) {
  batchStatus(participantType: $type, batchId: $id) { id stale }
}`;

test('92: while a Retry-After of a 429 runs, nobody asks for that participant type, and others do', async () => {
  await using broken = await startWithCopy();
  const { clock, upstream, gateway, ask } = broken;
  const well = upstream.onStatus;
  const limited: ScriptedAnswer = { status: 429, headers: { 'retry-after': '30' } };
  upstream.onStatus = (call, response) =>
    call.target.includes('/vehicles/') ? limited : well(call, response);
  expect(await ask('other')).toEqual(
    failure('The Participant Service answered 429 without saying why.', {
      code: 'UPSTREAM_RATE_LIMITED',
      retryAfterMs: 30_000,
      upstream: expect.objectContaining({ status: 429 }),
    }),
  );
  upstream.onStatus = well;
  upstream.statusCalls.length = 0;

  clock.advance(10_000);
  const begun = clock.now();
  const { body } = await gateway.query(QUERY, { batchId: 'yet-another' });
  expect(body).toEqual(
    failure(
      'The Participant Service asks for patience: the gateway waits until it may ask again for this participant type.',
      { code: 'UPSTREAM_RATE_LIMITED', retryAfterMs: expect.any(Number) },
    ).body,
  );
  const { errors } = JSON.parse(JSON.stringify(body));
  // Some of the 30 s have gone by while the first answer was on its way.
  expect(errors[0].extensions.retryAfterMs).toBeLessThanOrEqual(20_000);
  expect(errors[0].extensions.retryAfterMs).toBeGreaterThan(19_900);
  expect(await gateway.query(QUERY, { batchId: 'seen' })).toEqual(
    status('seen', broken.fetchedAt, true),
  );
  expect(clock.now()).toBe(begun);
  expect(lastLine(broken)).toEqual({
    codes: [],
    staleStatuses: 1,
    staleBecause: [{ code: 'UPSTREAM_RATE_LIMITED' }],
  });
  expect(upstream.statusCalls).toEqual([]);

  expect(await clock.elapse(gateway.query(BY_TYPE, { type: 'drivers', id: 'd' }))).toEqual({
    status: 200,
    body: { data: { batchStatus: { id: 'drivers/d', stale: false } } },
  });
  clock.advance(20_000);
  expect(await ask('yet-another')).toEqual(status('yet-another'));
});

test('92: who has no copy waits for a short Retry-After, and so do others of the same batch', async () => {
  await using broken = await startWithCopy();
  const { clock, upstream, gateway } = broken;
  const well = upstream.onStatus;
  upstream.onStatus = (call, response) =>
    upstream.statusCalls.length === 1
      ? { status: 429, headers: { 'retry-after': '2' } }
      : well(call, response);
  const first = gateway.query(QUERY, { batchId: 'new' });
  await upstream.statusCallCount(1);
  await upstream.statusCalls[0]?.closed;
  // By the time that these are answered, the gateway has the answer that is out.
  for (let round = 0; round < 5; round += 1) {
    await (await fetch(new URL('/livez', gateway.url))).text();
  }
  const begun = clock.now();
  const second = gateway.query(QUERY, { batchId: 'new' });
  expect(await clock.elapse(Promise.all([first, second]))).toEqual([status('new'), status('new')]);
  expect(clock.now() - begun).toBeGreaterThanOrEqual(2_000);
  expect(upstream.statusCalls).toHaveLength(2);
});

test('92: who has a copy does not wait for a Retry-After', async () => {
  await using broken = await startWithCopy();
  const { clock, upstream, ask } = broken;
  upstream.onStatus = () => ({ status: 503, headers: { 'retry-after': '2' } });
  const begun = clock.now();
  expect(await ask('seen')).toEqual(status('seen', broken.fetchedAt, true));
  expect(clock.now() - begun).toBeLessThan(1_000);
  expect(upstream.statusCalls).toHaveLength(1);
});

test('92: a shorter Retry-After that comes later does not end the longer one', async () => {
  await using broken = await startWithCopy();
  const { clock, upstream, gateway, ask } = broken;
  const slow = Promise.withResolvers<void>();
  upstream.onStatus = async ({ target }) => {
    if (target.endsWith('slow')) await slow.promise;
    return { status: 429, headers: { 'retry-after': target.endsWith('slow') ? '0' : '60' } };
  };
  const first = gateway.query(QUERY, { batchId: 'slow' });
  await upstream.statusCallCount(1);
  await ask('fast');
  slow.resolve();
  await clock.elapse(first);
  expect(await ask('third')).toMatchObject({
    body: { errors: [{ extensions: { code: 'UPSTREAM_RATE_LIMITED' } }] },
  });
  expect(upstream.statusCalls).toHaveLength(2);
});
