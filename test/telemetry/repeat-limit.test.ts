import { expect, test } from 'vitest';
import { RepeatLimit } from '../../src/telemetry/repeat-limit.ts';
import { TestClock } from '../support/test-clock.ts';

test('of one name a line is written a minute, whatever is told of others', () => {
  const clock = new TestClock();
  const limit = new RepeatLimit(clock);
  const admitted = (name: string) =>
    Array.from({ length: 1_000 }, () => limit.admits(name)).filter(Boolean).length;
  expect(admitted('a')).toBe(1);
  clock.advance(59_999);
  expect(admitted('b')).toBe(1);
  expect(admitted('a')).toBe(0);
  clock.advance(1);
  expect(admitted('a')).toBe(1);
  expect(admitted('b')).toBe(0);
});

test('no more than a hundred names are told in a minute, and none is remembered for longer', () => {
  const clock = new TestClock();
  const limit = new RepeatLimit(clock);
  const admitted = () =>
    Array.from({ length: 5_000 }, (_, index) => limit.admits(`name-${index}`)).filter(Boolean)
      .length;
  expect(admitted()).toBe(100);
  clock.advance(59_999);
  expect(admitted()).toBe(0);
  clock.advance(1);
  expect(admitted()).toBe(100);
});
