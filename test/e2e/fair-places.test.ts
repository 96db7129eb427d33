import { expect, test } from 'vitest';
import { watchRequests } from '../support/requests-under-way.ts';
import { ECHO, type ScriptedAnswer, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway, type TestGateway, UUID } from '../support/test-gateway.ts';

const BEHIND_A_PROXY = { TRUSTED_PROXIES: '127.0.0.1,::1' };
const WELL = { body: { data: { status: 'IN_PROGRESS' }, request: ECHO } };

/** A gateway on a clock that stands still, whose upstream takes 300 ms for an answer. */
async function startSlow(environment: Record<string, string> = {}) {
  const clock = new TestClock();
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startScriptedUpstream());
  const gateway = stack.use(await startTestGateway({ upstream, clock, environment }));
  let underWay = 0;
  const seen = { most: 0 };
  upstream.onStatus = async () => {
    underWay += 1;
    seen.most = Math.max(seen.most, underWay);
    await new Promise<void>((resolve) => void clock.after(300, resolve));
    underWay -= 1;
    return WELL;
  };
  return { clock, upstream, gateway, seen, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

interface Question {
  type?: string;
  batches: readonly string[];
  from?: string;
  headers?: Record<string, string>;
}

async function ask(gateway: TestGateway, { type = 'vehicles', batches, from, headers }: Question) {
  const fields = batches.map(
    (batchId, index) =>
      `b${index}: batchStatus(participantType: "${type}", batchId: "${batchId}") { batchId status }`,
  );
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(from === undefined ? {} : { 'x-forwarded-for': from }),
      ...headers,
    },
    body: JSON.stringify({ query: `{ ${fields.join(' ')} }` }),
  });
  return { status: response.status, body: await response.json() };
}

function served(batches: readonly string[]) {
  const entries = batches.map((batchId, index) => [
    `b${index}`,
    { batchId, status: 'IN_PROGRESS' },
  ]);
  return { status: 200, body: { data: Object.fromEntries(entries) } };
}

