import type { Caller } from '../../core/caller.ts';
import { RefusedRequest } from '../../core/errors.ts';
import type { Clock } from '../../lib/clock.ts';

/** Whom a request is counted for: who shows a token by its subject, anybody else by address. */
export type CallerIdentity = { readonly subject: string } | { readonly address: string };

interface RateLimitOptions {
  tenantId: string;
  /** Requests of one caller in a second. */
  perSecond: number;
  /** Requests beyond that, in 10 seconds. */
  burst: number;
  clock: Clock;
  /** A number in [0, 1), for jitter. */
  random: () => number;
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

/**
 * Counts in memory, for this process. A caller who has not come for 10 seconds is forgotten. What counts is
 * loaded here: a gateway without a limit does not have it.
 */
export async function createRateLimit(options: RateLimitOptions): Promise<RateLimit> {
  const { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } = await import(
    'rate-limiter-flexible'
  );
  const { tenantId, perSecond, burst, clock, random } = options;
  // In parts of about a tenth of a second, where there is enough to share out: or all would be used up at its beginning.
  const points = perSecond >= 10 ? Math.ceil(perSecond / 10) : perSecond;
  const limiter = new BurstyRateLimiter(
    new RateLimiterMemory({ points, duration: points / perSecond }),
    new RateLimiterMemory({ points: burst, duration: 10 }),
  );
  return {
    async check(caller) {
      try {
        await limiter.consume(rateKey(tenantId, caller));
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
