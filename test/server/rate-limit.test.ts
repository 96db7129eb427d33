import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createRateLimit } from '../../src/server/guards/rate-limit.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Waits for nothing: refusals come at once. */
const impatient = {
  now: () => Date.now(),
  date: () => new Date(),
  after(_: number, callback: () => void) {
    callback();
    return () => {};
  },
};

const STEP_MS = 5;
const SECONDS = 20;

test.each([1, 7, 10, 11, 19, 95, 101])(
  '15: at %i a second, so many are admitted, and no more (API4:2023)',
  async (perSecond) => {
    const limit = await createRateLimit({
      tenantId: 't',
      perSecond,
      burst: 0,
      clock: impatient,
      random: () => 0,
    });
    let admitted = 0;
    for (let elapsed = 0; elapsed < SECONDS * 1_000; elapsed += STEP_MS) {
      await limit.check({ subject: 'a' }).then(
        () => {
          admitted += 1;
        },
        (refusal: unknown) => expect(refusal).toMatchObject({ code: 'RATE_LIMITED', status: 429 }),
      );
      await vi.advanceTimersByTimeAsync(STEP_MS);
    }
    // The part of a second that begins last ends after the count.
    expect(admitted).toBeLessThanOrEqual(perSecond * SECONDS + Math.ceil(perSecond / 10));
    // A part of a second begins with the first request in it, which here can come a step late.
    expect(admitted).toBeGreaterThan(0.9 * perSecond * SECONDS);
  },
);