function ids(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

test('82: 2,000 requests at once for 10 batches: no refusal, 10 calls (API4:2023)', async () => {
  await using slow = await startSlow();
  const { gateway, upstream } = slow;
  using underWay = watchRequests(gateway.url);
  const batches = ids(10, 'b');
  const asked = Array.from({ length: 2_000 }, (_, index) => [batches[index % 10] ?? '']);
  const held = Promise.withResolvers<ScriptedAnswer>();
  upstream.onStatus = () => held.promise;
  const answers = Promise.all(asked.map((one) => ask(gateway, { batches: one })));
  await underWay.count(2_000);
  held.resolve(WELL);
  expect(await answers).toEqual(asked.map(served));
  expect(upstream.statusCalls).toHaveLength(10);
});

test('82: 500 different batches at once are all served by 64 connections, if each takes 300 ms (API4:2023)', async () => {
  await using slow = await startSlow();
  const { clock, gateway, upstream, seen } = slow;
  const batches = ids(500, 'b');
  const answers = Promise.all(batches.map((batch) => ask(gateway, { batches: [batch] })));
  expect(await clock.elapse(answers)).toEqual(batches.map((batch) => served([batch])));
  expect(upstream.statusCalls).toHaveLength(500);
  expect(seen.most).toBe(64);
});

test('82: beside a caller with 64 × 20 batches, another is served as if it were alone (API4:2023)', async () => {
  await using slow = await startSlow(BEHIND_A_PROXY);
  const { clock, gateway, upstream } = slow;
  await clock.elapse(ask(gateway, { batches: ['seen'], from: '192.0.2.2' }));
  const greedy = Promise.all(
    ids(64, 'g').map((name) => ask(gateway, { batches: ids(20, name), from: '192.0.2.1' })),
  );
  await upstream.statusCallCount(1 + 56);
  const begun = clock.now();
  const good = ids(8, 'good').map((batch) => ask(gateway, { batches: [batch], from: '192.0.2.2' }));
  expect(await clock.elapse(Promise.all(good))).toEqual(
    ids(8, 'good').map((batch) => served([batch])),
  );
  // One call of 300 ms, and what the machine's own turns take on this clock.
  expect(clock.now() - begun).toBeLessThan(600);
  // What the greedy one gets is right, too: statuses, and errors that say so.
  const texts = (await clock.elapse(greedy)).map(({ body }) => JSON.stringify(body)).join('\n');
  expect(new Set([...texts.matchAll(/"code":"([A-Z_]+)"/g)].map(([, code]) => code))).toEqual(
    new Set(['OVERLOADED', 'UPSTREAM_TIMEOUT']),
  );
});

test('82: more calls than can wait are OVERLOADED, each at its field, at once (API4:2023)', async () => {
  await using slow = await startSlow({ UPSTREAM_MAX_CONNECTIONS: '1' });
  const { clock, gateway, upstream } = slow;
  const held = Promise.withResolvers<ScriptedAnswer>();
  upstream.onStatus = () => held.promise;
  // One call under way, and 16 that wait for it.
  const first = ask(gateway, { batches: ids(17, 'first') });
  await upstream.statusCallCount(1);
  const { status, body } = await ask(gateway, { batches: ['more'] });
  expect({ status, body }).toEqual({
    status: 200,
    body: {
      data: { b0: null },
      errors: [
        {
          message: 'The gateway has more calls to make than it can: try again in a moment.',
          locations: [{ line: 1, column: 3 }],
          path: ['b0'],
          extensions: { code: 'OVERLOADED', retryable: true, retryAfterMs: 1_000, requestId: UUID },
        },
      ],
    },
  });
  held.resolve(WELL);
  expect(await clock.elapse(first)).toEqual(served(ids(17, 'first')));
});

test('82: a participant type that hangs leaves half of the connections to others (API4:2023)', async () => {
  await using slow = await startSlow();
  const { clock, gateway, upstream } = slow;
  await clock.elapse(ask(gateway, { batches: ['seen'] }));
  const { onStatus } = upstream;
  const hanging = Promise.withResolvers<ScriptedAnswer>();
  upstream.onStatus = (call, response) =>
    call.target.includes('/drivers/') ? hanging.promise : onStatus(call, response);
  const drivers = ids(4, 'd').map((name) =>
    ask(gateway, { type: 'drivers', batches: ids(20, name) }),
  );
  await upstream.statusCallCount(1 + 32);
  const batches = ids(32, 'good');
  const good = batches.map((batch) => ask(gateway, { batches: [batch] }));
  await upstream.statusCallCount(1 + 32 + 32);
  const begun = clock.now();
  expect(await clock.elapse(Promise.all(good))).toEqual(batches.map((batch) => served([batch])));
  expect(clock.now() - begun).toBeLessThan(600);
  expect(upstream.statusCalls.filter(({ target }) => target.includes('/drivers/'))).toHaveLength(
    32,
  );
  hanging.resolve(WELL);
  await clock.elapse(Promise.all(drivers));
});

test('82: where there is one participant type and one caller, they have all connections', async () => {
  await using slow = await startSlow({ UPSTREAM_MAX_CONNECTIONS: '8' });
  const { clock, gateway, seen } = slow;
  await clock.elapse(ask(gateway, { batches: ids(20, 'b') }));
  expect(seen.most).toBe(8);
});

test('82: a router that has shown its secret counts as 20 callers (API4:2023)', async () => {
  const secret = 'canary-router-secret';
  await using slow = await startSlow({ ...BEHIND_A_PROXY, FEDERATION_SECRET: secret });
  const { clock, gateway, upstream } = slow;
  // Another caller of late, so that who has its share leaves something alone.
  await clock.elapse(ask(gateway, { batches: ['seen'], from: '192.0.2.2' }));
  const headers = { 'router-authorization': secret };
  const router = ids(4, 'r').map((name) =>
    ask(gateway, { batches: ids(20, name), from: '192.0.2.1', headers }),
  );
  await upstream.statusCallCount(1 + 64);
  expect(await clock.elapse(Promise.all(router))).toEqual(
    ids(4, 'r').map((name) => served(ids(20, name))),
  );
  expect(gateway.logLines.join('')).not.toContain(secret);
});

test('82: who waits for a connection and goes away gives its place in the queue to others', async () => {
  await using slow = await startSlow({ UPSTREAM_MAX_CONNECTIONS: '1' });
  const { gateway, upstream } = slow;
  using underWay = watchRequests(gateway.url);
  const held = Promise.withResolvers<ScriptedAnswer>();
  upstream.onStatus = () => held.promise;
  const first = ask(gateway, { batches: ['first'] });
  await upstream.statusCallCount(1);
  const leaving = new AbortController();
  const gone = gateway.query(
    '{ batchStatus(participantType: "vehicles", batchId: "gone") { id } }',
    {},
    leaving.signal,
  );
  await underWay.count(2);
  leaving.abort();
  await expect(gone).rejects.toThrow();
  await expect.poll(() => gateway.logLines.some((line) => line.includes('client gone'))).toBe(true);
  const last = ask(gateway, { batches: ['last'] });
  held.resolve(WELL);
  expect(await first).toEqual(served(['first']));
  expect(await last).toEqual(served(['last']));
  expect(upstream.statusCalls.map(({ target }) => target.split('=')[1])).toEqual(['first', 'last']);
});
