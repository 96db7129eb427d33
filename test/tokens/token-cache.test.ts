import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { GrantedToken } from '../../src/tokens/client-credentials.ts';
import { TokenError } from '../../src/tokens/errors.ts';
import { type AccessToken, createTokenCache } from '../../src/tokens/token-cache.ts';
import { type ScriptedAnswer, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { STATUS_QUERY, startTestGateway, statusFailure } from '../support/test-gateway.ts';

const never = new AbortController().signal;

/** A token cache over a grant that a test scripts; tokens are named t-1, t-2, … */
function scriptedCache(lifetimeMs = 100_000) {
  const clock = new TestClock();
  const script = {
    calls: 0,
    lifetimeMs,
    answer: (granted: GrantedToken): Promise<GrantedToken> => Promise.resolve(granted),
  };
  const cache = createTokenCache({
    clock,
    telemetry: {},
    random: () => 0.5,
    grant: () => {
      script.calls += 1;
      return script.answer({ value: `t-${script.calls}`, lifetimeMs: script.lifetimeMs });
    },
  });
  const get = async () => (await cache.get(never)).value;
  return { cache, clock, script, get };
}

function unavailable(retryAfterMs?: number) {
  return new TokenError('unavailable', 'down', { requestId: 'r-1', retryAfterMs });
}

test('40: callers that come together share one token request', async () => {
  const { script, get } = scriptedCache();
  expect(await Promise.all(Array.from({ length: 1_000 }, get))).toEqual(
    Array.from({ length: 1_000 }, () => 't-1'),
  );
  expect(script.calls).toBe(1);
});

test('41: a token is renewed in the background in the last 10 % of its life, while the old one serves', async () => {
  const { clock, script, get } = scriptedCache(100_000);
  expect(await get()).toBe('t-1');
  // Half of the jitter: the window of 10 s begins 7.5 s before the end.
  clock.advance(92_499);
  expect(await get()).toBe('t-1');
  expect(script.calls).toBe(1);

  const { promise, resolve } = Promise.withResolvers<GrantedToken>();
  script.answer = () => promise;
  clock.advance(1);
  expect(await Promise.all([get(), get()])).toEqual(['t-1', 't-1']);
  expect(script.calls).toBe(2);
  resolve({ value: 't-2', lifetimeMs: 100_000 });
  await promise;
  expect(await get()).toBe('t-2');
  expect(script.calls).toBe(2);
});

test('41: a long-lived token is renewed at most 60 s before its end', async () => {
  const { clock, script, get } = scriptedCache(86_400_000);
  await get();
  clock.advance(86_400_000 - 60_001);
  await get();
  expect(script.calls).toBe(1);
  clock.advance(60_000);
  await get();
  expect(script.calls).toBe(2);
});

test('41: a hanging upstream that holds every connection does not keep the token from being renewed', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  upstream.onToken = () => ({ body: { data: { accessToken: 'token', expiresIn: 500 } } });
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: {
      UPSTREAM_MAX_CONNECTIONS: '1',
      UPSTREAM_TIMEOUT_MS: '600000',
      REQUEST_DEADLINE_MS: '600000',
    },
  });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'b-1' });
  upstream.onStatus = () => undefined;
  const leaving = new AbortController();
  const hanging = gateway.query(STATUS_QUERY, { participantType: 'vehicles' }, leaving.signal);
  await upstream.statusCallCount(2);
  clock.advance(500_000);
  const waiting = gateway.query(STATUS_QUERY, { participantType: 'drivers' }, leaving.signal);
  await upstream.tokenCallCount(2);

  leaving.abort();
  await expect(hanging).rejects.toThrow('aborted');
  await expect(waiting).rejects.toThrow('aborted');
});

test('42: a token refused once is renewed once, and the query succeeds', async () => {
  await using gateway = await startTestGateway();
  expect(
    await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'fault-401-once' }),
  ).toEqual({
    status: 200,
    body: { data: { batchStatus: { id: 'vehicles/fault-401-once', status: 'SUCCESS' } } },
  });
});

