import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { RefusedRequest } from '../graphql/refused-request.ts';

export interface RateLimitOptions {
  /** Requests of one caller in a second. */
  perSecond: number;
  /** Requests beyond that, in 10 seconds. */
  burst: number;
}

/** How often one caller may come. */
export interface RateLimit {
  /** Counts a request of a caller. Rejects with a {@link RefusedRequest} (429) when there were too many. */
  check(caller: string): Promise<void>;
}

/** Counts in memory, for this process. A caller who has not come for 10 seconds is forgotten. */
export function createRateLimit({ perSecond, burst }: RateLimitOptions): RateLimit {
  const limiter = new BurstyRateLimiter(
    new RateLimiterMemory({ points: perSecond, duration: 1 }),
    new RateLimiterMemory({ points: burst, duration: 10 }),
  );
  return {
    async check(caller) {
      try {
        await limiter.consume(caller);
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
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
