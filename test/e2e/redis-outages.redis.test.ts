import { expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type Fleet, type Load, p99, startFleet, startLoad, untilUsed } from '../support/fleet.ts';
import { type RunningRedis, startRedis } from '../support/redis.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway } from '../support/test-gateway.ts';

const READY = { status: 'ready', notReady: {}, degraded: {} };
const degraded = (reason: string) => ({
  status: 'degraded',
  notReady: {},
  degraded: { redis: `it cannot be used (${reason}): this replica is on its own` },
});
const B1 = { participantType: 'vehicles', batchId: 'b-1' };
const GOOD = {
  status: 200,
  body: { data: { batchStatus: { id: 'vehicles/b-1', status: 'IN_PROGRESS' } } },
};

/** Under load, most requests ask Redis: for the rate, and for a status that is fresh for a moment. */
const BUSY = {
  STATUS_TTL_MS: '50',
  STATUS_FINISHED_TTL_MS: '50',
  RATE_LIMIT_PER_SECOND: '100000',
  LOG_LEVEL: 'warn',
  // However slow the machine is beside other tests, the upstream is not.
  UPSTREAM_TIMEOUT_MS: '15000',
  REQUEST_DEADLINE_MS: '30000',
};
const CLIENTS = 8;
const BATCHES = 500;

interface Outage {
  fleet: Fleet;
  /** On the fleet. */
  load: Load;
  /** The same on as many replicas that never had a Redis: what the machine alone does to clients. */
  control: Load;
  /** How much longer one in a hundred takes than there, of the next 500 answers of both. */
  extraMs(): Promise<number>;
}

/** Runs a test under load, in which no client may see an error. */
async function underLoad(
  redis: Pick<RunningRedis, 'url' | 'command'>,
  run: (outage: Outage) => Promise<void>,
): Promise<void> {
  await using upstream = await startScriptedUpstream();
  await using fleet = await startFleet({
    replicas: 2,
    redis,
    upstream,
    environment: BUSY,
    clock: systemClock,
  });
  await using alone = new AsyncDisposableStack();
  const others = [
    alone.use(await startTestGateway({ upstream, environment: BUSY })),
    alone.use(await startTestGateway({ upstream, environment: BUSY })),
  ];
  await using load = startLoad(fleet.gateways, CLIENTS, BATCHES);
  await using control = startLoad(others, CLIENTS, BATCHES);
  // What is loaded with the first requests is loaded.
  await Promise.all([load.next(300), control.next(300)]);
  const extraMs = async () => {
    const [shared, own] = await Promise.all([load.next(500), control.next(500)]);
    return p99(shared) - p99(own);
  };
  await run({ fleet, load, control, extraMs });
  expect([load.failures, control.failures]).toEqual([[], []]);
}

test('48: replicas start without Redis, serve as with memory alone, and share once it is there', async () => {
  await using redis = await startRedis({ start: false });
  await using upstream = await startScriptedUpstream();
  await using fleet = await startFleet({
    replicas: 2,
    redis,
    upstream,
    environment: { STATUS_TTL_MS: '60000' },
    isConnected: false,
  });
  const ask = () => Promise.all(fleet.gateways.map(({ query }) => query(STATUS_QUERY, B1)));
  expect(await ask()).toEqual([GOOD, GOOD]);
  expect(upstream.statusCalls).toHaveLength(2);
  await expect.poll(fleet.readiness).toEqual([degraded('ECONNREFUSED'), degraded('ECONNREFUSED')]);
  expect(fleet.redisLog()).toEqual([['Redis is lost'], ['Redis is lost']]);

  await redis.start();
  await expect.poll(fleet.readiness).toEqual([READY, READY]);
  const told = ['Redis is lost', 'Redis is back'];
  await expect.poll(fleet.redisLog).toEqual([told, told]);
  const other = { ...B1, batchId: 'b-2' };
  for (const { query } of fleet.gateways)
    expect(await query(STATUS_QUERY, other)).toMatchObject({ status: 200 });
  expect(upstream.statusCalls).toHaveLength(3);
});

test('48: Redis killed is told once, and once that it is back', async () => {
  await using redis = await startRedis();
  await using proxy = await startFaultProxy(redis.url, systemClock);
  await using upstream = await startScriptedUpstream();
  await using fleet = await startFleet({ replicas: 1, redis: behind(proxy, redis), upstream });
  await redis.kill();
  await expect.poll(fleet.readiness).toEqual([degraded('the connection was closed')]);
  await inVain(proxy, 10);
  await redis.start();
  await expect.poll(fleet.readiness).toEqual([READY]);
  expect(fleet.redisLog()).toEqual([['Redis is lost', 'Redis is back']]);
});