test('42: one renewal for all who wait, one retry each', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  const { promise: allThere, resolve } = Promise.withResolvers<void>();
  upstream.onStatus = async ({ headers }) => {
    if (headers['x-coreos-access'] !== 'token-1') return { body: { data: { status: 'DONE' } } };
    if (upstream.statusCalls.length === 10) resolve();
    await allThere;
    return { status: 401 };
  };
  const aliases = Array.from(
    { length: 10 },
    (_, index) =>
      `a${index}: batchStatus(participantType: "vehicles", batchId: "b-${index}") { status }`,
  );
  const { body } = await gateway.query(`{ ${aliases.join('\n')} }`);

  expect(body).toEqual({
    data: Object.fromEntries(aliases.map((_, index) => [`a${index}`, { status: 'DONE' }])),
  });
  expect(upstream.tokenCalls).toHaveLength(2);
  expect(upstream.statusCalls).toHaveLength(20);
});

test('42: an upstream that refuses every token is asked twice, never in a loop', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  const error = { code: '100100110003', description: 'Who are you?', additionalInfo: {} };
  upstream.onStatus = () => ({ status: 401, body: { error } });

  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
    statusFailure('Who are you?', {
      code: 'UPSTREAM_UNAUTHENTICATED',
      retryable: false,
      requestId: upstream.statusCalls[1]?.headers['x-coreos-request-id'],
      upstream: { status: 401, ...error },
    }),
  );
  expect(upstream.statusCalls).toHaveLength(2);
  expect(upstream.tokenCalls).toHaveLength(2);
});

test('42: while every token is refused, token calls do not follow the rate of the requests', async () => {
  const { cache, clock, script, get } = scriptedCache();
  const refuse = async (token: AccessToken) => (await cache.replace(token, never))?.value;
  for (let round = 0; round < 100; round += 1) await refuse(await cache.get(never));
  expect(script.calls).toBe(1 + 20);
  expect(await get()).toBe('t-21');
  clock.advance(2_000);
  expect(await refuse(await cache.get(never))).toBe('t-22');
  expect(await refuse(await cache.get(never))).toBeUndefined();
});

test('42: only the very token that was refused is invalidated, not a newer one', async () => {
  const { cache, script, get } = scriptedCache();
  const first = await cache.get(never);
  expect((await cache.replace(first, never))?.value).toBe('t-2');
  expect((await cache.replace(first, never))?.value).toBe('t-2');
  expect(await get()).toBe('t-2');
  expect(script.calls).toBe(2);
});

test('86: until there is a new token, a refused one serves the others; then the new one does', async () => {
  const { cache, script, get } = scriptedCache();
  const refused = await cache.get(never);
  const { promise, resolve } = Promise.withResolvers<GrantedToken>();
  script.answer = () => promise;
  const replaced = [cache.replace(refused, never), cache.replace(refused, never)];
  expect([await get(), cache.current()?.value]).toEqual(['t-1', 't-1']);
  resolve({ value: 'new', lifetimeMs: 100_000 });
  expect((await Promise.all(replaced)).map((token) => token?.value)).toEqual(['new', 'new']);
  expect([await get(), cache.current()?.value]).toEqual(['new', 'new']);
  expect(script.calls).toBe(2);
});

