import { expect, test } from 'vitest';
import { StatusStore } from '../../src/status/store.ts';
import type { TextEntry } from '../../src/status/text-entries.ts';
import { heapUsed } from '../support/heap.ts';

const MIB = 1024 * 1024;

function entryOf(length: number): TextEntry {
  const text = 'x'.repeat(length);
  return {
    text,
    fetchedAt: new Date(0),
    jsonBytes: length,
    size: length,
    freshUntil: 1,
    staleUntil: 1,
  };
}

const LONG = entryOf(MIB);

/** A store that three quarters are taken of, by statuses of 1 MiB. */
function createTest() {
  const store = new StatusStore();
  const statuses = store.ofTenant('tenant');
  for (let number = 0; number < 24; number += 1) statuses.set(`first-${number}`, LONG);
  return { store, statuses };
}

test('a long status is admitted while there is room', () => {
  const statuses = new StatusStore().ofTenant('tenant');
  expect(statuses.admits('next', MIB)).toBe(true);
});

test('once most of the room is taken, it is admitted when it comes again', () => {
  const { statuses } = createTest();
  expect(statuses.admits('next', MIB)).toBe(false);
  expect(statuses.admits('another', MIB)).toBe(false);
  expect(statuses.admits('next', MIB)).toBe(true);
});

test('a newer one of a batch whose status is kept is admitted', () => {
  const { statuses } = createTest();
  expect(statuses.admits('first-0', MIB)).toBe(true);
});

test('those that push out older ones leave no room for long ones that nobody asks for again', () => {
  const { store, statuses } = createTest();
  for (let number = 0; number < 200; number += 1) statuses.set(`short-${number}`, entryOf(60_000));
  expect(statuses.peek('first-0')).toBe(undefined);
  expect(store.use().bytes).toBeGreaterThan(31 * MIB);
  expect(statuses.admits('next', MIB)).toBe(false);
});

test('short ones are always admitted', () => {
  const { statuses } = createTest();
  expect(statuses.admits('next', 64 * 1024)).toBe(true);
  expect(statuses.admits('next', 64 * 1024 + 1)).toBe(false);
});

test('1,000 that were not admitted are remembered', () => {
  const { statuses } = createTest();
  for (let number = 0; number <= 1_000; number += 1) statuses.admits(`next-${number}`, MIB);
  expect(statuses.admits('next-1', MIB)).toBe(true);
  expect(statuses.admits('next-0', MIB)).toBe(false);
});

test('nothing is admitted for a tenant that is gone', () => {
  const { statuses } = createTest();
  statuses.close();
  expect(statuses.admits('next', 10)).toBe(false);
});

test('what is not asked for again takes nothing of the heap but a key, however many come and go', () => {
  const statuses = new StatusStore().ofTenant('tenant');
  const before = heapUsed();
  for (let number = 0; number < 50_000; number += 1) {
    statuses.set(`${number}`, { ...entryOf(0), text: `${number}`.padEnd(1_500) });
  }
  // Keys, and their places in the cache.
  expect(heapUsed() - before).toBeLessThan(2 * MIB);
  expect(statuses.peek('39999')).toBe(undefined);
  for (let number = 40_000; number < 50_000; number += 1) {
    expect(statuses.peek(`${number}`)).toEqual({ ...entryOf(0), text: `${number}`.padEnd(1_500) });
  }
});

test('of a tenant that is gone nothing is kept', () => {
  const store = new StatusStore();
  const [one, other] = [store.ofTenant('one'), store.ofTenant('other')];
  const [idOfOne, idOfOther] = ['["one","a"]', '["other","a"]'];
  one.set(idOfOne, entryOf(10));
  other.set(idOfOther, entryOf(20));
  one.close();
  one.set(idOfOne, entryOf(10));
  expect(one.peek(idOfOne)).toBe(undefined);
  expect(other.peek(idOfOther)).toEqual(entryOf(20));
  expect(store.use().entries).toBe(1);
});