test('48: Redis killed under load costs clients no error, 50 ms of p99 at first, and then nothing', async () => {
  await using redis = await startRedis();
  await underLoad(redis, async ({ fleet, extraMs }) => {
    const [atOnce, later] = [[Number.POSITIVE_INFINITY], [Number.POSITIVE_INFINITY]];
    const least = () => [Math.min(...atOnce), Math.min(...later)] as const;
    // What the outage costs is in each round; what else the machine does, on which this runs beside other tests, is not.
    for (let round = 0; round < 3 && Math.max(...least()) >= 50; round += 1) {
      await redis.kill();
      atOnce.push(await extraMs());
      later.push(await extraMs());
      const reason = 'ECONNREFUSED';
      await expect.poll(fleet.readiness).toEqual([degraded(reason), degraded(reason)]);
      await redis.start();
      await expect.poll(fleet.readiness).toEqual([READY, READY]);
    }
    for (const ms of least()) expect(ms).toBeLessThan(50);
  });
});

test('49: Redis that hangs under load costs clients no error, and is used again when it answers', async () => {
  await using redis = await startRedis();
  await using proxy = await startFaultProxy(redis.url, systemClock);
  await underLoad(behind(proxy, redis), async ({ fleet }) => {
    redis.hang();
    const reason = 'no answer within 50 ms';
    await expect.poll(fleet.readiness).toEqual([degraded(reason), degraded(reason)]);
    // Connections that are of no use are replaced, two of each replica, and the new ones are not answered either.
    await inVain(proxy, 4);
    redis.resume();
    await expect.poll(fleet.readiness).toEqual([READY, READY]);
  });
});

test('53: a Redis that becomes a replica (READONLY) is done without, and used again when it is a primary', async () => {
  await using redis = await startRedis();
  await underLoad(redis, async ({ fleet }) => {
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await expect.poll(fleet.readiness).toEqual([degraded('READONLY'), degraded('READONLY')]);
    // Its connections are replaced meanwhile: a name may lead to the new primary by now.
    const before = await clientIds(redis);
    await expect.poll(async () => common(before, await clientIds(redis))).toEqual([]);
    await redis.command('REPLICAOF', 'NO', 'ONE');
    await expect.poll(fleet.readiness).toEqual([READY, READY]);
  });
});

test('53: a Redis that is full of what others keep is done without, and used again when there is room', async () => {
  await using redis = await startRedis();
  await underLoad(redis, async ({ fleet }) => {
    await redis.command('SET', 'somebody-else', 'x'.repeat(4_000_000));
    await redis.command('CONFIG', 'SET', 'maxmemory', '3000000');
    await expect.poll(fleet.readiness).toEqual([degraded('OOM'), degraded('OOM')]);
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await expect.poll(fleet.readiness).toEqual([READY, READY]);
  });
});

test('53: FLUSHALL again and again, and the eviction of statuses for what others keep, cost clients no error', async () => {
  await using redis = await startRedis();
  await underLoad(redis, async ({ fleet, load }) => {
    for (let flush = 0; flush < 20; flush += 1) {
      await redis.command('FLUSHALL');
      await load.next(20);
    }
    const stat = async (section: string, name: string) => {
      const info = String(await redis.command('INFO', section));
      return Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1]);
    };
    const room = (await stat('memory', 'used_memory')) + 500_000;
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await redis.command('CONFIG', 'SET', 'maxmemory', String(room));
    for (let key = 0; key < 50; key += 1) {
      await redis.command('SET', `somebody-else-${key}`, 'x'.repeat(50_000));
    }
    expect(await stat('stats', 'evicted_keys')).toBeGreaterThan(40);
    await expect.poll(fleet.readiness).toEqual([READY, READY]);
  });
});

test('53: after a failover to an empty server replicas share again', async () => {
  await using redis = await startRedis();
  await using upstream = await startScriptedUpstream();
  const environment = { STATUS_TTL_MS: '60000' };
  await using fleet = await startFleet({ replicas: 2, redis, upstream, environment });
  const [a, b] = fleet.gateways;
  expect(await a?.query(STATUS_QUERY, B1)).toEqual(GOOD);
  await redis.kill();
  await redis.start();
  await untilUsed(redis, 2);
  const other = { ...B1, batchId: 'b-2' };
  await a?.query(STATUS_QUERY, other);
  await b?.query(STATUS_QUERY, other);
  expect(upstream.statusCalls).toHaveLength(2);
});

/** Redis, for a fleet whose connections go through a proxy. */
function behind(
  proxy: FaultProxy,
  { url, command }: RunningRedis,
): Pick<RunningRedis, 'url' | 'command'> {
  const proxied = new URL(url);
  proxied.port = proxy.url.port;
  return { url: proxied, command };
}

/** Resolves when so many more connections have been tried. */
async function inVain(proxy: FaultProxy, count: number): Promise<void> {
  const enough = proxy.accepted + count;
  await expect.poll(() => proxy.accepted).toBeGreaterThanOrEqual(enough);
}

/** Of the connections that replicas have. */
async function clientIds(redis: RunningRedis): Promise<string[]> {
  const lines = String(await redis.command('CLIENT', 'LIST')).split('\n');
  return lines
    .filter((line) => !line.includes('cmd=client'))
    .flatMap((line) => /^id=\d+/.exec(line) ?? []);
}

function common(some: string[], others: string[]): string[] {
  return some.filter((id) => others.includes(id));
}
