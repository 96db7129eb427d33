import { expect, test } from 'vitest';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { STATUS_QUERY, startTestGateway } from '../support/test-gateway.ts';

/** An answer that a test gives when it wants to. */
function heldAnswer() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    release: resolve,
    script: () => promise.then(() => ({ body: { data: { status: 'DONE' } } })),
  };
}

const ANSWER = {
  status: 200,
  body: { data: { batchStatus: { id: 'vehicles/b-1', status: 'DONE' } } },
};
const B1 = { participantType: 'vehicles', batchId: 'b-1' };

test('equal keys within one query cost one upstream call, different keys go out together', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  let concurrent = 0;
  const { promise: bothThere, resolve } = Promise.withResolvers<void>();
  upstream.onStatus = async () => {
    concurrent += 1;
    if (concurrent === 2) resolve();
    await bothThere;
    return { body: { data: { status: 'DONE' } } };
  };

  expect(
    await gateway.query(`{
      a: batchStatus(participantType: "vehicles", batchId: "b-1") { status }
      b: batchStatus(participantType: "vehicles", batchId: "b-1") { id status }
      c: batchStatus(participantType: "vehicles", batchId: "b-2") { status }
    }`),
  ).toEqual({
    status: 200,
    body: {
      data: {
        a: { status: 'DONE' },
        b: { id: 'vehicles/b-1', status: 'DONE' },
        c: { status: 'DONE' },
      },
    },
  });
  expect(upstream.statusCalls.map((call) => call.target.split('=')[1])).toEqual(['b-1', 'b-2']);
});

test('40: 1,000 queries at once on a cold gateway, 10 distinct keys: 1 token call, 10 upstream calls, no error', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock: new TestClock() });
  upstream.onStatus = (call) => ({
    body: { data: { status: call.target.split('=')[1] }, request: ECHO },
  });

  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, index) =>
      gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: `b-${index % 10}` }),
    ),
  );

  expect(answers).toEqual(
    answers.map((_, index) => {
      const batchId = `b-${index % 10}`;
      return {
        status: 200,
        body: { data: { batchStatus: { id: `vehicles/${batchId}`, status: batchId } } },
      };
    }),
  );
  expect(upstream.tokenCalls).toHaveLength(1);
  expect(upstream.statusCalls).toHaveLength(10);
});

test('a copy serves other requests until its time is up: 1 s, 30 s for a finished batch', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock });
  let answered = 0;
  upstream.onStatus = (call) => {
    answered += 1;
    const status = call.target.endsWith('done') ? 'SUCCESS' : 'IN_PROGRESS';
    return { body: { data: { status, answered } } };
  };
  const look = async (batchId: string) =>
    (
      await gateway.query(
        `{ batchStatus(participantType: "vehicles", batchId: "${batchId}") { data fetchedAt } }`,
      )
    ).body;
  const seen = (status: string, count: number, fetchedAt: string) => ({
    data: { batchStatus: { data: { status, answered: count }, fetchedAt } },
  });

  expect(await look('running')).toEqual(seen('IN_PROGRESS', 1, '2026-01-31T12:00:00.000Z'));
  expect(await look('done')).toEqual(seen('SUCCESS', 2, '2026-01-31T12:00:00.000Z'));
  clock.advance(999);
  expect(await look('running')).toEqual(seen('IN_PROGRESS', 1, '2026-01-31T12:00:00.000Z'));
  clock.advance(2);
  expect(await look('running')).toEqual(seen('IN_PROGRESS', 3, '2026-01-31T12:00:01.001Z'));
  clock.advance(28_998);
  expect(await look('done')).toEqual(seen('SUCCESS', 2, '2026-01-31T12:00:00.000Z'));
  clock.advance(2);
  expect(await look('done')).toEqual(seen('SUCCESS', 4, '2026-01-31T12:00:30.001Z'));
});

