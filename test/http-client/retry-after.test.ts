import { expect, test } from 'vitest';
import { readRetryAfterMs } from '../../src/http-client/retry-after.ts';

const NOW = new Date('2026-01-31T12:00:00.000Z');

const headers: [header: string | undefined, ms: number | undefined][] = [
  [undefined, undefined],
  ['0', 0],
  ['120', 120_000],
  [' 120 ', 120_000],
  ['\t7', 7_000],
  ['999999999999', 3_600_000],
  // The three forms of a date.
  ['Sat, 31 Jan 2026 12:00:30 GMT', 30_000],
  ['Saturday, 31-Jan-26 12:00:30 GMT', 30_000],
  ['Sat Jan 31 12:00:30 2026', 30_000],
  ['Sat Feb  7 12:00:00 2026', 3_600_000],
  [' Sat, 31 Jan 2026 12:00:30 GMT ', 30_000],
  ['Sat, 31 Jan 2026 11:59:00 GMT', 0],
  ['Sun, 31 Jan 2027 12:00:00 GMT', 3_600_000],
  // Two digits that are more than 50 years ahead are of the century before.
  ['Sunday, 31-Jan-77 12:00:00 GMT', 0],
  ['Sunday, 31-Jan-76 12:00:00 GMT', 3_600_000],
  ['Saturday, 31-Jan-99 12:00:30 GMT', 0],
  ['Sat, 31 Foo 2026 12:00:30 GMT', undefined],
  ['Sat, 31 Jan 2026 12:00:30', undefined],
  ['Sat, 31 Jan 2026 12:00:30 CET', undefined],
  ['2026-01-31T12:00:30Z', undefined],
  ['soon 2999', undefined],
  ['-5', undefined],
  ['1.5', undefined],
  ['5, 10', undefined],
  ['', undefined],
];

for (const [header, ms] of headers) {
  test(`78: Retry-After ${JSON.stringify(header)} is ${ms === undefined ? 'no answer' : `${ms} ms`}`, () => {
    expect(readRetryAfterMs(header, NOW)).toBe(ms);
  });
}
