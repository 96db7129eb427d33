import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parseSettings } from '../../src/config/load.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { rateKey, sharedRateKey } from '../../src/server/guards/rate-limit.ts';
import { serviceIdOf } from '../../src/tenants/services.ts';
import { createCertificateAuthority } from '../support/certificates.ts';
import { runProgram } from '../support/child-process.ts';
import { openStream } from '../support/event-stream.ts';
import { startFleet, startLoad, untilUsed } from '../support/fleet.ts';
import { startRedis } from '../support/redis.ts';
import {
  ECHO,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { environmentFor, STATUS_QUERY, sendBody } from '../support/test-gateway.ts';
import { turns } from '../support/turns.ts';

const B1 = { participantType: 'vehicles', batchId: 'b-1' };
const UPDATES = `subscription { batchStatusUpdates(
  batches: [{ participantType: "vehicles", batchId: "b-1" }]
) { batchStatus { successCount } } }`;
const PREFIX = 'participant-gateway:1';
/** Stands where the digest of the upstream's address is: see {@link keyed}. */
const SERVICE = '<service>';
const ID = `["tenant-1","${SERVICE}","vehicles","b-1",null]`;
const STATUS_KEY = `${PREFIX}:status:{${ID}}`;
const LOCK_KEY = `${PREFIX}:lock:{${ID}}`;
const RATE_KEY = `${PREFIX}:rate:${sharedRateKey('tenant-1', rateKey('tenant-1', { address: '127.0.0.1' }))}`;

const good = (status: string) => ({
  status: 200,
  body: { data: { batchStatus: { id: 'vehicles/b-1', status } } },
});

/** A text with keys of what is shared of an upstream. */
function keyed({ url }: Pick<ScriptedUpstream, 'url'>, text: string): string {
  const { participantService } = parseSettings(environmentFor(url), () => Buffer.of());
  if (participantService === undefined) throw new Error('there is no service');
  return text.replaceAll(SERVICE, serviceIdOf(participantService));
}

/** What a replica would have written. */
function written(
  status: string,
  { fresh = 60_000, life = 60_000, id = ID, more = '' } = {},
): string {
  const body = JSON.stringify({ data: { status }, request: ECHO });
  return `1 ${fresh} ${life} 1769860800000 ${id}\n${body}${more}`;
}

test('52: four replicas make at most 1.1 calls in a TTL for one batch, however many ask', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = async () => {
    await turns(50);
    return { body: { data: { status: 'IN_PROGRESS' }, request: ECHO } };
  };
  const ttlMs = 500;
  const environment = { STATUS_TTL_MS: `${ttlMs}`, LOG_LEVEL: 'warn' };
  await using fleet = await startFleet({ replicas: 4, redis, upstream, environment });
  const begunAt = performance.now();
  const load = startLoad(fleet.gateways, 8, 1);
  // All clients have their first answer.
  await load.next(8);
  await upstream.statusCallCount(10);
  const ttls = (performance.now() - begunAt) / ttlMs;
  const calls = upstream.statusCalls.length;
  await load[Symbol.asyncDispose]();

  expect(load.failures).toEqual([]);
  expect(calls).toBeLessThanOrEqual(Math.ceil(1.1 * ttls));
});

test('52: followers on four replicas are told each change by at most 1.1 calls in an interval', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  const totalCount = 1_000;
  upstream.onStatus = async () => {
    const data = { status: 'IN_PROGRESS', totalCount, successCount: upstream.statusCalls.length };
    await turns(50);
    return { body: { data, request: ECHO } };
  };
  const intervalMs = 500;
  const environment = { FOLLOW_MIN_MS: `${intervalMs}`, STATUS_TTL_MS: `${intervalMs}` };
  await using fleet = await startFleet({ replicas: 4, redis, upstream, environment });
  const begunAt = performance.now();
  const streams = await Promise.all(
    fleet.gateways.map((gateway) => openStream(gateway, { query: UPDATES })),
  );
  const changes = 10;
  const told = await Promise.all(
    streams.map(async (stream) => {
      const news: unknown[] = [];
      while (news.length < changes) news.push(await stream.data());
      return news;
    }),
  );
  const intervals = (performance.now() - begunAt) / intervalMs;
  const calls = upstream.statusCalls.length;
  for (const stream of streams) await stream[Symbol.asyncDispose]();

  // As many changes on each of four replicas as there were calls from all of them together.
  expect(told.map((news) => new Set(news.map((one) => JSON.stringify(one))).size)).toEqual([
    changes,
    changes,
    changes,
    changes,
  ]);
  expect(calls).toBeLessThanOrEqual(Math.ceil(1.1 * intervals) + 1);
  // Where nobody follows, nobody listens.
  await expect.poll(() => redis.command('PUBSUB', 'CHANNELS')).toEqual([]);
});

