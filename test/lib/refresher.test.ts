import { expect, test } from 'vitest';
import { untilAborted } from '../../src/lib/abort.ts';
import { createRefresher, type FailedFetch } from '../../src/lib/refresher.ts';
import { TestClock } from '../support/test-clock.ts';

/** What a test's fetch fails with. */
interface Down {
  down: number;
  askedWaitMs: number;
  withdraws?: boolean;
}

/** Values 1, 2, … of 100 s, renewed from 90 s on, over a fetch that a test holds up or lets fail. */
function scripted(random = () => 0.5) {
  const clock = new TestClock();
  const told: FailedFetch[] = [];
  const script = {
    calls: 0,
    answer: (call: number): Promise<number> => Promise.resolve(call),
  };
  const refresher = createRefresher({
    fetch: () => {
      script.calls += 1;
      return script.answer(script.calls);
    },
    toValue: (number, askedAt) => ({
      number,
      renewFrom: askedAt + 90_000,
      usableUntil: askedAt + 100_000,
    }),
    failed: (failure) => void told.push(failure),
    toError: ({ retryAfterMs }) => new Error(`wait ${retryAfterMs}`),
    backoffMs: { first: 1_000, longest: 10_000 },
    withdraws: (error) => isDown(error) && error.withdraws === true,
    askedWaitMs: (error) => (isDown(error) ? error.askedWaitMs : 0),
    clock,
    random,
  });
  const get = async () => {
    try {
      return (await refresher.get()).number;
    } catch (error) {
      return error instanceof Error ? error.message : error;
    }
  };
  const failWith = (askedWaitMs = 0, more: Pick<Down, 'withdraws'> = {}) => {
    script.answer = (down) => Promise.reject({ down, askedWaitMs, ...more } satisfies Down);
  };
  const recover = () => {
    script.answer = (call) => Promise.resolve(call);
  };
  return { clock, told, script, refresher, get, failWith, recover };
}

function isDown(error: unknown): error is Down {
  return typeof error === 'object' && error !== null && 'askedWaitMs' in error;
}

