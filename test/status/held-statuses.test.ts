import { expect, test } from 'vitest';
import { createHeldStatuses } from '../../src/status/held-statuses.ts';

test('91: what is held counts once, until nobody holds it', () => {
  const held = createHeldStatuses(100);
  const [a, b, c] = [{}, {}, {}];
  expect(held.hold(a, 60)).toBe(true);
  expect(held.hold(a, 60)).toBe(true);
  expect(held.hold(b, 40)).toBe(true);
  expect(held.hold(c, 1)).toBe(false);
  held.release(a);
  expect(held.hold(c, 1)).toBe(false);
  held.release(a);
  expect(held.hold(c, 60)).toBe(true);
  expect(held.hold(a, 1)).toBe(false);
});

test('91: what was refused is not held, and releasing it changes nothing', () => {
  const held = createHeldStatuses(100);
  const tooLarge = {};
  expect(held.hold(tooLarge, 101)).toBe(false);
  held.release(tooLarge);
  expect(held.hold({}, 100)).toBe(true);
  expect(held.hold({}, 1)).toBe(false);
});
