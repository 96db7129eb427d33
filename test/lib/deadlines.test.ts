import { expect, test } from 'vitest';
import { Deadlines } from '../../src/lib/deadlines.ts';
import { TestClock } from '../support/test-clock.ts';

/** Deadlines on a clock that stands still, and the names of what has expired, in order. */
function createTested() {
  const clock = new TestClock();
  const deadlines = new Deadlines(clock);
  const expired: string[] = [];
  const add = (name: string, inMs: number) =>
    deadlines.add({ deadline: clock.now() + inMs, expire: () => void expired.push(name) });
  return { clock, deadlines, expired, add };
}

test('each expires at its deadline, and again until it is over, whatever the order, with one timer for all', () => {
  const { clock, expired, add } = createTested();
  add('late', 300);
  add('early', 100);
  add('between', 200);
  expect(clock.pending).toBe(1);
  clock.advance(99);
  expect(expired).toEqual([]);
  clock.advance(1);
  expect(expired).toEqual(['early']);
  clock.advance(100);
  expect(expired.slice(1).toSorted()).toEqual(['between', 'early']);
  expect(clock.pending).toBe(1);
});

test('what is over does not expire, and nothing is waited for when all are over', () => {
  const { clock, deadlines, expired, add } = createTested();
  const [first, second] = [add('first', 100), add('second', 100)];
  deadlines.delete(first);
  clock.advance(100);
  expect(expired).toEqual(['second']);
  deadlines.delete(second);
  expect(clock.pending).toBe(0);
  add('third', 50);
  clock.advance(50);
  expect(expired).toEqual(['second', 'third']);
});

test('one that expires may end others', () => {
  const { clock, deadlines, expired, add } = createTested();
  const slots: number[] = [];
  slots.push(
    deadlines.add({
      deadline: clock.now() + 100,
      expire() {
        for (const slot of slots) deadlines.delete(slot);
        expired.push('the first');
      },
    }),
  );
  slots.push(add('the second', 200));
  clock.advance(200);
  expect(expired).toEqual(['the first']);
  expect(clock.pending).toBe(0);
});

test('a deadline that has passed when it comes is met at once', () => {
  const { clock, expired, add } = createTested();
  add('late', -10);
  clock.advance(0);
  expect(expired).toEqual(['late']);
});