test.each([
  ['Redis', 0.1],
  // A quarter of the rate is counted in windows of a second.
  ['memory, while Redis is away', 1],
])(
  '52: a caller has one rate on four replicas, counted in %s (API4:2023)',
  async (where, windowSeconds) => {
    await using redis = await startRedis();
    await using upstream = await startScriptedUpstream();
    const environment = {
      RATE_LIMIT_PER_SECOND: '20',
      RATE_LIMIT_BURST: '40',
      REPLICAS: '4',
      STATUS_TTL_MS: '60000',
    };
    await using fleet = await startFleet({ replicas: 4, redis, upstream, environment });
    if (where !== 'Redis') {
      await redis.kill();
      await expect
        .poll(async () => JSON.stringify(await fleet.readiness()))
        .toMatch(/(?:degraded.*){4}/);
    }
    const begunAt = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, index) => fleet.gateways[index % 4]?.query(STATUS_QUERY, B1)),
    );
    const seconds = (performance.now() - begunAt) / 1_000;
    const admitted = answers.filter((answer) => answer?.status === 200).length;
    const refused = answers.filter((answer) => answer?.status === 429).length;
    expect(admitted + refused).toBe(400);
    // The last window may have just begun.
    expect(admitted).toBeLessThanOrEqual(40 + 20 * (seconds + windowSeconds) + 4);
    expect(admitted).toBeGreaterThanOrEqual(40);
  },
);

/** A replica that can be killed. */
async function startReplica(upstream: URL, environment: Record<string, string>) {
  const tenant = Object.entries(environmentFor(upstream)).map(([name, text]) => [name, `${text}`]);
  const program = runProgram('test/support/replica.ts', {
    ...Object.fromEntries(tenant),
    ...environment,
    PORT: '0',
  });
  const [, endpoint = ''] = await program.printed(/^endpoint (.+)$/m);
  return { program, endpoint: new URL(endpoint) };
}

test('50: when the replica that fetches for all is killed, another takes over within the time of its lock', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  // The lock lasts for 2.5 s; without an end of it, the other would wait for 58 s.
  const times = { UPSTREAM_TIMEOUT_MS: '2000', REQUEST_DEADLINE_MS: '60000' };
  const environment = { REDIS_URL: redis.url.href, ...times };
  const { program, endpoint } = await startReplica(upstream.url, environment);
  await using killed = program;
  await untilUsed(redis, 1);
  await using fleet = await startFleet({
    replicas: 1,
    redis,
    upstream,
    environment,
    isConnected: false,
  });
  await untilUsed(redis, 2);
  // The first call is never answered.
  upstream.onStatus = () =>
    upstream.statusCalls.length === 1
      ? undefined
      : { body: { data: { status: 'IN_PROGRESS' }, request: ECHO } };
  const lost = fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: STATUS_QUERY, variables: B1 }),
  }).catch(() => 'killed');
  await upstream.statusCallCount(1);
  killed.process.kill('SIGKILL');
  expect(await lost).toBe('killed');
  expect(await redis.keys()).toContain(keyed(upstream, LOCK_KEY));
  const begunAt = performance.now();
  expect(await fleet.gateways[0]?.query(STATUS_QUERY, B1)).toEqual(good('IN_PROGRESS'));
  expect(performance.now() - begunAt).toBeLessThan(20_000);
  expect(upstream.statusCalls).toHaveLength(2);
});

/** What an update of UPDATES tells. */
function countIn(news: unknown): number {
  return Number(/"successCount":(\d+)/.exec(JSON.stringify(news))?.[1]);
}

