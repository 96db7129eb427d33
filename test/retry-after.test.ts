import { expect, test } from 'vitest';
import { readRetryAfterMs } from '../src/http-client/retry-after.ts';

const NOW = new Date('2026-01-31T12:00:00.000Z');

const headers: [header: string | undefined, ms: number | undefined][] = [
  [undefined, undefined],
  ['0', 0],
  ['120', 120_000],
  ['999999999999', 3_600_000],
  ['Sat, 31 Jan 2026 12:00:30 GMT', 30_000],
  ['Sat, 31 Jan 2026 11:59:00 GMT', 0],
  ['Sun, 31 Jan 2027 12:00:00 GMT', 3_600_000],
  ['soon 2999', undefined],
  ['-5', undefined],
  ['1.5', undefined],
  ['5, 10', undefined],
  ['', undefined],
];

for (const [header, ms] of headers) {
  test(`Retry-After ${JSON.stringify(header)} is ${ms === undefined ? 'no answer' : `${ms} ms`}`, () => {
    expect(readRetryAfterMs(header, NOW)).toBe(ms);
  });
}
