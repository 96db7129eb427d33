import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { type EventStream, openStream } from '../support/event-stream.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway, type TestGateway, UUID } from '../support/test-gateway.ts';
import { turns } from '../support/turns.ts';

const UPDATES = `subscription Updates($batches: [BatchStatusKey!]!) {
  batchStatusUpdates(batches: $batches) {
    batchId
    batchStatus { status successCount stale }
  }
}`;

const vehicles = (...ids: string[]) => ({
  batches: ids.map((batchId) => ({ participantType: 'vehicles', batchId })),
});

/** A gateway on a clock that stands still, and an upstream whose batches are as the test says. */
async function startLive(environment: Record<string, string> = {}) {
  const clock = new TestClock();
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startScriptedUpstream());
  /** By id; a number is a count of successes of a batch of 3. */
  const batches = new Map<string, unknown>();
  let isDown = false;
  upstream.onStatus = ({ target }) => {
    const id = target.split('batchId=')[1] ?? '';
    if (isDown) return { status: 503, body: {} };
    const batch = batches.get(id);
    if (batch === undefined) {
      return { status: 404, body: { error: { code: '1', description: 'No such batch.' } } };
    }
    const data = typeof batch === 'number' ? toData(batch) : batch;
    return { body: { data, request: ECHO } };
  };
  const gateway = stack.use(
    await startTestGateway({
      upstream,
      clock,
      environment: { TRUSTED_PROXIES: '127.0.0.1,::1', ...environment },
    }),
  );
  const follow = async (variables: object, headers: Record<string, string> = {}) =>
    stack.use(await openStream(gateway, { query: UPDATES, variables, headers }));
  return {
    clock,
    upstream,
    gateway,
    batches,
    follow,
    setDown: (down: boolean) => {
      isDown = down;
    },
    /** Lets time pass until the next poll. Resolves to how long that was, in milliseconds. */
    async poll(): Promise<number> {
      const from = clock.now();
      await clock.elapse(upstream.statusCallCount(upstream.statusCalls.length + 1));
      return clock.now() - from;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function toData(successCount: number) {
  const status = successCount === 3 ? 'SUCCESS' : 'IN_PROGRESS';
  return { status, totalCount: 3, successCount, failureCount: 0 };
}

function update(batchId: string, successCount: number, stale = false) {
  const status = successCount === 3 ? 'SUCCESS' : 'IN_PROGRESS';
  return {
    data: { batchStatusUpdates: { batchId, batchStatus: { status, successCount, stale } } },
  };
}

function failed(batchId: string, message: string, extensions: object) {
  return {
    data: { batchStatusUpdates: { batchId, batchStatus: null } },
    errors: [
      {
        message,
        locations: [{ line: 4, column: 5 }],
        path: ['batchStatusUpdates', 'batchStatus'],
        extensions: { requestId: expect.any(String), ...extensions },
      },
    ],
  };
}

/** Resolves when nothing of this process that a test waits for is under way. */
async function untilQuiet(isQuiet: () => boolean): Promise<void> {
  while (!isQuiet()) await turns(1);
}

interface EndOfStream {
  reason: string;
  events: number;
  skipped: number;
}

function streamsEnded({ logLines }: TestGateway): EndOfStream[] {
  return logLines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'stream ended');
}

test('a subscription tells the present status of each batch, then each change, and completes when all are finished', async () => {
  await using live = await startLive();
  live.batches.set('a', 1).set('b', 3);

  const stream = await live.follow(vehicles('a', 'b'));
  expect([stream.status, stream.headers.get('content-type')]).toEqual([
    200,
    'text/event-stream; charset=utf-8',
  ]);
  expect([stream.headers.get('x-accel-buffering'), stream.headers.get('cache-control')]).toEqual([
    'no',
    'no-store',
  ]);
  const first = [await stream.data(), await stream.data()];
  expect(first).toEqual(expect.arrayContaining([update('a', 1), update('b', 3)]));
  // Nothing has changed: nothing is told.
  await live.poll();
  live.batches.set('a', 2);
  await live.poll();
  expect(await stream.data()).toEqual(update('a', 2));
  live.batches.set('a', 3);
  await live.poll();
  expect(await stream.rest()).toBe(
    `id: 4\nevent: next\ndata: ${JSON.stringify(update('a', 3))}\n\nevent: complete\ndata:\n\n`,
  );
  await untilQuiet(() => streamsEnded(live.gateway).length === 1);
  expect(streamsEnded(live.gateway)).toMatchObject([{ reason: 'complete', events: 4, skipped: 0 }]);
});

test('55: however many follow a batch, one upstream call is made in an interval, also for who asks with a query', async () => {
  await using live = await startLive();
  live.batches.set('a', 0);
  const streams = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      live.follow(vehicles('a'), { 'x-forwarded-for': `198.51.100.${index}` }),
    ),
  );
  const told = (count: number) =>
    Promise.all(streams.map((stream) => stream.data())).then((all) =>
      expect(all).toEqual(streams.map(() => update('a', count))),
    );
  await told(0);
  for (const count of [1, 2]) {
    live.batches.set('a', count);
    await live.poll();
    await told(count);
  }
  expect(live.upstream.statusCalls.length).toBe(3);

  // A query that fetches is a poll, too: it is passed on at once, and the next poll comes an interval later.
  live.batches.set('a', 3);
  live.clock.advance(899);
  expect(live.upstream.statusCalls.length).toBe(3);
  await live.gateway.query('{ batchStatus(participantType: "vehicles", batchId: "a") { status } }');
  expect(live.upstream.statusCalls.length).toBe(3);
  live.clock.advance(101);
  await told(3);
  expect(live.upstream.statusCalls.length).toBe(4);
});