test('50: when the replica that polls is killed in a poll, the followers of another are told on', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  const environment = {
    REDIS_URL: redis.url.href,
    UPSTREAM_TIMEOUT_MS: '1000',
    REQUEST_DEADLINE_MS: '60000',
    FOLLOW_MIN_MS: '200',
  };
  const { program, endpoint } = await startReplica(upstream.url, environment);
  await using killed = program;
  await untilUsed(redis, 1);
  // It was the first that asked for a token.
  const isOfKilled = (headers: object) => Reflect.get(headers, 'x-coreos-access') === 'token-1';
  let isToDie = false;
  upstream.onStatus = ({ headers }) => {
    if (isToDie && isOfKilled(headers)) {
      killed.process.kill('SIGKILL');
      return undefined;
    }
    const data = {
      status: 'IN_PROGRESS',
      totalCount: 9_999,
      successCount: upstream.statusCalls.length,
    };
    return { body: { data, request: ECHO } };
  };
  await using fleet = await startFleet({
    replicas: 1,
    redis,
    upstream,
    environment,
    isConnected: false,
  });
  await untilUsed(redis, 2);
  const lost = await openStream({ endpoint }, { query: UPDATES });
  await lost.data();
  const [gateway] = fleet.gateways;
  if (gateway === undefined) throw new Error('there is no replica');
  await using followed = await openStream(gateway, { query: UPDATES });
  await followed.data();
  isToDie = true;
  await killed.exited;
  const atKill = upstream.statusCalls.length;
  const begunAt = performance.now();
  // What was told before is read first.
  let count: number;
  do count = countIn(await followed.data());
  while (count <= atKill);
  // Within the time of the lock, on a machine that may be busy.
  expect(performance.now() - begunAt).toBeLessThan(20_000);
});

test('a status that another replica wrote is served, for as long as it is still fresh', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  const environment = { STATUS_TTL_MS: '60000' };
  await using fleet = await startFleet({ replicas: 1, redis, upstream, environment });
  const [gateway] = fleet.gateways;
  // It has lived for 59.5 of the 60 s in which it is fresh.
  const plant = ['SET', STATUS_KEY, written('OF_ANOTHER', { life: 120_000 }), 'PX', '60500'];
  await redis.command(...plant.map((word) => keyed(upstream, word)));
  expect(await gateway?.query(STATUS_QUERY, B1)).toEqual(good('OF_ANOTHER'));
  expect(upstream.statusCalls).toHaveLength(0);
  await expect.poll(() => gateway?.query(STATUS_QUERY, B1)).toEqual(good('IN_PROGRESS'));
  expect(upstream.statusCalls).toHaveLength(1);
});

test('92: while the upstream fails, a replica that has just started serves the last status of the others', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = () => ({ status: 500, body: {} });
  await using fleet = await startFleet({ replicas: 1, redis, upstream });
  const plant = ['SET', STATUS_KEY, written('OF_ANOTHER', { fresh: 1_000 }), 'PX', '30000'];
  await redis.command(...plant.map((word) => keyed(upstream, word)));
  const query = '{ batchStatus(participantType: "vehicles", batchId: "b-1") { status stale } }';
  const stale = { data: { batchStatus: { status: 'OF_ANOTHER', stale: true } } };
  const ask = () => fleet.gateways[0]?.query(query);
  expect(await ask()).toEqual({ status: 200, body: stale });
  // And a refusal drops it for all.
  upstream.onStatus = () => ({ status: 404, body: { error: { code: '1', description: 'Gone.' } } });
  expect(JSON.stringify(await ask())).toContain('NOT_FOUND');
  await expect.poll(redis.keys).not.toContain(keyed(upstream, STATUS_KEY));
});

