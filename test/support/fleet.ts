import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { Clock } from '../../src/lib/clock.ts';
import { patientClock } from './patient-clock.ts';
import type { RunningRedis } from './redis.ts';
import type { ScriptedUpstream } from './scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, type TestGateway } from './test-gateway.ts';

/** Replicas in front of one upstream. */
export interface Fleet extends AsyncDisposable {
  gateways: TestGateway[];
  /** What `/readyz` of each answers. */
  readiness(): Promise<unknown[]>;
  /** Of each, what the log says of Redis, in order. */
  redisLog(): string[][];
}

interface FleetOptions {
  replicas: number;
  redis: Pick<RunningRedis, 'url' | 'command'>;
  upstream: ScriptedUpstream;
  environment?: Record<string, string>;
  /** False: Redis is not there. By default they are there when all use it. */
  isConnected?: boolean;
  /** By default one that gives Redis more than its 50 ms. */
  clock?: Clock;
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { replicas, redis, upstream, environment = {}, isConnected = true } = options;
  const { clock = patientClock } = options;
  await using stack = new AsyncDisposableStack();
  const gateways: TestGateway[] = [];
  for (let index = 0; index < replicas; index += 1) {
    const settings = { REDIS_URL: redis.url.href, ...environment };
    gateways.push(stack.use(await startTestGateway({ upstream, environment: settings, clock })));
  }
  if (isConnected) await untilUsed(redis, replicas);
  const moved = stack.move();
  return {
    gateways,
    readiness: () =>
      Promise.all(gateways.map(async ({ url }) => (await fetch(new URL('/readyz', url))).json())),
    redisLog: () =>
      gateways.map(({ logLines }) =>
        logLines.flatMap((line) => {
          const { msg } = JSON.parse(line);
          return /^Redis is (?:lost|back)/.exec(msg) ?? [];
        }),
      ),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** Resolves when so many replicas have tried it with good success. */
export async function untilUsed(
  redis: Pick<RunningRedis, 'command'>,
  replicas: number,
): Promise<void> {
  const probed = async () =>
    String(await redis.command('CLIENT', 'LIST')).match(/ cmd=(?:set|eval) /g)?.length;
  await expect.poll(probed).toBe(replicas);
}

/** Clients that ask without a pause, each of one of the replicas, for different batches in turn. */
export interface Load extends AsyncDisposable {
  /** Resolves when there are so many more answers, to how long each of them took, in milliseconds. */
  next(count: number): Promise<number[]>;
  /** What was no good answer, so far. */
  failures: readonly string[];
}

export function startLoad(
  gateways: readonly TestGateway[],
  clients: number,
  batches: number,
): Load {
  const failures: string[] = [];
  const watches = new Set<(latencyMs: number) => void>();
  let asked = 0;
  let isStopped = false;
  const ask = async ({ query }: TestGateway) => {
    asked += 1;
    const batchId = `b-${asked % batches}`;
    const startedAt = performance.now();
    const answer = await query(STATUS_QUERY, { participantType: 'vehicles', batchId });
    const latencyMs = performance.now() - startedAt;
    for (const watch of watches) watch(latencyMs);
    const batchStatus = { id: `vehicles/${batchId}`, status: 'IN_PROGRESS' };
    const good = { status: 200, body: { data: { batchStatus } } };
    if (!isDeepStrictEqual(answer, good)) failures.push(JSON.stringify(answer));
  };
  const askOn = async (gateway: TestGateway) => {
    while (!isStopped) await ask(gateway).catch((error: unknown) => failures.push(String(error)));
  };
  const asking = Promise.all(
    Array.from({ length: clients / gateways.length }, () => gateways.map(askOn)).flat(),
  );
  return {
    next(count) {
      const latencies: number[] = [];
      return new Promise((resolve) => {
        const watch = (latencyMs: number) => {
          latencies.push(latencyMs);
          if (latencies.length < count) return;
          watches.delete(watch);
          resolve(latencies);
        };
        watches.add(watch);
      });
    },
    failures,
    async [Symbol.asyncDispose]() {
      isStopped = true;
      await asking;
    },
  };
}

/** The latency that one in a hundred exceeds. */
export function p99(latencies: readonly number[]): number {
  return latencies.toSorted((a, b) => a - b)[Math.floor(0.99 * latencies.length)] ?? 0;
}
