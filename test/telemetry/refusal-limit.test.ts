import { expect, test } from 'vitest';
import { RefusalLimit } from '../../src/telemetry/refusal-limit.ts';
import { TestClock } from '../support/test-clock.ts';

function createRefusalLimit() {
  const clock = new TestClock();
  const told: object[] = [];
  const limit = new RefusalLimit({ clock, leftOut: (event) => void told.push(event) });
  /** How many lines of `count` are written. */
  const written = (address: string, count: number) =>
    Array.from({ length: count }, () => limit.admits(address)).filter(Boolean).length;
  return { clock, told, written };
}

test('83: of one address ten lines about refused requests are written a second, and it is told how many were left out', () => {
  const { clock, told, written } = createRefusalLimit();
  expect(written('192.0.2.1', 1_000)).toBe(10);
  expect(written('192.0.2.2', 10)).toBe(10);
  clock.advance(999);
  expect(written('192.0.2.1', 1)).toBe(0);
  expect(told).toEqual([]);
  clock.advance(1);
  expect(told).toEqual([{ address: '192.0.2.1', lines: 991 }]);
  expect(written('192.0.2.1', 5)).toBe(5);
  clock.advance(1_000);
  expect(told).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

test('83: addresses beyond a hundred in a second share the lines of one', () => {
  const { clock, told, written } = createRefusalLimit();
  let lines = 0;
  for (let index = 0; index < 5_000; index += 1) lines += written(`2001:db8:0:${index}::/64`, 1);
  expect(lines).toBe(110);
  clock.advance(1_000);
  expect(told).toEqual([{ address: 'others', lines: 4_890 }]);
});
