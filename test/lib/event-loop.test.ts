import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EventLoop } from '../../src/lib/event-loop.ts';

test('all who wait for the end of an iteration go on together, step by step, when others have had their turn', async () => {
  const loop = new EventLoop();
  const done: string[] = [];
  async function work(name: string): Promise<void> {
    await loop.endOfIteration();
    done.push(`${name} handled`);
    await loop.endOfIteration();
    done.push(`${name} written`);
  }
  const both = [work('first'), work('second')];
  // Within the same iteration, but later on.
  queueMicrotask(() => void both.push(work('third')));
  process.nextTick(() => done.push('read'));
  await nextTurn();
  expect(done).toEqual(['read', 'first handled', 'second handled', 'third handled']);
  await nextTurn();
  expect(done.slice(4)).toEqual(['first written', 'second written', 'third written']);
  await Promise.all(both);
});
