import { createHash } from 'node:crypto';
import type { BurstyRateLimiter } from 'rate-limiter-flexible';
import type { Caller } from '../../core/caller.ts';
import { RefusedRequest } from '../../core/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Redis } from '../../lib/redis.ts';

/** Whom a request is counted for: who shows a token by its subject, anybody else by address. */
export type CallerIdentity = { readonly subject: string } | { readonly address: string };

interface RateLimitOptions {
  tenantId: string;
  /** Requests of one caller in a second. */
  perSecond: number;
  /** Requests beyond that, in 10 seconds. */
  burst: number;
  /** By what it is one rate for so many replicas; undefined: each request comes to this process. */
  shared?: SharedCounts | undefined;
  clock: Clock;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

interface SharedCounts {
  redis: Redis;
  replicas: number;
}

/** How often one caller may come. */
export interface RateLimit {
  /**
   * Counts a request of a caller. Rejects with a {@link RefusedRequest} (429) when there were too many;
   * not at once, or who floods would keep the gateway busy with refusing, and others waiting.
   */
  check(caller: CallerIdentity): Promise<void>;
}

/** Half of it to one and a half, by chance: or those who are refused together would come back together. */
const REFUSAL_DELAY_MS = 100;

/** Under which the requests of a caller are counted. */
export function rateKey(tenantId: string, caller: CallerIdentity): string {
  return JSON.stringify([tenantId, caller]);
}

/** The caller of a request. Its key is made when somebody asks: an answer that is at hand needs none. */
export class CountedCaller implements Caller {
  readonly weight: number;
  readonly #tenantId: string;
  readonly #identity: CallerIdentity;
  #key: string | undefined;

  constructor(tenantId: string, identity: CallerIdentity, weight: number) {
    this.#tenantId = tenantId;
    this.#identity = identity;
    this.weight = weight;
  }

  get key(): string {
    this.#key ??= rateKey(this.#tenantId, this.#identity);
    return this.#key;
  }
}

/** How many requests of one caller in how many milliseconds. */
interface Window {
  readonly points: number;
  readonly ms: number;
}

/**
 * The windows in which a rate and its burst are counted: those of a rate take about a tenth of a second, where there
 * is enough to share out, or all would be used up at the beginning of a second.
 */
function windowsOf(perSecond: number, burst: number): { rate: Window; burst: Window } {
  const points = perSecond >= 10 ? Math.ceil(perSecond / 10) : Math.max(1, Math.floor(perSecond));
  const rate = { points, ms: (1_000 * points) / perSecond };
  return { rate, burst: { points: Math.floor(burst), ms: 10_000 } };
}

/**
 * Counts in memory, or in Redis for all replicas; then in memory for a replica's part while Redis cannot be used. A
 * caller who has not come for 10 seconds is forgotten. What counts is loaded here: a gateway without a limit does not
 * have it.
 */
export async function createRateLimit(options: RateLimitOptions): Promise<RateLimit> {
  const { tenantId, shared, clock, random } = options;
  const { RateLimiterRes } = await import('rate-limiter-flexible');
  const limiter = await createLimiter(options);
  return {
    async check(caller) {
      const key = rateKey(tenantId, caller);
      try {
        await limiter.consume(shared === undefined ? key : sharedRateKey(tenantId, key));
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        const delayMs = REFUSAL_DELAY_MS * (0.5 + random());
        await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
        throw new RefusedRequest(
          'RATE_LIMITED',
          429,
          'You send too many requests: wait a moment.',
          {
            retryAfterMs: Math.max(1, error.msBeforeNext),
          },
        );
      }
    },
  };
}

async function createLimiter({
  perSecond,
  burst,
  shared,
}: RateLimitOptions): Promise<BurstyRateLimiter> {
  const { BurstyRateLimiter, RateLimiterMemory, RateLimiterRedis } = await import(
    'rate-limiter-flexible'
  );
  const inMemory = ({ points, ms }: Window) =>
    new RateLimiterMemory({ points, duration: ms / 1_000 });
  const all = windowsOf(perSecond, burst);
  if (shared === undefined) return new BurstyRateLimiter(inMemory(all.rate), inMemory(all.burst));
  const { redis, replicas } = shared;
  const part = windowsOf(perSecond / replicas, burst / replicas);
  const inRedis = (kind: 'rate' | 'burst') =>
    new RateLimiterRedis({
      storeClient: toStoreClient(redis),
      useRedisPackage: true,
      customIncrTtlLuaScript: COUNT,
      keyPrefix: redis.namespace(kind),
      points: all[kind].points,
      // It counts in whole units of this, which the script takes for milliseconds.
      duration: all[kind].ms,
      insuranceLimiter: inMemory(part[kind]),
    });
  return new BurstyRateLimiter(inRedis('rate'), inRedis('burst'));
}

/**
 * Counts ARGV[1] requests in a window of ARGV[2] milliseconds, which begins with the first. What cannot be counted on,
 * or has no end, is somebody else's.
 */
const COUNT = `
local count = redis.pcall('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if type(count) ~= 'number' or left < 0 or left > tonumber(ARGV[2]) then
  count = tonumber(ARGV[1])
  left = tonumber(ARGV[2])
  redis.call('SET', KEYS[1], count, 'PX', left)
end
return { count, left }
`;

interface EvalOptions {
  readonly keys: readonly string[];
  readonly arguments: readonly string[];
}

/** What a limiter needs of a client. Rejects where Redis cannot be used, so that the limiter counts in memory. */
function toStoreClient(redis: Redis) {
  return {
    async eval(script: string, { keys, arguments: args }: EvalOptions) {
      const reply = await redis.run(script, keys, args);
      if (reply === undefined) throw new Error('Redis cannot be used');
      return reply;
    },
  };
}

/** Under which they are counted in Redis, which gets no subjects and addresses: they are personal data. */
export function sharedRateKey(tenantId: string, key: string): string {
  return JSON.stringify([tenantId, createHash('sha256').update(key).digest('base64url')]);
}
