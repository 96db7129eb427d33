import { expect, test } from 'vitest';
import { Redis } from '../../src/lib/redis.ts';
import { startRedis } from '../support/redis.ts';
import { TestClock } from '../support/test-clock.ts';

/** A client on a clock that stands still, and what it tells. */
function connect(url: URL) {
  const clock = new TestClock();
  const told: string[] = [];
  const redis = new Redis({
    url,
    keyPrefix: 'test',
    clock,
    random: () => 0.5,
    lost: (reason) => told.push(`lost: ${reason}`),
    back: (lostMs) => told.push(`back after ${lostMs} ms`),
  });
  redis.connect();
  return { redis, clock, told, [Symbol.dispose]: () => redis.close() };
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test('49: each command under way ends after 50 ms, and the next ones at once, until a probe is answered', async () => {
  await using server = await startRedis();
  using client = connect(server.url);
  const { redis, clock, told } = client;
  await expect.poll(() => redis.isUsable).toBe(true);
  expect(await redis.run('return 1', [], [])).toBe(1);

  server.hang();
  const ended: unknown[] = [];
  for (let command = 0; command < 3; command += 1) {
    void redis.run('return 1', [], []).then((reply) => ended.push(reply));
  }
  clock.advance(49);
  await nextTurn();
  expect([ended, redis.isUsable]).toEqual([[], true]);
  clock.advance(1);
  await nextTurn();
  await nextTurn();
  expect([ended, redis.isUsable]).toEqual([[undefined, undefined, undefined], false]);
  // No time passes here.
  expect(await redis.run('return 1', [], [])).toBe(undefined);

  // A probe is out: nothing is told before that has failed, too.
  expect([told, redis.problem()]).toEqual([[], undefined]);
  clock.advance(50);
  await nextTurn();
  await nextTurn();
  expect(redis.problem()).toBe('no answer within 50 ms');
  for (let ms = 0; ms < 2_000; ms += 50) {
    clock.advance(50);
    await nextTurn();
  }
  server.resume();
  await expect
    .poll(async () => {
      clock.advance(50);
      await nextTurn();
      return redis.isUsable;
    })
    .toBe(true);
  expect(await redis.run('return 1', [], [])).toBe(1);
  expect(told).toEqual([
    'lost: no answer within 50 ms',
    expect.stringMatching(/^back after \d+ ms$/),
  ]);
});

test('a late answer that is there when the time is up counts: this process was busy, not Redis', async () => {
  await using server = await startRedis();
  using client = connect(server.url);
  const { redis, clock } = client;
  await expect.poll(() => redis.isUsable).toBe(true);
  const reply = redis.run('return 1', [], []);
  // It is sent, then this process is busy for as long as Redis needs for its answer.
  await nextTurn();
  await nextTurn();
  const until = performance.now() + 200;
  while (performance.now() < until);
  clock.advance(1_000);
  expect(await reply).toBe(1);
  expect(redis.isUsable).toBe(true);
});

test('whatever is wrong is told once, in a word that holds no secret', async () => {
  await using server = await startRedis();
  const wrong = new URL(server.url);
  wrong.password = 'canary-wrong-password';
  const free = new URL(server.url);
  free.port = '1';
  const plain = new URL(server.url.href.replace('redis:', 'rediss:'));
  for (const [url, reason] of [
    [wrong, 'WRONGPASS'],
    [free, 'ECONNREFUSED'],
    [plain, expect.stringMatching(/^[A-Z_]+$|^the connection was closed$/)],
  ] as const) {
    using client = connect(url);
    await expect.poll(() => client.redis.problem()).toEqual(reason);
    await nextTurn();
    expect(client.told).toEqual([expect.stringMatching(/^lost: [\w ]+$/)]);
    expect(JSON.stringify(client.told)).not.toContain('canary');
  }
});

test('an error for one command is a reason to look, and none to give Redis up', async () => {
  await using server = await startRedis();
  using client = connect(server.url);
  const { redis, told } = client;
  await expect.poll(() => redis.isUsable).toBe(true);
  expect(await redis.run('nonsense', [], [])).toBe(undefined);
  await expect.poll(() => redis.isUsable).toBe(true);
  expect(told).toEqual([]);
});

test('subscriptions outlive their connection', async () => {
  await using server = await startRedis();
  using client = connect(server.url);
  const { redis } = client;
  const heard: string[] = [];
  // Before it is connected.
  redis.subscribe('a', (message) => heard.push(`a ${message}`));
  await expect.poll(() => redis.isUsable).toBe(true);
  const stop = redis.subscribe('b', (message) => heard.push(`b ${message}`));
  const publish = async (message: string) =>
    Number(await server.command('PUBLISH', 'a', message)) +
    Number(await server.command('PUBLISH', 'b', message));
  await expect.poll(() => publish('1')).toBe(2);
  await expect.poll(() => heard.slice(-2)).toEqual(['a 1', 'b 1']);
  await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await expect.poll(() => publish('2')).toBe(2);
  await expect.poll(() => heard.slice(-2)).toEqual(['a 2', 'b 2']);
  stop();
  await expect.poll(() => publish('3')).toBe(1);
  await expect.poll(() => heard.at(-1)).toBe('a 3');
  expect(heard).not.toContain('b 3');
});