const BROKEN: readonly (readonly [name: string, plant: readonly string[]])[] = [
  ['an older version', ['SET', STATUS_KEY, written('BAD').replace('1 ', '0 '), 'PX', '60000']],
  ['a later version', ['SET', STATUS_KEY, written('BAD').replace('1 ', '2 '), 'PX', '60000']],
  ['nothing', ['SET', STATUS_KEY, '', 'PX', '60000']],
  ['a text of somebody else', ['SET', STATUS_KEY, 'BAD', 'PX', '60000']],
  ['a head alone', ['SET', STATUS_KEY, written('BAD').split('\n', 1).join(), 'PX', '60000']],
  ['one that is cut off', ['SET', STATUS_KEY, written('BAD').slice(0, -5), 'PX', '60000']],
  ['one with more behind it', ['SET', STATUS_KEY, written('BAD', { more: '{}' }), 'PX', '60000']],
  [
    'one of another batch',
    ['SET', STATUS_KEY, written('BAD', { id: ID.replace('b-1', 'b-2') }), 'PX', '60000'],
  ],
  [
    'one of another tenant',
    ['SET', STATUS_KEY, written('BAD', { id: ID.replace('tenant-1', 'tenant-2') }), 'PX', '60000'],
  ],
  [
    'one of another service',
    ['SET', STATUS_KEY, written('BAD', { id: ID.replace(SERVICE, 'another') }), 'PX', '60000'],
  ],
  [
    'one of a user',
    ['SET', STATUS_KEY, written('BAD', { id: ID.replace('null', '"u"') }), 'PX', '60000'],
  ],
  [
    'times that are no numbers',
    ['SET', STATUS_KEY, written('BAD').replace('60000', '6e4'), 'PX', '60000'],
  ],
  [
    'times that are too large',
    ['SET', STATUS_KEY, written('BAD', { life: 10 ** 30 }), 'PX', '60000'],
  ],
  [
    'one that lives longer than it says',
    ['SET', STATUS_KEY, written('BAD', { life: 1_000 }), 'PX', '60000'],
  ],
  ['one that lives for ever', ['SET', STATUS_KEY, written('BAD')]],
  ['an error', ['SET', STATUS_KEY, written('BAD').replace('"data"', '"error"'), 'PX', '60000']],
  [
    'an echo of another batch',
    [
      'SET',
      STATUS_KEY,
      written('BAD').replace('"queryString":""', '"queryString":"batchId=b-2"'),
      'PX',
      '60000',
    ],
  ],
  [
    'a name that is not read',
    [
      'SET',
      STATUS_KEY,
      written('BAD').replace('"data":{', '"data":{"__proto__":{},'),
      'PX',
      '60000',
    ],
  ],
  [
    'one that is too long',
    ['SET', STATUS_KEY, written('BAD', { more: ' '.repeat(2 ** 20) }), 'PX', '60000'],
  ],
  ['a list', ['RPUSH', STATUS_KEY, 'BAD']],
  ['a hash', ['HSET', STATUS_KEY, 'status', 'BAD']],
  ['a lock that is a list', ['RPUSH', LOCK_KEY, 'BAD']],
  ['a lock for ever', ['SET', LOCK_KEY, 'somebody else']],
  ['a lock for a year', ['SET', LOCK_KEY, 'somebody else', 'EX', '31536000']],
  ['a rate that is a list', ['RPUSH', RATE_KEY, 'BAD']],
  ['a rate that is a text', ['SET', RATE_KEY, 'BAD']],
  ['a rate for ever', ['SET', RATE_KEY, '1000000']],
];

test.each(BROKEN)(
  '51: %s under our keys is dropped: the upstream is asked, at once',
  async (_, plant) => {
    await using redis = await startRedis();
    await using upstream = await startScriptedUpstream();
    const environment = {
      STATUS_TTL_MS: '0',
      RATE_LIMIT_PER_SECOND: '1000',
      LOG_LEVEL: 'warn',
    };
    await using fleet = await startFleet({ replicas: 1, redis, upstream, environment });
    const [gateway] = fleet.gateways;
    const [command = '', planted = '', ...more] = plant.map((word) => keyed(upstream, word));
    await redis.command(command, planted, ...more);

    const begunAt = performance.now();
    expect(await gateway?.query(STATUS_QUERY, B1)).toEqual(good('IN_PROGRESS'));
    // Nobody waits for a lock that is none.
    expect(performance.now() - begunAt).toBeLessThan(2_000);
    expect(upstream.statusCalls).toHaveLength(1);
    // What was there is replaced or gone, as soon as Redis answers in time.
    const left = async () => {
      await gateway?.query(STATUS_QUERY, B1);
      return String(await redis.command('GET', planted).catch(String));
    };
    await expect.poll(left).not.toMatch(/BAD|WRONGTYPE|somebody|1000000/);
  },
);

test('65: no token, no user and no address is in Redis, whatever the upstream quotes', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  const ownToken = 'canary/own+token=0123456789';
  upstream.onToken = () => ({ body: { data: { accessToken: ownToken, expiresIn: 3600 } } });
  upstream.onStatus = ({ headers }) => ({
    body: { data: { status: 'IN_PROGRESS', quoted: headers['x-coreos-access'] }, request: ECHO },
  });
  const sandbox = await startSandbox({ clock: systemClock, port: 0 });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => sandbox.close());
  await using fleet = await startFleet({
    replicas: 1,
    redis,
    upstream,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: sandbox.url.origin,
      AUTH_AUDIENCE: sandbox.issuer.audience,
      FORWARD_USER_INFO: 'on',
    },
  });
  const token = await sandbox.issuer.issueToken({ sub: 'canary-subject', name: 'Canary Name' });
  const [gateway] = fleet.gateways;
  if (gateway === undefined) throw new Error('there is no replica');
  const body = JSON.stringify({ query: STATUS_QUERY, variables: B1 });
  const answer = await sendBody(gateway, body, { authorization: `Bearer ${token}` });
  expect(JSON.parse(answer.body)).toEqual(good('IN_PROGRESS').body);
  expect(upstream.statusCalls[0]?.headers['x-coreos-userinfo']).toContain('Canary Name');

  await expect.poll(redis.keys).toHaveLength(3);
  const held: string[] = [];
  for (const key of await redis.keys()) held.push(key, String(await redis.command('GET', key)));
  expect(held.join('\n')).toContain('"status":"IN_PROGRESS","quoted":"[redacted]"');
  expect(held.join('\n')).not.toMatch(
    new RegExp(`canary|${token.slice(-20)}|127\\.0\\.0\\.1`, 'i'),
  );
});