test.each(['refused', 'unavailable'] as const)(
  '86: a refused token serves the others to its end while no new one is to be had (%s)',
  async (kind) => {
    const { cache, clock, script, get } = scriptedCache(86_400_000);
    const refused = await cache.get(never);
    script.answer = () => Promise.reject(new TokenError(kind, 'no', { requestId: 'r-1' }));
    await expect(cache.replace(refused, never)).rejects.toMatchObject({ kind, retryAfterMs: 450 });
    expect([await get(), cache.state(), script.calls]).toEqual(['t-1', 'valid', 2]);
    // Not again before the wait is over.
    expect(await cache.replace(refused, never)).toBeUndefined();
    clock.advance(450);
    await expect(cache.replace(refused, never)).rejects.toMatchObject({ kind });
    expect([await get(), script.calls]).toEqual(['t-1', 3]);

    clock.advance(86_400_000 - 450 - 5_001);
    expect(await get()).toBe('t-1');
    clock.advance(30_000);
    await expect(get()).rejects.toMatchObject({ kind });
    expect(cache.state()).toBe('expired');
    clock.advance(30_000);
    script.answer = (granted) => Promise.resolve(granted);
    expect(await get()).toBe(`t-${script.calls}`);
  },
);

test('43: while the endpoint is down, the valid token serves on; after its end callers fail at once, with backoff', async () => {
  const { cache, clock, script, get } = scriptedCache(100_000);
  await get();
  script.answer = () => Promise.reject(unavailable());
  clock.advance(95_000);
  expect(await get()).toBe('t-1');
  expect(await get()).toBe('t-1');
  expect(script.calls).toBe(2);
  clock.advance(5_000);
  await expect(get()).rejects.toMatchObject({ kind: 'unavailable' });
  expect(cache.state()).toBe('expired');

  // The waits double, from half a second to half a minute, less a tenth here by the jitter.
  for (const waitMs of [900, 1_800, 3_600, 7_200, 14_400, 27_000, 27_000]) {
    const calls = script.calls;
    await expect(get()).rejects.toMatchObject({ retryAfterMs: waitMs });
    expect(script.calls).toBe(calls);
    clock.advance(waitMs);
    await expect(get()).rejects.toBeInstanceOf(TokenError);
    expect(script.calls).toBe(calls + 1);
  }
  clock.advance(30_000);
  script.answer = (granted) => Promise.resolve(granted);
  expect(await get()).toBe(`t-${script.calls}`);
});

test('43: a refusal while the endpoint is down does not take away the token that serves the others', async () => {
  const { cache, clock, script, get } = scriptedCache();
  const token = await cache.get(never);
  script.answer = () => Promise.reject(unavailable(3_000_000));
  await expect(cache.replace(token, never)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(await get()).toBe('t-1');
  expect(await cache.replace(token, never)).toBeUndefined();
  expect(script.calls).toBe(2);
  clock.advance(60_000);
  script.answer = (granted) => Promise.resolve(granted);
  expect((await cache.replace(token, never))?.value).toBe('t-3');
});

test("43: the endpoint's own Retry-After is waited for when it is longer", async () => {
  const { clock, script, get } = scriptedCache();
  script.answer = () => Promise.reject(unavailable(60_000));
  await expect(get()).rejects.toMatchObject({ retryAfterMs: 60_000 });
  clock.advance(59_999);
  await expect(get()).rejects.toMatchObject({ retryAfterMs: 1 });
  expect(script.calls).toBe(1);
});

test('43: a token endpoint that is down is TOKEN_UNAVAILABLE, and no upstream call', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  upstream.onToken = () => ({ status: 503, headers: { 'retry-after': '3' } });
  await using gateway = await startTestGateway({ upstream, clock });
  const failure = statusFailure(
    "The gateway has no access token: the token endpoint's answer has the status 503.",
    { code: 'TOKEN_UNAVAILABLE', retryable: true, retryAfterMs: 3_000 },
  );

  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(failure);
  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(failure);
  expect(upstream.tokenCalls).toHaveLength(1);
  expect(upstream.statusCalls).toEqual([]);
});