test('what a query fetches is passed on to who follows, and counts as a poll', async () => {
  await using live = await startLive({ STATUS_TTL_MS: '0', FOLLOW_MIN_MS: '5000' });
  live.batches.set('a', 1);
  const stream = await live.follow(vehicles('a'));
  expect(await stream.data()).toEqual(update('a', 1));

  live.clock.advance(3_000);
  live.batches.set('a', 2);
  await live.gateway.query('{ batchStatus(participantType: "vehicles", batchId: "a") { status } }');
  expect(await stream.data()).toEqual(update('a', 2));
  expect(live.upstream.statusCalls.length).toBe(2);
  live.clock.advance(4_499);
  expect(live.upstream.statusCalls.length).toBe(2);
  live.batches.set('a', 3);
  await live.poll();
  expect(await stream.data()).toEqual(update('a', 3));
});

test('polls are further and further apart while nothing changes, and close again when something does', async () => {
  await using live = await startLive({ FOLLOW_MIN_MS: '1000', FOLLOW_MAX_MS: '3000' });
  live.batches.set('a', 0);
  const stream = await live.follow(vehicles('a'));
  await stream.data();
  for (const ms of [1_000, 1_000, 1_500, 2_250, 3_000, 3_000]) {
    const waited = await live.poll();
    // Up to a tenth shorter, by chance, and the time that the call takes.
    expect(waited).toBeGreaterThanOrEqual(0.9 * ms);
    expect(waited).toBeLessThan(ms + 100);
  }
  live.batches.set('a', 1);
  await live.poll();
  expect(await stream.data()).toEqual(update('a', 1));
  expect(await live.poll()).toBeLessThan(1_100);
});

test('56: when all leave, a second later there is no poll, timer or stream', async () => {
  await using live = await startLive();
  live.batches.set('a', 0).set('b', 1);
  const streams = await Promise.all([
    live.follow(vehicles('a', 'b')),
    live.follow(vehicles('b')),
    live.follow(vehicles('a')),
  ]);
  for (const stream of streams) await stream.data();
  for (const stream of streams) await stream[Symbol.asyncDispose]();
  await untilQuiet(() => streamsEnded(live.gateway).length === 3);
  const calls = live.upstream.statusCalls.length;
  live.clock.advance(1_000);
  live.clock.advance(60_000);
  expect([live.clock.pending, live.upstream.statusCalls.length]).toEqual([0, calls]);
});