/** Lets what is under way come to its end. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('all who come share one fetch, and one who leaves does not end it', async () => {
  const { script, refresher, get } = scripted();
  const { promise, resolve } = Promise.withResolvers<number>();
  script.answer = () => promise;
  const leaving = new AbortController();
  const left = untilAborted(refresher.refresh(), leaving.signal);
  const waiting = [get(), get(), get()];
  leaving.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  expect(refresher.isFetching()).toBe(true);
  resolve(7);
  expect(await Promise.all(waiting)).toEqual([7, 7, 7]);
  expect([refresher.isFetching(), script.calls]).toEqual([false, 1]);
});

test('those who share a fetch that fails fail with it, and it counts once', async () => {
  const { told, get, failWith } = scripted();
  failWith();
  expect(await Promise.all([get(), get(), get()])).toEqual(['wait 900', 'wait 900', 'wait 900']);
  expect(told).toEqual([{ error: { down: 1, askedWaitMs: 0 }, failures: 1, retryAfterMs: 900 }]);
});

test('waits double from the first to the longest, up to 20 % shorter by chance, and begin anew after a success', async () => {
  for (const [random, share] of [
    [0, 0.8],
    [0.5, 0.9],
    [0.999_999, 1],
  ] as const) {
    const { clock, told, get, failWith, recover } = scripted(() => random);
    failWith();
    const expected = [1_000, 2_000, 4_000, 8_000, 10_000, 10_000].map((ms) => ms * share);
    for (const [index, ms] of expected.entries()) {
      expect(await get()).toBe(`wait ${ms}`);
      expect(told.at(-1)).toMatchObject({ failures: index + 1, retryAfterMs: ms });
      clock.advance(ms);
    }
    recover();
    expect(await get()).toBe(expected.length + 1);
    clock.advance(100_000);
    failWith();
    expect(await get()).toBe(`wait ${expected[0]}`);
    expect(told.at(-1)).toMatchObject({ failures: 1 });
  }
});

test('a failure that asks for a longer wait gets it; a shorter one changes nothing', async () => {
  const { clock, script, get, failWith } = scripted();
  failWith(5_000);
  expect(await get()).toBe('wait 5000');
  clock.advance(5_000);
  failWith(200);
  expect(await get()).toBe('wait 1800');
  expect(script.calls).toBe(2);
});

test('until the wait is over, who needs a value is told how long, and nothing is fetched', async () => {
  const { clock, script, refresher, get, failWith, recover } = scripted();
  expect(refresher.whyNotNow()).toBeUndefined();
  failWith();
  await get();
  recover();
  const error = { down: 1, askedWaitMs: 0 };
  expect(refresher.whyNotNow()).toEqual({ error, failures: 1, retryAfterMs: 900 });
  clock.advance(899.5);
  expect([await get(), script.calls]).toEqual(['wait 1', 1]);
  expect(refresher.whyNotNow()).toEqual({ error, failures: 1, retryAfterMs: 1 });
  clock.advance(0.5);
  expect(refresher.whyNotNow()).toBeUndefined();
  expect([await get(), script.calls]).toEqual([2, 2]);
});

test('the last good value is renewed in the background, serves through failures, and ends with its time', async () => {
  const { clock, script, refresher, get, failWith, recover } = scripted();
  expect(refresher.hasFetched()).toBe(false);
  expect(await get()).toBe(1);
  clock.advance(89_999);
  expect([await get(), script.calls]).toEqual([1, 1]);
  clock.advance(1);
  failWith();
  expect([await get(), await get(), script.calls]).toEqual([1, 1, 2]);
  clock.advance(9_999);
  failWith(60_000);
  expect([await get(), script.calls]).toEqual([1, 3]);
  await settled();
  clock.advance(1);
  expect(await get()).toBe('wait 59999');
  expect([refresher.usable(), refresher.hasFetched()]).toEqual([undefined, true]);
  clock.advance(59_999);
  recover();
  expect(await get()).toBe(4);
});

test('the life of a value begins when it was asked for', async () => {
  const { clock, script, refresher } = scripted();
  const { promise, resolve } = Promise.withResolvers<number>();
  script.answer = () => promise;
  const slow = refresher.refresh();
  clock.advance(30_000);
  resolve(1);
  expect(await slow).toMatchObject({ usableUntil: 1_000 + 100_000 });
  clock.advance(69_999);
  expect(refresher.usable()).toMatchObject({ number: 1 });
  clock.advance(1);
  expect(refresher.usable()).toBeUndefined();
});

test('prime fetches in the background: only if there is nothing usable, and there may be a fetch', async () => {
  const { clock, script, refresher, get, failWith, recover } = scripted();
  failWith();
  for (let round = 0; round < 3; round += 1) {
    refresher.prime();
    await settled();
  }
  expect(script.calls).toBe(1);
  clock.advance(900);
  recover();
  refresher.prime();
  refresher.prime();
  expect([await get(), script.calls]).toEqual([2, 2]);
  clock.advance(99_999);
  refresher.prime();
  expect(script.calls).toBe(2);
  clock.advance(1);
  refresher.prime();
  expect([await get(), script.calls]).toEqual([3, 3]);
});

test('a failure that withdraws the value leaves none, until there is a new one', async () => {
  const { clock, refresher, get, failWith, recover } = scripted();
  expect(await get()).toBe(1);
  failWith(0, { withdraws: true });
  clock.advance(90_000);
  // It is renewed in the background.
  expect(await get()).toBe(1);
  await settled();
  expect([refresher.usable(), refresher.current(), refresher.hasFetched()]).toEqual([
    undefined,
    undefined,
    false,
  ]);
  expect(await get()).toBe('wait 900');
  recover();
  clock.advance(900);
  expect(await get()).toBe(3);
});
