import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Turns } from '../../src/lib/turns.ts';

/** What was done after each turn of the event loop, in order. */
async function run(works: readonly ((turns: Turns) => Promise<void> | undefined)[]) {
  const turns = new Turns();
  const done: number[] = [];
  const all = works.map(async (work, index) => {
    await work(turns);
    done.push(index);
  });
  const counts: number[] = [];
  for (let turn = 0; turn < works.length + 2; turn += 1) {
    await nextTurn();
    counts.push(done.length);
  }
  await Promise.all(all);
  return { done, counts, turns };
}

const of = (group: string) => (turns: Turns) => turns.next(group);

test('one piece of work is done in a turn of the event loop, in order, and the first at once', async () => {
  const { done, counts, turns } = await run([of('a'), of('a'), of('a'), of('a'), of('a')]);
  expect(done).toEqual([0, 1, 2, 3, 4]);
  const steps = counts.map((count, index) => count - (counts[index - 1] ?? 1));
  expect(Math.max(...steps)).toBe(1);
  // What comes when all is done waits for nothing.
  expect(turns.next('a')).toBe(undefined);
  expect(turns.next('a')).toBeInstanceOf(Promise);
});

test('groups take turns, however many of one wait, and what is urgent comes first', async () => {
  const urgent = (turns: Turns) => turns.nextUrgent();
  const { done } = await run([
    of('a'),
    of('a'),
    of('a'),
    of('a'),
    of('b'),
    of('c'),
    of('b'),
    urgent,
  ]);
  expect(done).toEqual([0, 7, 1, 4, 5, 2, 6, 3]);
});