test('57: an outage in mid-stream is told once, as a stale status; then it is live again', async () => {
  await using live = await startLive();
  live.batches.set('a', 1);
  const stream = await live.follow(vehicles('a'));
  expect(await stream.data()).toEqual(update('a', 1));

  live.setDown(true);
  const stale = stream.data();
  await live.clock.elapse(stale);
  expect(await stale).toEqual(update('a', 1, true));
  const { promise: tenSeconds, resolve } = Promise.withResolvers<void>();
  live.clock.after(10_000, resolve);
  await live.clock.elapse(tenSeconds);
  live.setDown(false);
  live.batches.set('a', 2);
  const from = live.clock.now();
  const back = stream.data();
  await live.clock.elapse(back);
  expect(await back).toEqual(update('a', 2));
  expect(live.clock.now() - from).toBeLessThan(5_000);
});

test('a batch that cannot be followed is told with its error, and leaves the others alone', async () => {
  await using live = await startLive({ PARTICIPANT_TYPES: 'vehicles' });
  live.batches.set('a', 3);
  const stream = await live.follow({
    batches: [
      { participantType: 'vehicles', batchId: 'gone' },
      { participantType: 'drivers', batchId: 'x' },
      { participantType: 'vehicles', batchId: 'a' },
      { participantType: 'vehicles', batchId: 'a' },
    ],
  });
  const told = [await stream.data(), await stream.data(), await stream.data()];
  expect(told).toHaveLength(3);
  expect(told).toEqual(
    expect.arrayContaining([
      failed('gone', 'No such batch.', {
        code: 'NOT_FOUND',
        retryable: false,
        upstream: { status: 404, code: '1', description: 'No such batch.', additionalInfo: null },
      }),
      failed('x', 'participantType accepts one of: vehicles.', {
        code: 'BAD_USER_INPUT',
        retryable: false,
        requestId: stream.headers.get('x-request-id'),
      }),
      update('a', 3),
    ]),
  );
  expect(await stream.rest()).toBe('event: complete\ndata:\n\n');
});

test('a batch that is finished by its counts alone is asked for once more', async () => {
  await using live = await startLive();
  const data = { status: 'RUNNING', totalCount: 3, successCount: 3, failureCount: 0 };
  live.batches.set('a', data);
  const stream = await live.follow(vehicles('a'));
  const told = (status: string) => ({
    data: {
      batchStatusUpdates: { batchId: 'a', batchStatus: { status, successCount: 3, stale: false } },
    },
  });
  expect(await stream.data()).toEqual(told('RUNNING'));
  live.batches.set('a', { ...data, status: 'SUCCESS' });
  await live.poll();
  expect(await stream.data()).toEqual(told('SUCCESS'));
  expect(await stream.rest()).toBe('event: complete\ndata:\n\n');
});

