import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Turns } from '../../src/lib/turns.ts';

test('one piece of work is done in a turn of the event loop, in order, and the first at once', async () => {
  const turns = new Turns();
  const done: number[] = [];
  const works = Array.from({ length: 5 }, async (_, index) => {
    await turns.next();
    done.push(index);
  });
  const seen: number[] = [];
  for (let turn = 0; turn < 7; turn += 1) {
    await nextTurn();
    seen.push(done.length);
  }
  await Promise.all(works);
  expect(done).toEqual([0, 1, 2, 3, 4]);
  // Never two at once; and what comes later, when all is done, waits for nothing.
  expect(seen.every((count, index) => count - (seen[index - 1] ?? 0) <= 2)).toBe(true);
  expect(seen.at(-1)).toBe(5);
  expect(turns.next()).toBe(undefined);
  expect(turns.next()).toBeInstanceOf(Promise);
});
