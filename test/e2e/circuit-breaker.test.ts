import { expect, test, vi } from 'vitest';
import {
  type BrokenGateway,
  circuitLog,
  failure,
  OPEN_FOR_TYPE,
  QUERY,
  startBroken,
  status,
} from '../support/broken-upstream.ts';

const UNAVAILABLE = failure('The Participant Service answered 503 without saying why.', {
  code: 'UPSTREAM_UNAVAILABLE',
  upstream: expect.objectContaining({ status: 503 }),
});
/** Between the single calls of an open circuit. */
const LONGEST_PAUSE_MS = 1_250;
const READY = { status: 200, body: { status: 'ready', notReady: {}, degraded: {} } };

test('35: in a full outage the circuit opens, single calls see whether it is over, and success is back within 5 s', async () => {
  await using broken = await startBroken();
  const { clock, upstream, gateway, ask, readiness } = broken;
  expect(await readiness()).toEqual(READY);
  const { onStatus } = upstream;
  upstream.onStatus = () => ({ status: 503 });
  upstream.statusCalls.length = 0;

  const answers: unknown[] = [];
  const callsBySecond: number[] = [];
  for (let second = 0; second < 20; second += 1) {
    const before = upstream.statusCalls.length;
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const begun = clock.now();
      answers.push(await ask(`b-${second}-${tenth}`));
      clock.advance(Math.max(0, 100 - (clock.now() - begun)));
    }
    callsBySecond.push(upstream.statusCalls.length - before);
  }
  // Ten calls, and the retries that the budget has for them.
  expect(callsBySecond[0]).toBeLessThanOrEqual(10 + 3);
  expect(Math.max(...callsBySecond.slice(3))).toBe(1);
  // Whose call is made is told what the upstream says; the others, the gateway's own words.
  expect(answers[0]).toEqual(UNAVAILABLE);
  expect(answers).toEqual(
    answers.map((answer) =>
      JSON.stringify(answer).includes('"upstream"') ? UNAVAILABLE : OPEN_FOR_TYPE,
    ),
  );
  clock.advance(LONGEST_PAUSE_MS);
  expect(await ask('decides')).toEqual(UNAVAILABLE);
  expect(await ask('does not wait')).toEqual(OPEN_FOR_TYPE);
  expect(await readiness()).toEqual({
    status: 200,
    body: {
      status: 'degraded',
      notReady: {},
      degraded: { upstream: 'the Participant Service fails for vehicles; the circuit is open' },
    },
  });

  upstream.onStatus = onStatus;
  const back = clock.now();
  while (hasErrors(await ask('back'))) clock.advance(100);
  expect(clock.now() - back).toBeLessThan(5_000);
  for (let index = 0; index < 20; index += 1)
    expect(await ask(`c-${index}`)).toEqual(status(`c-${index}`));
  expect(await readiness()).toEqual(READY);
  expect(circuitLog(gateway.logLines)).toEqual([
    'circuit open: the upstream fails',
    'circuit closed: the upstream answers again',
  ]);
});

function hasErrors({ body }: { body: unknown }): boolean {
  return JSON.stringify(body).includes('"errors"');
}

test('35: an error of the open circuit comes at once, and says when the next call may be made', async () => {
  await using broken = await startBroken();
  await broken.proxy.refuse();
  await broken.breakCircuit();
  const { clock, gateway } = broken;
  const begun = clock.now();
  // The clock stands still meanwhile.
  const { body } = await gateway.query(QUERY, { batchId: 'b-1' });
  expect(clock.now()).toBe(begun);
  const match: { errors: { extensions: { retryAfterMs: number } }[] } = JSON.parse(
    JSON.stringify(body),
  );
  const retryAfterMs = match.errors[0]?.extensions.retryAfterMs ?? 0;
  expect(retryAfterMs).toBeGreaterThan(0);
  expect(retryAfterMs).toBeLessThanOrEqual(LONGEST_PAUSE_MS);
  await broken.proxy.accept();
  clock.advance(retryAfterMs);
  expect(await broken.ask('b-1')).toEqual(status('b-1'));
});