test('54: who does not read holds one event of each batch, and is cut off; the others are told in time', async () => {
  await using live = await startLive({ RESPONSE_TIMEOUT_MS: '5000', STREAM_HEARTBEAT_MS: '2000' });
  const note = 'x'.repeat(900_000);
  const query = `subscription { batchStatusUpdates(batches: [{ participantType: "vehicles", batchId: "a" }]) { batchStatus { successCount data } } }`;
  const count = (n: number) => ({ ...toData(n), status: 'IN_PROGRESS', totalCount: 1_000, note });
  live.batches.set('a', count(0));
  const stalled = connect(Number(live.gateway.url.port), live.gateway.url.hostname);
  stalled.on('error', () => {});
  stalled.pause();
  await once(stalled, 'connect');
  const body = JSON.stringify({ query });
  stalled.write(
    `POST /graphql HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  const good = await live.follow(vehicles('a'), { 'x-forwarded-for': '198.51.100.1' });
  const successes = async () => {
    const event = (await good.data()) as ReturnType<typeof update>;
    return event.data.batchStatusUpdates.batchStatus.successCount;
  };
  expect(await successes()).toBe(0);
  // More than the kernel takes on loopback.
  for (let n = 1; n <= 12; n += 1) {
    live.batches.set('a', count(n));
    await live.poll();
    expect(await successes()).toBe(n);
  }
  expect(streamsEnded(live.gateway)).toMatchObject([{ reason: 'client does not read' }]);
  const [{ events = 13, skipped = 0 } = {}] = streamsEnded(live.gateway);
  expect(events).toBeLessThan(12);
  expect(skipped).toBeGreaterThan(0);
  stalled.destroy();
});

test("58: when the caller's token ends in mid-stream, it is UNAUTHENTICATED, and complete", async () => {
  await using stack = new AsyncDisposableStack();
  const clock = new TestClock();
  const sandbox = await startSandbox({ clock, port: 0 });
  stack.defer(() => sandbox.close());
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: sandbox.url.origin,
      AUTH_AUDIENCE: sandbox.issuer.audience,
      AUTH_LEEWAY_SECONDS: '0',
      STREAM_MAX_MS: '86400000',
    },
  });
  const token = await sandbox.issuer.issueToken({});
  const [, claims = ''] = token.split('.');
  const { exp }: { exp: number } = JSON.parse(Buffer.from(claims, 'base64url').toString());
  await using stream = await openStream(gateway, {
    query: UPDATES,
    variables: vehicles('a'),
    headers: { authorization: `Bearer ${token}` },
  });
  expect(await stream.data()).toMatchObject({
    data: { batchStatusUpdates: { batchStatus: { status: 'IN_PROGRESS' } } },
  });
  clock.advance(1_000 * exp - clock.date().getTime() - 2_000);
  const end = stream.data();
  await clock.elapse(end);
  expect(await end).toEqual({
    errors: [
      {
        message: 'The access token is expired.',
        extensions: { code: 'UNAUTHENTICATED', retryable: false, requestId: UUID },
      },
    ],
  });
  expect(await stream.rest()).toBe('event: complete\ndata:\n\n');
  const lateMs = clock.date().getTime() - 1_000 * exp;
  expect(lateMs).toBeGreaterThanOrEqual(0);
  expect(lateMs).toBeLessThan(1_500);
});

test('59: a shutdown ends each stream without complete, so that its client comes again, later by chance', async () => {
  await using live = await startLive();
  live.batches.set('a', 1);
  const streams = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      live.follow(vehicles('a'), { 'x-forwarded-for': `198.51.100.${index}` }),
    ),
  );
  for (const stream of streams) await stream.data();
  const parts = await live.follow(vehicles('a'), {
    accept: 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"',
  });
  const closed = live.gateway[Symbol.asyncDispose]();
  const rests = await Promise.all(streams.map((stream) => stream.rest()));
  const retries = rests.map((rest) => Number(/^retry: (\d+)\n\n$/.exec(rest)?.[1]));
  for (const ms of retries) expect(ms).toBeGreaterThanOrEqual(1_000);
  for (const ms of retries) expect(ms).toBeLessThanOrEqual(5_000);
  expect(new Set(retries).size).toBeGreaterThan(5);

  const [, present, last, end] = (await parts.rest()).split('\r\n--graphql');
  const payload = (part: string | undefined) => JSON.parse(part?.split('\r\n\r\n')[1] ?? '');
  expect(payload(present)).toEqual({ payload: update('a', 1) });
  expect(payload(last)).toEqual({
    payload: {
      errors: [
        {
          message: 'The gateway ends this stream: subscribe again.',
          extensions: {
            code: 'OVERLOADED',
            retryable: true,
            retryAfterMs: expect.any(Number),
            requestId: UUID,
          },
        },
      ],
    },
  });
  expect(end).toBe('--\r\n');
  await closed;
});

test('60: who comes again is told the present state first, and that a batch has finished meanwhile', async () => {
  await using live = await startLive();
  live.batches.set('a', 1).set('b', 1);
  const stream = await live.follow(vehicles('a', 'b'));
  await stream.data();
  await stream.data();
  await stream[Symbol.asyncDispose]();
  live.batches.set('a', 2).set('b', 3);
  live.clock.advance(10_000);

  const again = await live.follow(vehicles('a', 'b'), { 'last-event-id': '2' });
  const told = [await again.data(), await again.data()];
  expect(told).toEqual(expect.arrayContaining([update('a', 2), update('b', 3)]));
  live.batches.set('a', 3);
  await live.poll();
  expect(await again.data()).toEqual(update('a', 3));
  expect(await again.rest()).toBe('event: complete\ndata:\n\n');
});

test('60: who comes when one of the batches could not be told is told how it is now, not how it was', async () => {
  await using live = await startLive();
  live.batches.set('a', 1);
  const first = await live.follow(vehicles('a', 'late'));
  const told = [await first.data(), await first.data()];
  expect(told).toEqual(expect.arrayContaining([update('a', 1)]));
  live.batches.set('late', 2);
  const second = await live.follow(vehicles('a', 'late'));
  expect([await second.data(), await second.data()]).toEqual(
    expect.arrayContaining([update('a', 1), update('late', 2)]),
  );
});

test('82: a client that goes away before its stream begins leaves nothing behind', async () => {
  await using live = await startLive({ METRICS_PORT: '0', MAX_STREAMS_PER_CALLER: '1' });
  live.batches.set('a', 1);
  const { onStatus } = live.upstream;
  const { promise, resolve } = Promise.withResolvers<void>();
  live.upstream.onStatus = async (...of) => {
    await promise;
    return onStatus(...of);
  };
  for (let count = 1; count <= 3; count += 1) {
    const gone = new AbortController();
    const asked = fetch(live.gateway.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({
        query: `{ batchStatus(participantType: "vehicles", batchId: "a") { n${count}: status } }`,
      }),
      signal: gone.signal,
    });
    await live.upstream.statusCallCount(count);
    gone.abort();
    await expect(asked).rejects.toThrow();
    const isLogged = () =>
      live.gateway.logLines.filter((line) => line.includes('"client gone"')).length === count;
    await untilQuiet(isLogged);
  }
  resolve();
  const stream = await live.follow(vehicles('a'));
  expect(await stream.data()).toEqual(update('a', 1));
  const { metricsUrl = live.gateway.url } = live.gateway;
  const metrics = await (await fetch(metricsUrl)).text();
  expect(metrics).toMatch(/^http_server_active_requests 0$/m);
  expect(metrics).toMatch(/^participant_gateway_streams 1$/m);
  expect(streamsEnded(live.gateway)).toEqual([]);
});

test('HEAD of a subscription has no events, and an end', async () => {
  await using live = await startLive();
  const url = new URL(live.gateway.endpoint);
  url.searchParams.set('query', UPDATES);
  url.searchParams.set('variables', JSON.stringify(vehicles('a')));
  const headers = { accept: 'text/event-stream', 'graphql-require-preflight': '1' };
  const answer = await fetch(url, { method: 'HEAD', headers });
  expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
    200,
    'text/event-stream',
    '',
  ]);
  expect(live.upstream.statusCalls).toEqual([]);
});

test('a stream lasts for STREAM_MAX_MS, and has a heartbeat where there is nothing to tell', async () => {
  await using live = await startLive({ STREAM_MAX_MS: '60000', STREAM_HEARTBEAT_MS: '10000' });
  live.batches.set('a', 1);
  const stream = await live.follow(vehicles('a'));
  await stream.data();
  const rest = stream.rest();
  const from = live.clock.now();
  await live.clock.elapse(rest);
  expect(await rest).toMatch(/^(?::\n\n){5}retry: \d+\n\n$/);
  expect(live.clock.now() - from).toBeLessThan(61_000);
  expect(streamsEnded(live.gateway)).toMatchObject([{ reason: 'time limit' }]);
});

test('streams beyond those of one caller are 429, and beyond all 503, with the time to come again', async () => {
  await using live = await startLive({ MAX_STREAMS: '3', MAX_STREAMS_PER_CALLER: '2' });
  live.batches.set('a', 1);
  const open = (address: string): Promise<EventStream> =>
    live.follow(vehicles('a'), { 'x-forwarded-for': address });
  const first = await open('198.51.100.1');
  await open('198.51.100.1');
  const refused = await open('198.51.100.1');
  expect([refused.status, JSON.parse(await refused.rest())]).toEqual([
    429,
    {
      errors: [
        {
          message:
            'You have 2 streams open, as many as there may be: follow more batches in one, or close others.',
          extensions: {
            code: 'RATE_LIMITED',
            retryable: true,
            retryAfterMs: 5_000,
            requestId: UUID,
          },
        },
      ],
    },
  ]);
  await open('198.51.100.2');
  expect((await open('198.51.100.3')).status).toBe(503);
  await first[Symbol.asyncDispose]();
  await untilQuiet(() => streamsEnded(live.gateway).length === 1);
  expect((await open('198.51.100.3')).status).toBe(200);
});

test('a query of a client that reads events alone has its answer as next, and complete', async () => {
  await using live = await startLive();
  live.batches.set('a', 1);
  await using stream = await openStream(live.gateway, {
    query: '{ batchStatus(participantType: "vehicles", batchId: "a") { status } }',
  });
  expect(await stream.rest()).toBe(
    ':\n\nid: 1\nevent: next\ndata: {"data":{"batchStatus":{"status":"IN_PROGRESS"}}}\n\nevent: complete\ndata:\n\n',
  );
});

test('batchStatuses answers the same list once, in its order', async () => {
  await using live = await startLive();
  live.batches.set('a', 1).set('b', 3);
  const query = UPDATES.replace('subscription', 'query').replace(
    'batchStatusUpdates',
    'batchStatuses',
  );
  const answer = await live.gateway.query(query, vehicles('b', 'a', 'gone', 'b'));
  const of = (batchId: string, n: number) => update(batchId, n).data.batchStatusUpdates;
  expect(answer).toEqual({
    status: 200,
    body: {
      data: {
        batchStatuses: [of('b', 3), of('a', 1), { batchId: 'gone', batchStatus: null }, of('b', 3)],
      },
      errors: [
        {
          message: 'No such batch.',
          locations: [{ line: 4, column: 5 }],
          path: ['batchStatuses', 2, 'batchStatus'],
          extensions: {
            code: 'NOT_FOUND',
            retryable: false,
            requestId: UUID,
            upstream: {
              status: 404,
              code: '1',
              description: 'No such batch.',
              additionalInfo: null,
            },
          },
        },
      ],
    },
  });
  expect(live.upstream.statusCalls.length).toBe(3);
});

test('more batches than one request may ask for are refused, by batchStatuses and batchStatusUpdates alike', async () => {
  await using live = await startLive({ QUERY_MAX_BATCHES: '2' });
  const error = (path: string) => ({
    message: 'batches accepts up to 2 batches.',
    locations: [{ line: 2, column: 3 }],
    path: [path],
    extensions: { code: 'OPERATION_TOO_COMPLEX', retryable: false, requestId: UUID },
  });
  const stream = await live.follow(vehicles('a', 'b', 'c'));
  expect(await stream.data()).toEqual({ errors: [error('batchStatusUpdates')] });
  expect(await stream.rest()).toBe('event: complete\ndata:\n\n');
  const query = UPDATES.replace('subscription', 'query').replace(
    'batchStatusUpdates',
    'batchStatuses',
  );
  expect((await live.gateway.query(query, vehicles('a', 'b', 'c'))).body).toEqual({
    data: null,
    errors: [error('batchStatuses')],
  });
});

test('a subscription that is asked for as JSON is refused, and told what to accept', async () => {
  await using live = await startLive();
  const stream = await live.follow(vehicles('a'), { accept: 'application/json' });
  expect([stream.status, JSON.parse(await stream.rest())]).toMatchObject([
    406,
    {
      errors: [
        {
          message:
            'The accept header allows none of the media types of this answer: text/event-stream, multipart/mixed.',
          extensions: { code: 'BAD_USER_INPUT' },
        },
      ],
    },
  ]);
});