const odd: [name: string, answer: ScriptedAnswer, message: string | undefined][] = [
  ['no expiresIn', { body: { data: { accessToken: 't' } } }, undefined],
  ['expiresIn null', { body: { data: { accessToken: 't', expiresIn: null } } }, undefined],
  ['expiresIn as a string', { body: { data: { accessToken: 't', expiresIn: '60' } } }, undefined],
  ['a huge expiresIn', { body: { data: { accessToken: 't', expiresIn: 1e300 } } }, undefined],
  [
    'expiresIn 0',
    { body: { data: { accessToken: 't', expiresIn: 0 } } },
    'makes no sense: the token is expired when issued',
  ],
  [
    'a negative expiresIn',
    { body: { data: { accessToken: 't', expiresIn: -1 } } },
    "makes no sense as a token endpoint's",
  ],
  [
    'expiresIn that is no number',
    { body: { data: { accessToken: 't', expiresIn: 'soon' } } },
    "makes no sense as a token endpoint's",
  ],
  [
    'an empty token',
    { body: { data: { accessToken: '', expiresIn: 60 } } },
    "makes no sense as a token endpoint's",
  ],
  [
    'a token with a line break',
    { body: { data: { accessToken: 'a\r\nb', expiresIn: 60 } } },
    'makes no sense: the token is not one word of ASCII',
  ],
  [
    'HTML',
    { headers: { 'content-type': 'text/html' }, body: '<html>' },
    "makes no sense as a token endpoint's",
  ],
  ['an empty body', { body: '' }, "makes no sense as a token endpoint's"],
  ['a redirect', { status: 302, headers: { location: '/' } }, 'has the status 302'],
  ['404', { status: 404, body: 'nothing here' }, 'has the status 404'],
];

for (const [name, answer, problem] of odd) {
  test(`44: a token answer with ${name} is ${problem ? 'refused' : 'given a safe lifetime'}`, async () => {
    await using upstream = await startScriptedUpstream();
    upstream.onToken = () => answer;
    await using gateway = await startTestGateway({ upstream });
    const { body } = await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
    if (problem === undefined) {
      expect(body).toEqual({ data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } });
      return;
    }
    expect(body).toHaveProperty(
      'errors.0.message',
      `The gateway has no access token: the token endpoint's answer ${problem}.`,
    );
    expect(body).toHaveProperty('errors.0.extensions.code', 'TOKEN_UNAVAILABLE');
    expect(upstream.statusCalls).toEqual([]);
  });
}

test('44: a token without a lifetime is kept for a minute, one for ever for a day', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  upstream.onToken = () => ({ body: { data: { accessToken: 'brief' } } });
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: { STATUS_TTL_MS: '0' },
  });
  const ask = () => gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  await ask();
  upstream.onToken = () => ({ body: { data: { accessToken: 'for-ever', expiresIn: 1e300 } } });
  clock.advance(60_000);
  await ask();
  clock.advance(86_400_000 - 60_001);
  await ask();
  upstream.onToken = () => ({ body: { data: { accessToken: 'next', expiresIn: 60 } } });
  clock.advance(60_001);
  await ask();

  expect(upstream.statusCalls.map((call) => call.headers['x-coreos-access'])).toEqual([
    'brief',
    'for-ever',
    'for-ever',
    'next',
  ]);
});

test('45: refused credentials are UPSTREAM_UNAUTHENTICATED, without a storm on the endpoint', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  upstream.onToken = () => ({
    status: 401,
    body: { error: { code: '100100210003', description: 'secret canary-client-secret is wrong' } },
  });
  await using gateway = await startTestGateway({ upstream, clock });
  const ask = () => gateway.query(STATUS_QUERY, { participantType: 'vehicles' });

  const answers = await Promise.all(Array.from({ length: 50 }, ask));
  expect(answers[0]).toEqual(
    statusFailure(
      'The gateway could not identify itself: the token endpoint refused the credentials (401 invalid_client).',
      {
        code: 'UPSTREAM_UNAUTHENTICATED',
        retryable: false,
        requestId: upstream.tokenCalls[0]?.headers['x-coreos-request-id'],
      },
    ),
  );
  expect(upstream.tokenCalls).toHaveLength(1);
  clock.advance(600);
  await ask();
  await ask();
  expect(upstream.tokenCalls).toHaveLength(2);
});