test('35: while it is open, the last copy is served as stale with its true fetchedAt, for STATUS_STALE_MS', async () => {
  await using broken = await startBroken({ STATUS_STALE_MS: '30000' });
  const { clock, proxy, ask } = broken;
  clock.wallStandsStill = true;
  const fetchedAt = clock.date().toISOString();
  expect(await ask('seen')).toEqual(status('seen', fetchedAt));
  const seenAt = clock.now();
  await proxy.refuse();
  await broken.breakCircuit();
  clock.wallStandsStill = false;
  clock.advance(10_000);
  expect(await ask('seen')).toEqual(status('seen', fetchedAt, true));
  expect(await ask('never seen')).toMatchObject({ body: { data: { batchStatus: null } } });
  clock.advance(seenAt + 29_900 - clock.now());
  expect(await ask('seen')).toEqual(status('seen', fetchedAt, true));
  clock.advance(200);
  expect(await ask('seen')).toMatchObject({ body: { data: { batchStatus: null } } });

  const lines = broken.gateway.logLines.map((line) => JSON.parse(line));
  expect(lines.filter(({ staleStatuses }) => staleStatuses === 1)).toHaveLength(2);
});

test('35: STATUS_STALE_MS=0 serves no stale copy', async () => {
  await using broken = await startBroken({ STATUS_STALE_MS: '0' });
  const { clock, ask } = broken;
  await ask('seen');
  await broken.proxy.refuse();
  await broken.breakCircuit();
  clock.advance(1_000);
  expect(await ask('seen')).toMatchObject({ body: { data: { batchStatus: null } } });
});

test('35: a stale answer is not kept: what the upstream says is there as soon as it is back', async () => {
  await using broken = await startBroken();
  const { clock, proxy, ask, upstream } = broken;
  await ask('seen');
  await proxy.refuse();
  await broken.breakCircuit();
  clock.advance(1_000);
  for (let index = 0; index < 3; index += 1) {
    expect(await ask('seen')).toEqual(status('seen', expect.any(String), true));
  }
  upstream.onStatus = () => ({ body: { data: { status: 'SUCCESS' } } });
  await proxy.accept();
  clock.advance(1_500);
  // Served a last time, while a call sees whether the upstream is back.
  expect(await ask('seen')).toEqual(status('seen', expect.any(String), true));
  await expect
    .poll(async () => JSON.stringify(await ask('seen')))
    .toContain('"SUCCESS","stale":false');
});

/** Opens the circuit, and holds the answer of the next call, which decides, until that is resolved. */
async function holdDecidingCall({ proxy, upstream, clock, breakCircuit }: BrokenGateway) {
  proxy.fault = 'reset';
  await breakCircuit();
  clock.advance(2_000);
  upstream.statusCalls.length = 0;
  const held = Promise.withResolvers<void>();
  proxy.fault = 'none';
  upstream.onStatus = () =>
    held.promise.then(() => ({ body: { data: { status: 'IN_PROGRESS' } } }));
  return held;
}

test('35: one call decides: nobody waits for it who has a copy, and the others are told at once', async () => {
  await using broken = await startBroken();
  const { upstream, gateway, ask } = broken;
  await ask('seen');
  const held = await holdDecidingCall(broken);

  const deciding = gateway.query(QUERY, { batchId: 'deciding' });
  await upstream.statusCallCount(1);
  expect(await gateway.query(QUERY, { batchId: 'deciding' })).toEqual(OPEN_FOR_TYPE);
  expect(await gateway.query(QUERY, { batchId: 'other' })).toEqual(OPEN_FOR_TYPE);
  expect(await gateway.query(QUERY, { batchId: 'seen' })).toEqual(
    status('seen', expect.any(String), true),
  );
  expect((await broken.readiness()).body).toMatchObject({
    degraded: { upstream: 'the Participant Service fails for vehicles; the circuit is half-open' },
  });
  expect(upstream.statusCalls).toHaveLength(1);
  held.resolve();
  expect(await deciding).toEqual(status('deciding'));
  expect(await ask('other')).toEqual(status('other'));
});

test('39: the call that decides goes on when its client goes away: the others need its outcome', async () => {
  await using broken = await startBroken();
  const { upstream, gateway, ask } = broken;
  const held = await holdDecidingCall(broken);
  const leaving = new AbortController();
  const gone = gateway.query(QUERY, { batchId: 'deciding' }, leaving.signal);
  await upstream.statusCallCount(1);
  leaving.abort();
  await expect(gone).rejects.toThrow('aborted');
  await expect.poll(() => gateway.logLines.some((line) => line.includes('client gone'))).toBe(true);
  held.resolve();
  await expect.poll(() => circuitLog(gateway.logLines)).toHaveLength(2);
  expect(await ask('other')).toEqual(status('other'));
});

const harmless: [
  name: string,
  answer: { status?: number; headers?: Record<string, string>; body?: unknown },
][] = [
  ...[400, 401, 403, 404, 408, 409, 422, 429].map((code): [string, { status: number }] => [
    `answers of ${code}`,
    { status: code },
  ]),
  ['answers that are longer than the gateway takes', { body: 'x'.repeat(2_000) }],
];