test('keys that look alike when written one after the other are different keys', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = ({ target }) => ({ body: { data: { status: target.split('/')[5] } } });
  const ask = async (participantType: string, batchId: string | null) =>
    (await gateway.query(STATUS_QUERY, { participantType, batchId })).body;

  expect([await ask('a', 'bc'), await ask('ab', 'c'), await ask('abc', null)]).toEqual([
    { data: { batchStatus: { id: 'a/bc', status: 'a' } } },
    { data: { batchStatus: { id: 'ab/c', status: 'ab' } } },
    { data: { batchStatus: { id: 'abc', status: 'abc' } } },
  ]);
  expect(upstream.statusCalls).toHaveLength(3);
});

test('STATUS_TTL_MS=0 keeps no copy', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, environment: { STATUS_TTL_MS: '0' } });
  await gateway.query(STATUS_QUERY, B1);
  await gateway.query(STATUS_QUERY, B1);
  expect(upstream.statusCalls).toHaveLength(2);
});

test('a failure is not kept: the next request asks again', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({ status: 500 });
  expect((await gateway.query(STATUS_QUERY, B1)).body).toHaveProperty(
    'errors.0.extensions.code',
    'UPSTREAM_UNAVAILABLE',
  );
  upstream.onStatus = () => ({ body: { data: { status: 'DONE' } } });
  expect(await gateway.query(STATUS_QUERY, B1)).toEqual(ANSWER);
});

test('39: a client that goes away does not cancel what another request waits for', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock: new TestClock() });
  const { release, script } = heldAnswer();
  upstream.onStatus = script;
  const leaving = new AbortController();
  const gone = gateway.query(STATUS_QUERY, B1, leaving.signal);
  await upstream.statusCallCount(1);
  const staying = gateway.query(
    `{ batchStatus(participantType: "vehicles", batchId: "b-1") { id status }
       other: batchStatus(participantType: "vehicles", batchId: "b-2") { status } }`,
  );
  // The second call shows that the staying request is being worked on, and has joined the first.
  await upstream.statusCallCount(2);
  leaving.abort();
  await expect(gone).rejects.toThrow('aborted');
  await logged(gateway.logLines, 'client gone');
  release();

  expect(await staying).toEqual({
    status: 200,
    body: { data: { ...ANSWER.body.data, other: { status: 'DONE' } } },
  });
  expect(upstream.statusCalls).toHaveLength(2);
});

test('39: when the last client goes away, the upstream call is aborted, and the next request begins anew', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock: new TestClock() });
  upstream.onStatus = () => undefined;
  const leaving = new AbortController();
  const gone = gateway.query(STATUS_QUERY, B1, leaving.signal);
  await upstream.statusCallCount(1);
  leaving.abort();
  await expect(gone).rejects.toThrow('aborted');
  await upstream.statusCalls[0]?.closed;
  await logged(gateway.logLines, 'client gone');
  expect(gateway.logLines.join('')).not.toContain('masked error');

  upstream.onStatus = () => ({ body: { data: { status: 'DONE' } } });
  expect(await gateway.query(STATUS_QUERY, B1)).toEqual(ANSWER);
  expect(upstream.statusCalls).toHaveLength(2);
});

test('no more calls are under way than UPSTREAM_MAX_CONNECTIONS', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    clock: new TestClock(),
    environment: { UPSTREAM_MAX_CONNECTIONS: '3' },
  });
  const { release, script } = heldAnswer();
  upstream.onStatus = script;
  const aliases = Array.from(
    { length: 20 },
    (_, index) =>
      `a${index}: batchStatus(participantType: "vehicles", batchId: "b-${index}") { status }`,
  );
  const answer = gateway.query(`{ ${aliases.join('\n')} }`);
  await upstream.statusCallCount(3);
  // By the time that this is answered, calls that could go out would have arrived.
  await (await fetch(new URL('/livez', gateway.url))).text();
  expect(upstream.statusCalls).toHaveLength(3);
  release();

  expect((await answer).body).toEqual({
    data: Object.fromEntries(aliases.map((_, index) => [`a${index}`, { status: 'DONE' }])),
  });
  expect(upstream.statusCalls).toHaveLength(20);
});

/** Resolves when a log entry holds `text`. */
async function logged(lines: string[], text: string): Promise<void> {
  await expect.poll(() => lines.some((line) => line.includes(text))).toBe(true);
}