test('a user with the rights that docs/replicas.md names can share', async () => {
  const text = await readFile(new URL('../../docs/replicas.md', import.meta.url), 'utf8');
  const [, row = ''] = /^\| rights \| (.*); keys and channels/m.exec(text) ?? [];
  const commands = [...row.matchAll(/`(\w+)`/g)].map(([, name = '']) => `+${name.toLowerCase()}`);
  await using redis = await startRedis();
  const rights = ['~participant-gateway:*', '&participant-gateway:*', '-@all', ...commands];
  await redis.command('ACL', 'SETUSER', 'gateway', 'on', '>a-password', ...rights);
  const url = new URL(redis.url);
  url.username = 'gateway';
  url.password = 'a-password';
  await using upstream = await startScriptedUpstream();
  const environment = { RATE_LIMIT_PER_SECOND: '1000', STATUS_TTL_MS: '60000' };
  const { command } = redis;
  await using fleet = await startFleet({
    replicas: 2,
    redis: { url, command },
    upstream,
    environment,
  });
  const streams = await Promise.all(
    fleet.gateways.map((gateway) => openStream(gateway, { query: UPDATES })),
  );
  for (const { query } of fleet.gateways)
    expect(await query(STATUS_QUERY, B1)).toEqual(good('IN_PROGRESS'));
  await expect.poll(() => command('PUBSUB', 'CHANNELS')).toHaveLength(1);
  for (const stream of streams) await stream[Symbol.asyncDispose]();
  expect(JSON.stringify(await command('ACL', 'LOG'))).toBe('[]');
});

test('49: a lock of a command that was given up is not waited for', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  const environment = {
    UPSTREAM_TIMEOUT_MS: '60000',
    REQUEST_DEADLINE_MS: '60000',
    STATUS_TTL_MS: '0',
  };
  await using fleet = await startFleet({ replicas: 2, redis, upstream, environment });
  const [a, b] = fleet.gateways;
  redis.hang();
  // It asks the upstream without Redis, which will yet give it the lock.
  expect(await a?.query(STATUS_QUERY, B1)).toEqual(good('IN_PROGRESS'));
  redis.resume();
  await expect.poll(fleet.readiness).toMatchObject([{ status: 'ready' }, { status: 'ready' }]);
  const begunAt = performance.now();
  expect(await b?.query(STATUS_QUERY, B1)).toEqual(good('IN_PROGRESS'));
  expect(performance.now() - begunAt).toBeLessThan(10_000);
  expect(upstream.statusCalls).toHaveLength(2);
});

test('rediss:// shares by TLS, with a certificate that is checked', async () => {
  const validity = {
    from: new Date(Date.now() - 86_400_000),
    until: new Date(Date.now() + 86_400_000),
  };
  const authority = createCertificateAuthority(validity);
  await using redis = await startRedis({ tls: authority.issue('127.0.0.1', validity) });
  await using upstream = await startScriptedUpstream();
  const settings = { replicas: 2, redis, upstream, isConnected: false };
  {
    await using fleet = await startFleet({ ...settings, replicas: 1 });
    await expect
      .poll(fleet.readiness)
      .toMatchObject([
        { degraded: { redis: expect.stringMatching(/\((?:UNABLE_TO_\w+|SELF_SIGNED_\w+)\)/) } },
      ]);
  }
  using _ = authority.trust();
  await using fleet = await startFleet({ ...settings, isConnected: true });
  for (const { query } of fleet.gateways)
    expect(await query(STATUS_QUERY, B1)).toEqual(good('IN_PROGRESS'));
  expect(upstream.statusCalls).toHaveLength(1);
});