for (const [name, answer] of harmless) {
  test(`35: ${name} do not open the circuit: they are not the upstream's failures`, async () => {
    await using broken = await startBroken({ UPSTREAM_MAX_BODY_BYTES: '1024' });
    const { upstream, gateway, ask } = broken;
    const { onStatus } = upstream;
    upstream.onStatus = () => answer;
    for (let index = 0; index < 30; index += 1) await ask(`b-${index}`);
    upstream.onStatus = onStatus;
    expect(await ask('good')).toEqual(status('good'));
    expect(circuitLog(gateway.logLines)).toEqual([]);
  });
}

const harmful: [name: string, answer: { status?: number; body?: unknown } | undefined][] = [
  ['500', { status: 500 }],
  ['599', { status: 599 }],
  ['a redirect', { status: 302 }],
  ['HTML', { body: '<html>' }],
  ['no answer in time', undefined],
];

for (const [name, answer] of harmful) {
  test(`35: ten times ${name} in a row open the circuit`, async () => {
    await using broken = await startBroken();
    broken.upstream.onStatus = () => answer;
    await broken.breakCircuit();
    expect(await broken.ask('b')).toEqual(OPEN_FOR_TYPE);
  });
}

test('35: calls that nobody can wait for any longer open it, too', async () => {
  await using broken = await startBroken({ REQUEST_DEADLINE_MS: '500' });
  broken.upstream.onStatus = () => undefined;
  await broken.breakCircuit();
  expect(await broken.ask('b')).toEqual(OPEN_FOR_TYPE);
});

test('35: so do two failures in three, although none has nine others before it', async () => {
  await using broken = await startBroken();
  const { upstream, gateway, ask } = broken;
  upstream.onStatus = () =>
    upstream.statusCalls.length % 3 === 0
      ? { body: { data: { status: 'IN_PROGRESS' } } }
      : { status: 500 };
  for (let index = 0; index < 60; index += 1) await ask(`b-${index}`);
  expect(circuitLog(gateway.logLines)).toContain('circuit open: the upstream fails');
});

test('47: a step of the wall clock by an hour does not keep the circuit open', async () => {
  await using broken = await startBroken();
  await broken.proxy.refuse();
  await broken.breakCircuit();
  const { clock } = broken;
  clock.stepWallClock(-3_600_000);
  const anHourAgo = Date.now() - 3_600_000;
  using _ = vi.spyOn(Date, 'now').mockImplementation(() => anHourAgo);
  await broken.proxy.accept();
  clock.advance(LONGEST_PAUSE_MS);
  expect(await broken.ask('b')).toEqual(status('b'));
});

test('35: without a token there is no call, but the last copy is there all the same', async () => {
  await using broken = await startBroken();
  const { clock, proxy, upstream, ask } = broken;
  upstream.onToken = () => ({ body: { data: { accessToken: 'short', expiresIn: 5 } } });
  clock.advance(3_600_000);
  await ask('seen');
  proxy.fault = 'reset';
  await broken.breakCircuit();
  clock.advance(10_000);
  expect(await ask('seen')).toEqual(status('seen', expect.any(String), true));
  expect(await ask('other')).toEqual(
    failure('The gateway has no access token: the token endpoint cannot be reached.', {
      code: 'TOKEN_UNAVAILABLE',
      retryAfterMs: expect.any(Number),
    }),
  );
});

test('nothing is left of an outage: no timer, and no more connections than there may be', async () => {
  await using broken = await startBroken({ UPSTREAM_MAX_CONNECTIONS: '5' });
  const { clock, proxy, gateway } = broken;
  proxy.fault = 'hang';
  let most = 0;
  for (let round = 0; round < 10; round += 1) {
    const answers = Array.from({ length: 50 }, (_, index) =>
      gateway.query(QUERY, { batchId: `${round}-${index}` }),
    );
    const all = clock.elapse(Promise.all(answers));
    while (!(await settled(all))) most = Math.max(most, proxy.connections);
    clock.advance(500);
  }
  // One more is that of the token; and one that the gateway has closed, the proxy sees a turn longer.
  expect(most).toBeGreaterThan(5);
  expect(most).toBeLessThanOrEqual(2 * 5 + 1);
  await expect.poll(() => proxy.connections).toBeLessThanOrEqual(1);
  // Nobody reads slowly: the look after that is the last one.
  clock.advance(1_000);
  expect(clock.pending).toBe(0);
});

/** Whether a promise has settled by the next turn. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const turn = new Promise<false>((resolve) => setImmediate(() => resolve(false)));
  return Promise.race([promise.then(() => true as const), turn]);
}