test('45: a secret file is read anew when the credentials are refused, and the query succeeds', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'participant-gateway-'));
  const file = join(folder, 'secret');
  await writeFile(file, 'old-secret\n');
  await using upstream = await startScriptedUpstream();
  let valid = 'old-secret';
  upstream.onToken = ({ body }) =>
    JSON.parse(body).clientSecret === valid
      ? { body: { data: { accessToken: `for-${valid}`, expiresIn: 60 } } }
      : { status: 401 };
  const clock = new TestClock();
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: {
      TOKEN_CLIENT_SECRET: '',
      TOKEN_CLIENT_SECRET_FILE: file,
      STATUS_TTL_MS: '0',
    },
  });
  const ask = async () => (await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).body;
  const success = { data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } };

  expect(await ask()).toEqual(success);
  valid = 'new-secret';
  await writeFile(file, 'new-secret\n');
  clock.advance(60_000);
  expect(await ask()).toEqual(success);
  expect(upstream.statusCalls.map((call) => call.headers['x-coreos-access'])).toEqual([
    'for-old-secret',
    'for-new-secret',
  ]);
  expect(gateway.logLines.join('')).not.toMatch(/old-secret|new-secret/);
  await rm(folder, { recursive: true });
});

test('45: a secret file that is empty when it is needed is TOKEN_UNAVAILABLE, and no token call', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'participant-gateway-'));
  const file = join(folder, 'secret');
  await writeFile(file, '\n');
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { TOKEN_CLIENT_SECRET: '', TOKEN_CLIENT_SECRET_FILE: file },
    readFile: () => Buffer.from('what it held at the start'),
  });
  const { body } = await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });

  expect(body).toHaveProperty(
    'errors.0.message',
    'The gateway has no access token: the client secret cannot be read from its file, which is empty.',
  );
  expect(body).toHaveProperty('errors.0.extensions.code', 'TOKEN_UNAVAILABLE');
  expect(upstream.tokenCalls).toEqual([]);
  await rm(folder, { recursive: true });
});

test('46: an aborted caller does not cancel the token request that others share', async () => {
  const { cache, script } = scriptedCache();
  const { promise, resolve } = Promise.withResolvers<GrantedToken>();
  script.answer = () => promise;
  const leaving = new AbortController();
  const gone = cache.get(leaving.signal);
  const staying = cache.get(never);
  leaving.abort(new Error('gone'));
  await expect(gone).rejects.toThrow('gone');
  resolve({ value: 't-1', lifetimeMs: 1_000 });
  expect((await staying).value).toBe('t-1');
  expect(script.calls).toBe(1);
});

test('47: a step of the wall clock by an hour does not touch the token', async () => {
  const { clock, script, get } = scriptedCache(100_000);
  await get();
  clock.stepWallClock(3_600_000);
  expect(await get()).toBe('t-1');
  clock.stepWallClock(-7_200_000);
  clock.advance(99_000);
  expect(await get()).toBe('t-2');
  expect(script.calls).toBe(2);
});

test('the os1 token request is as documented', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { TOKEN_AUDIENCE: 'https://api.example' },
  });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  const [call] = upstream.tokenCalls;

  expect(call?.target).toBe('/core/api/v1/aaa/auth/client-credentials');
  expect(JSON.parse(call?.body ?? '')).toEqual({
    clientId: 'gateway',
    clientSecret: 'canary-client-secret',
    audience: 'https://api.example',
  });
  expect(call?.headers).toEqual({
    accept: 'application/json',
    'content-type': 'application/json',
    'content-length': expect.any(String),
    connection: 'keep-alive',
    host: upstream.url.host,
    'x-coreos-request-id': expect.stringMatching(/^[\da-f-]{36}$/),
  });
});
