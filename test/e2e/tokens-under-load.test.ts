import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { watchRequests } from '../support/requests-under-way.ts';
import {
  type ScriptedAnswer,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import {
  CLIENT_SECRET,
  STATUS_QUERY,
  startTestGateway,
  statusFailure,
} from '../support/test-gateway.ts';

/** A gateway that keeps no copies, so that each query needs a token, on a clock that stands still. */
async function startLoaded(environment: Record<string, string> = {}) {
  const clock = new TestClock();
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startScriptedUpstream());
  upstream.onToken = granting(60);
  const gateway = stack.use(
    await startTestGateway({
      upstream,
      clock,
      environment: { STATUS_TTL_MS: '0', STATUS_STALE_MS: '0', ...environment },
    }),
  );
  let batches = 0;
  return {
    clock,
    upstream,
    gateway,
    /** Queries that come together, each for another batch, and what each has to be answered. */
    async wave(expected: (batchId: string) => object, queries = 50): Promise<void> {
      const batchIds = Array.from({ length: queries }, (_, index) => `b-${batches + index}`);
      batches += queries;
      const answers = batchIds.map((batchId) =>
        gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId }),
      );
      expect(await Promise.all(answers)).toEqual(batchIds.map(expected));
    },
    /** Milliseconds that the next token call has to wait, from when the last one failed. */
    backoffMs(): number {
      const lines = gateway.logLines.map((line) => JSON.parse(line));
      return lines.findLast(({ msg }) => msg === 'no access token')?.retryAfterMs;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Grants token-1, token-2, … for so many seconds each. */
function granting(expiresIn: number): ScriptedUpstream['onToken'] {
  let issued = 0;
  return () => {
    issued += 1;
    return { body: { data: { accessToken: `token-${issued}`, expiresIn } } };
  };
}

function success(batchId: string) {
  const batchStatus = { id: `vehicles/${batchId}`, status: 'IN_PROGRESS' };
  return { status: 200, body: { data: { batchStatus } } };
}

function unavailable(problem: string) {
  return () =>
    statusFailure(`The gateway has no access token: the token endpoint's answer ${problem}.`, {
      code: 'TOKEN_UNAVAILABLE',
      retryable: true,
      retryAfterMs: expect.any(Number),
    });
}

const refused = () =>
  statusFailure(
    'The gateway could not identify itself: the token endpoint refused the credentials (401 invalid_client).',
    { code: 'UPSTREAM_UNAUTHENTICATED', retryable: false },
  );

/** Between calls that fail there are waits, doubling up to half a minute, less a fifth at most. */
function expectBackoff(moments: readonly number[]): void {
  moments.slice(1).forEach((moment, index) => {
    const waitMs = Math.min(500 * 2 ** index, 30_000);
    expect(moment - (moments[index] ?? 0)).toBeGreaterThanOrEqual(0.8 * waitMs);
  });
}

test('41: tokens of 5 s under load: no query fails or waits, one token call per lifetime, ahead of its end', async () => {
  await using loaded = await startLoaded();
  const { clock, upstream, wave } = loaded;
  const endsAt = new Map<string, number>();
  // It takes its time. Whoever waits for it would wait for ever, because the clock stands still.
  upstream.onToken = async () => {
    const accessToken = `token-${upstream.tokenCalls.length}`;
    endsAt.set(accessToken, clock.now() + 5_000);
    if (endsAt.size > 1) await new Promise<void>((resolve) => clock.after(50, resolve));
    return { body: { data: { accessToken, expiresIn: 5 } } };
  };
  const { onStatus } = upstream;
  upstream.onStatus = (call, response) =>
    (endsAt.get(String(call.headers['x-coreos-access'])) ?? 0) > clock.now()
      ? onStatus(call, response)
      : { status: 401 };

  const begun = clock.now();
  while (clock.now() < begun + 50_000) {
    await wave(success, 10);
    // There is a moment between the renewal and the end that is not stepped over.
    const leftMs = Math.max(...endsAt.values()) - clock.now();
    clock.advance(leftMs > 1_000 ? 500 : 140);
  }
  // Each serves for 4.5 s at least.
  expect(endsAt.size).toBeGreaterThanOrEqual(10);
  expect(endsAt.size).toBeLessThanOrEqual(12);
});

test('42: a token that is refused under load is replaced once for all who carry it, and each call is made once more', async () => {
  await using loaded = await startLoaded();
  const { upstream, wave } = loaded;
  await wave(success, 1);
  upstream.statusCalls.length = 0;
  const { onStatus } = upstream;
  const [allThere, lateOnes] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let carried = 0;
  upstream.onStatus = async (call, response) => {
    if (call.headers['x-coreos-access'] !== 'token-1') return onStatus(call, response);
    carried += 1;
    const late = carried % 2 === 0;
    if (carried === 60) allThere.resolve();
    await (late ? lateOnes : allThere).promise;
    return { status: 401 };
  };

  const answered = wave(success, 60);
  // Half of them are refused at once, and carry the new token by now; the others when that is in use.
  await upstream.statusCallCount(60 + 30);
  await wave(success);
  lateOnes.resolve();
  await answered;
  await wave(success);
  expect(upstream.tokenCalls).toHaveLength(2);
  expect(upstream.statusCalls).toHaveLength(60 + 60 + 50 + 50);
  const tokens = upstream.statusCalls.map(({ headers }) => headers['x-coreos-access']);
  expect(tokens.filter((token) => token === 'token-1')).toHaveLength(60);
  expect(tokens.filter((token) => token === 'token-2')).toHaveLength(60 + 50 + 50);
});

test('43: while the endpoint is down, load is served with the token that there is; after its end each query fails at once, until the endpoint is back', async () => {
  await using loaded = await startLoaded();
  const { clock, upstream, gateway, wave } = loaded;
  await wave(success);
  const askedAt: number[] = [];
  upstream.onToken = () => {
    askedAt.push(clock.now());
    return { status: 503 };
  };
  clock.advance(53_000);
  for (let ms = 0; ms < 5_500; ms += 500) {
    await wave(success, 10);
    clock.advance(500);
  }
  expect(askedAt.length).toBeGreaterThan(1);
  clock.advance(500);
  const { length } = upstream.statusCalls;
  for (let seconds = 0; seconds < 60; seconds += 2) {
    await wave(unavailable('has the status 503'), 10);
    clock.advance(2_000);
  }
  expect(upstream.statusCalls).toHaveLength(length);
  expect(askedAt.length).toBeLessThanOrEqual(8);
  expectBackoff(askedAt);

  const { body } = await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  const failure: { errors: { extensions: { retryAfterMs: number } }[] } = JSON.parse(
    JSON.stringify(body),
  );
  upstream.onToken = granting(60);
  upstream.tokenCalls.length = 0;
  clock.advance((failure.errors[0]?.extensions.retryAfterMs ?? 0) - 1);
  await wave(unavailable('has the status 503'));
  expect(upstream.tokenCalls).toEqual([]);
  clock.advance(1);
  await wave(success);
  expect(upstream.tokenCalls).toHaveLength(1);
});

test('44: nonsense from the endpoint after the end of a token is told to all, is no reason for a storm, and is over when it is over', async () => {
  await using loaded = await startLoaded();
  const { clock, upstream, wave, backoffMs } = loaded;
  await wave(success);
  const token = (data: object): ScriptedAnswer => ({ body: { data } });
  const nonsense: [answer: ScriptedAnswer, problem: string][] = [
    [{ body: '<html>' }, "makes no sense as a token endpoint's"],
    [{ body: 'null' }, "makes no sense as a token endpoint's"],
    [token({ accessToken: 'token', expiresIn: -1 }), "makes no sense as a token endpoint's"],
    [
      token({ accessToken: 'token', expiresIn: 0 }),
      'makes no sense: the token is expired when issued',
    ],
    [
      token({ accessToken: 'a\r\nb', expiresIn: 60 }),
      'makes no sense: the token is not one word of ASCII',
    ],
    [{ status: 302, headers: { location: '/' } }, 'has the status 302'],
  ];
  clock.advance(60_000);
  for (const [answer, problem] of nonsense) {
    upstream.onToken = () => answer;
    upstream.tokenCalls.length = 0;
    await wave(unavailable(problem));
    await wave(unavailable(problem));
    expect(upstream.tokenCalls).toHaveLength(1);
    clock.advance(backoffMs());
  }
  upstream.onToken = granting(60);
  await wave(success);
  expect(upstream.tokenCalls).toHaveLength(2);
  expect(upstream.statusCalls).toHaveLength(50 + 50);
});

test('45: while the credentials are refused under load, there is no storm on the endpoint, and the secret is in no log line', async () => {
  await using loaded = await startLoaded();
  const { clock, upstream, gateway, wave } = loaded;
  const askedAt: number[] = [];
  upstream.onToken = ({ body }) => {
    askedAt.push(clock.now());
    return { status: 401, body: { error: { description: `${body} is wrong` } } };
  };
  for (let seconds = 0; seconds < 60; seconds += 2) {
    await wave(refused, 10);
    clock.advance(2_000);
  }
  expect(upstream.tokenCalls[0]?.body).toContain(CLIENT_SECRET);
  expect(gateway.logLines.join('')).not.toContain(CLIENT_SECRET);
  expect(upstream.statusCalls).toEqual([]);
  expect(askedAt.length).toBeLessThanOrEqual(8);
  expectBackoff(askedAt);
});

const HTML = { headers: { 'content-type': 'text/html' }, body: '<html>Request blocked</html>' };

/** How the endpoint answers for a new token, and what the one request is told that needs it. */
const REFUSALS: [name: string, answer: ScriptedAnswer | undefined, failure: unknown][] = [
  ['refuses', { status: 401, body: { error: { code: '100100210003' } } }, refused()],
  [
    'is behind a WAF that answers 403',
    { status: 403, ...HTML },
    unavailable('has the status 403')(),
  ],
  [
    'is behind a proxy that answers 401',
    { status: 401, ...HTML },
    unavailable('has the status 401')(),
  ],
  ['is down', { status: 503 }, unavailable('has the status 503')()],
  ['hangs', undefined, 'gone'],
];

test.each(REFUSALS)(
  '86: beside a batch that is answered 401 while the token endpoint %s, 1,000 requests of others are all served',
  async (_, answer, failure) => {
    await using loaded = await startLoaded();
    const { upstream, gateway, wave } = loaded;
    const { onStatus } = upstream;
    upstream.onToken = granting(86_400);
    upstream.onStatus = (call, response) =>
      call.target.endsWith('batchId=odd') ? { status: 401 } : onStatus(call, response);
    await wave(success, 1);
    upstream.onToken = () => answer;

    const leaving = new AbortController();
    const odd = { participantType: 'vehicles', batchId: 'odd' };
    const alone = gateway.query(STATUS_QUERY, odd, leaving.signal).catch(() => 'gone');
    await upstream.tokenCallCount(2);
    for (let waves = 0; waves < 5; waves += 1) await wave(success, 100);
    if (answer === undefined) leaving.abort();
    expect(await alone).toEqual(failure);
    for (let waves = 0; waves < 5; waves += 1) {
      await Promise.all([
        wave(success, 100),
        gateway.query(STATUS_QUERY, odd, leaving.signal).catch(() => 'gone'),
      ]);
    }
    expect(upstream.tokenCalls).toHaveLength(2);
    const tokens = upstream.statusCalls.map(({ headers }) => headers['x-coreos-access']);
    expect(new Set(tokens)).toEqual(new Set(['token-1']));
  },
);

/** A gateway whose secret is in a file, and an endpoint that takes the secret that a test says. */
async function startWithSecretFile() {
  const folder = await mkdtemp(join(tmpdir(), 'participant-gateway-'));
  const file = join(folder, 'secret');
  await writeFile(file, 'old-secret\n');
  const loaded = await startLoaded({ TOKEN_CLIENT_SECRET: '', TOKEN_CLIENT_SECRET_FILE: file });
  const endpoint = { accepts: 'old-secret' };
  loaded.upstream.onToken = ({ body }) =>
    JSON.parse(body).clientSecret === endpoint.accepts
      ? { body: { data: { accessToken: `for-${endpoint.accepts}`, expiresIn: 60 } } }
      : { status: 401 };
  return {
    ...loaded,
    endpoint,
    changeFile: () => writeFile(file, 'new-secret\n'),
    expectNoSecretInLog() {
      expect(loaded.gateway.logLines.join('')).not.toMatch(/old-secret|new-secret/);
    },
    async [Symbol.asyncDispose]() {
      await loaded[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

test('45: a secret file that changes before its old secret is refused costs no query under load', async () => {
  await using loaded = await startWithSecretFile();
  const { clock, upstream, endpoint, wave } = loaded;
  await wave(success);
  endpoint.accepts = 'new-secret';
  await loaded.changeFile();
  clock.advance(53_000);
  for (let ms = 0; ms < 10_000; ms += 500) {
    await wave(success, 10);
    clock.advance(500);
  }
  const tokens = upstream.statusCalls.map(({ headers }) => headers['x-coreos-access']);
  expect(new Set(tokens)).toEqual(new Set(['for-old-secret', 'for-new-secret']));
  // The refusal, and the same again with the new secret.
  expect(upstream.tokenCalls).toHaveLength(1 + 2);
  loaded.expectNoSecretInLog();
});

test('45: a secret file that changes after its old secret was refused is read at the next try', async () => {
  await using loaded = await startWithSecretFile();
  const { clock, upstream, endpoint, wave } = loaded;
  await wave(success);
  endpoint.accepts = 'new-secret';
  clock.advance(60_000);
  await wave(refused);
  expect(upstream.tokenCalls).toHaveLength(2);
  await loaded.changeFile();
  clock.advance(loaded.backoffMs() - 1);
  await wave(refused);
  expect(upstream.tokenCalls).toHaveLength(2);
  clock.advance(1);
  await wave(success);
  expect(upstream.tokenCalls).toHaveLength(2 + 2);
  loaded.expectNoSecretInLog();
});

test('46: of 100 clients, half go away while the token is asked for: the others are answered, by one token call', async () => {
  await using loaded = await startLoaded();
  const { clock, upstream, gateway } = loaded;
  using underWay = watchRequests(gateway.url);
  const grant = granting(60);
  const clients = Array.from({ length: 100 }, (_, client) => ({
    batchId: `b-${client}`,
    leaves: client % 2 === 0,
  }));
  // The first token is asked for by the gateway itself, the second by the first client that comes.
  for (const round of [1, 2]) {
    const granted = Promise.withResolvers<void>();
    upstream.onToken = (call, response) => granted.promise.then(() => grant(call, response));
    const leaving = new AbortController();
    const answers = clients.map(({ batchId, leaves }) => {
      const variables = { participantType: 'vehicles', batchId };
      return gateway.query(STATUS_QUERY, variables, leaves ? leaving.signal : undefined);
    });
    const settled = Promise.allSettled(answers);
    await underWay.count(100);
    leaving.abort();
    await underWay.count(50);
    granted.resolve();

    expect(await settled).toEqual(
      clients.map(({ batchId, leaves }) =>
        leaves
          ? { status: 'rejected', reason: leaving.signal.reason }
          : { status: 'fulfilled', value: success(batchId) },
      ),
    );
    expect(upstream.tokenCalls).toHaveLength(round);
    expect(upstream.statusCalls).toHaveLength(50 * round);
    clock.advance(60_000);
  }
});

test('47: steps of the wall clock by an hour, to and fro under load, cost no query and no token call', async () => {
  await using loaded = await startLoaded();
  const { clock, upstream, wave } = loaded;
  const { onStatus } = upstream;
  for (const hours of [1, -1, -1, 1, 5, -9]) {
    const stepped = Promise.withResolvers<void>();
    upstream.onStatus = (call, response) => stepped.promise.then(() => onStatus(call, response));
    upstream.statusCalls.length = 0;
    const answered = wave(success);
    await upstream.statusCallCount(50);
    clock.stepWallClock(hours * 3_600_000);
    stepped.resolve();
    await answered;
    await wave(success);
    clock.advance(8_000);
  }
  expect(upstream.tokenCalls).toHaveLength(1);
  // Nor do they keep it from being renewed in time.
  clock.advance(10_000);
  await wave(success);
  await upstream.tokenCallCount(2);
  await wave(success);
  expect(upstream.tokenCalls).toHaveLength(2);
});
