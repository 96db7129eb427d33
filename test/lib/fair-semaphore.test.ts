import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Entry, FairSemaphore, type Group } from '../../src/lib/fair-semaphore.ts';

interface TestEntry extends Entry {
  readonly name: string;
}

/** A semaphore, and what became of its entries, in order. */
function createTest(capacity: number, maxWaiting = 1_000) {
  const semaphore = new FairSemaphore({ capacity, maxWaiting });
  const admitted: string[] = [];
  const refused: string[] = [];
  return {
    semaphore,
    admitted,
    refused,
    enter(name: string, size: number, ...groups: [Group, ...Group[]]): TestEntry {
      const entry: TestEntry = {
        name,
        size,
        groups,
        held: undefined,
        admitted: () => admitted.push(name),
        refused: () => refused.push(name),
      };
      const admission = semaphore.enter(entry);
      if (admission === 'admitted') admitted.push(name);
      if (admission === 'full') refused.push(name);
      return entry;
    },
  };
}

const group = (key: string, share = 2, reserve = 0): Group => ({ key, share, reserve });

test('a group that is alone has all', () => {
  const { enter, admitted } = createTest(8);
  for (let index = 0; index < 10; index += 1) enter(`a${index}`, 1, group('a'));
  expect(admitted).toEqual(['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7']);
});

test('those that wait are served by who holds least, then in order', () => {
  const { semaphore, enter, admitted } = createTest(4);
  const first = [0, 1, 2, 3].map((index) => enter(`a${index}`, 1, group('a')));
  for (const name of ['a4', 'a5']) enter(name, 1, group('a'));
  for (const name of ['b0', 'b1', 'b2']) enter(name, 1, group('b'));
  enter('c0', 1, group('c'));
  for (const entry of first) semaphore.leave(entry);
  expect(admitted.slice(4)).toEqual(['b0', 'c0', 'a4', 'a5']);
});

test('a group that holds its share leaves its reserve alone, and nobody else', () => {
  const { semaphore, enter, admitted } = createTest(8);
  const greedy = () => group('a', 2, 2);
  const entries = Array.from({ length: 8 }, (_, index) => enter(`a${index}`, 1, greedy()));
  expect(admitted).toHaveLength(6);
  enter('b0', 1, group('b', 2, 2));
  enter('b1', 1, group('b', 2, 2));
  expect(admitted.slice(6)).toEqual(['b0', 'b1']);
  // While somebody is in the reserve, who waits above the share goes on waiting.
  for (const entry of entries.slice(0, 2)) semaphore.leave(entry);
  expect(admitted).toHaveLength(8);
  semaphore.leave(entries[2] ?? entries[0] ?? greedyNever());
  expect(admitted.slice(8)).toEqual(['a6']);
});

function greedyNever(): never {
  throw new Error('there is no entry');
}

test('the share of any of its groups counts: a type that holds its own comes behind others', () => {
  const { semaphore, enter, admitted } = createTest(4);
  const held = [0, 1, 2, 3].map((index) =>
    enter(`h${index}`, 1, group(`c${index}`), group('hanging')),
  );
  enter('h4', 1, group('c4'), group('hanging'));
  enter('w0', 1, group('c4'), group('well'));
  semaphore.leave(held[0] ?? greedyNever());
  expect(admitted.slice(4)).toEqual(['w0']);
});

test('when too many wait, the group with most of them gives way; it is not let in itself', () => {
  const { enter, refused } = createTest(1, 4);
  enter('held', 1, group('x'));
  for (const name of ['a0', 'a1', 'a2', 'a3']) enter(name, 1, group('a'));
  enter('a4', 1, group('a'));
  expect(refused).toEqual(['a4']);
  enter('b0', 1, group('b'));
  enter('c0', 1, group('c'));
  expect(refused).toEqual(['a4', 'a3', 'a2']);
});

test('what is larger than the capacity is admitted alone; who holds less than thought makes room', () => {
  const { semaphore, enter, admitted } = createTest(10);
  const large = enter('large', 25, group('a', 5));
  enter('small', 1, group('b', 5));
  expect(admitted).toEqual(['large']);
  semaphore.resize(large, 9);
  expect(admitted).toEqual(['large', 'small']);
  expect(semaphore.hasWaiting).toBe(false);
});

test('an entry leaves once, waiting or not', () => {
  const { semaphore, enter, admitted } = createTest(1);
  const a = enter('a', 1, group('a'));
  const b = enter('b', 1, group('b'));
  enter('c', 1, group('c'));
  semaphore.leave(b);
  semaphore.leave(b);
  expect(admitted).toEqual(['a']);
  semaphore.leave(a);
  semaphore.leave(a);
  expect(admitted).toEqual(['a', 'c']);
  enter('d', 1, group('d'));
  expect(admitted).toEqual(['a', 'c']);
});

test('whatever comes and goes: never more than the capacity, nobody is lost, and nobody waits for nothing', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('enter' as const),
      size: fc.integer({ min: 1, max: 6 }),
      caller: fc.nat({ max: 3 }),
      type: fc.nat({ max: 2 }),
    }),
    fc.record({ kind: fc.constant('leave' as const), which: fc.nat({ max: 1_000 }) }),
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 200 }),
      fc.integer({ min: 1, max: 12 }),
      (steps, capacity) => {
        const { semaphore, enter, admitted, refused } = createTest(capacity, 10);
        let inside: TestEntry[] = [];
        const entries: TestEntry[] = [];
        for (const [index, one] of steps.entries()) {
          if (one.kind === 'enter') {
            const caller = group(
              `c${one.caller}`,
              Math.ceil(capacity / 4),
              Math.floor(capacity / 8),
            );
            const type = group(`t${one.type}`, Math.ceil(capacity / 2), Math.floor(capacity / 4));
            const entry = enter(String(index), one.size, caller, type);
            entries.push(entry);
            inside.push(entry);
          } else if (inside.length > 0) {
            const [leaving] = inside.splice(one.which % inside.length, 1);
            if (leaving !== undefined) semaphore.leave(leaving);
          }
          inside = inside.filter(({ name }) => !refused.includes(name));
          const held = inside.filter(({ name }) => admitted.includes(name));
          const sum = held.reduce((all, { size }) => all + size, 0);
          expect(held.length <= 1 || sum <= capacity).toBe(true);
        }
        // Whoever waits when all others have left is admitted.
        for (let rounds = 0; inside.length > 0; rounds += 1) {
          expect(rounds).toBeLessThan(1_000);
          const held = inside.find(({ name }) => admitted.includes(name));
          expect(held).toBeDefined();
          if (held !== undefined) semaphore.leave(held);
          inside = inside.filter((entry) => entry !== held);
        }
        expect(semaphore.hasWaiting).toBe(false);
        expect(new Set(admitted).size).toBe(admitted.length);
      },
    ),
    { numRuns: 500 },
  );
});
