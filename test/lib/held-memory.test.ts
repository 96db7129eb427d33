import { expect, test } from 'vitest';
import { HeldMemory, MemoryUse } from '../../src/lib/held-memory.ts';

test('91: what is held counts once, until nobody holds it', () => {
  const held = new HeldMemory(100);
  const [a, b, c] = [60, 40, 60].map((bytes) => new MemoryUse(bytes));
  if (!(a && b && c)) throw new Error('there are three');
  expect(held.hold(a)).toBe(true);
  expect(held.hold(a)).toBe(true);
  expect(held.hold(b)).toBe(true);
  expect(held.hold(new MemoryUse(1))).toBe(false);
  held.release(a);
  expect(held.hold(new MemoryUse(1))).toBe(false);
  held.release(a);
  expect(held.hold(c)).toBe(true);
  expect(held.hold(a)).toBe(false);
});

test('91: what was refused takes nothing', () => {
  const held = new HeldMemory(100);
  expect(held.hold(new MemoryUse(101))).toBe(false);
  expect(held.hold(new MemoryUse(100))).toBe(true);
  expect(held.hold(new MemoryUse(1))).toBe(false);
});
