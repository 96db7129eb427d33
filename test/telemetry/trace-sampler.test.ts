import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rankOf } from '../../src/telemetry/trace-context.ts';
import { type SamplerName, TraceSampler } from '../../src/telemetry/trace-sampler.ts';

const caller = (isSampled: boolean) => ({
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  isSampled,
});

/** Whether a trace is recorded that has a low rank, and one that has a high one. */
const decisions: [SamplerName, own: boolean[], sampled: boolean[], unsampled: boolean[]][] = [
  ['always_on', [true, true], [true, true], [true, true]],
  ['always_off', [false, false], [false, false], [false, false]],
  ['traceidratio', [true, false], [true, false], [true, false]],
  ['parentbased_always_on', [true, true], [true, true], [false, false]],
  ['parentbased_traceidratio', [true, false], [true, true], [false, false]],
];

test.each(decisions)(
  '%s decides as its specification says: of its own traces, and of those that the caller samples, or does not',
  (name, own, sampled, unsampled) => {
    const sampler = new TraceSampler(name, 0.5);
    const decide = (trace?: ReturnType<typeof caller>) =>
      [0.25, 0.75].map((rank) => sampler.records(rank, trace));
    expect(decide()).toEqual(own);
    expect(decide(caller(true))).toEqual(sampled);
    expect(decide(caller(false))).toEqual(unsampled);
  },
);

test.each([
  [0, 0],
  [1, 1_000],
])('a ratio of %s records %s of 1,000 traces', (ratio, count) => {
  const sampler = new TraceSampler('traceidratio', ratio);
  const ranks = Array.from({ length: 1_000 }, (_, index) => index / 1_000);
  expect(ranks.filter((rank) => sampler.records(rank))).toHaveLength(count);
});

test('traceidratio judges an id as OpenTelemetry for Go and Rust does: by its lower 64 bits', () => {
  const digits = fc.string({
    unit: fc.constantFrom(...'0123456789abcdef'),
    minLength: 32,
    maxLength: 32,
  });
  fc.assert(
    fc.property(digits, fc.constantFrom(0, 0.01, 0.1, 0.25, 0.5, 0.9, 1), (traceId, ratio) => {
      const lower = BigInt(`0x${traceId.slice(16)}`) >> 1n;
      const isBelow = lower < BigInt(Math.floor(ratio * 2 ** 63));
      const sampler = new TraceSampler('traceidratio', ratio);
      expect(sampler.records(rankOf({ traceId }))).toBe(isBelow);
    }),
  );
});

test("callers' traces are recorded at no greater share than the ratio, whatever they send, but for a hundred at once", () => {
  for (const name of ['traceidratio', 'parentbased_traceidratio'] as const) {
    const sampler = new TraceSampler(name, 0.25);
    const recorded = () =>
      Array.from({ length: 1_000 }, () => sampler.records(0, caller(true))).filter(Boolean).length;
    // A hundred are let through, whose share is used up then.
    expect(recorded()).toBe(349);
    expect(recorded()).toBe(250);
    // The gateway's own are not theirs.
    expect(sampler.records(0)).toBe(true);
  }
});
