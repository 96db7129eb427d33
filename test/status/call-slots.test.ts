import { expect, test } from 'vitest';
import { Cancellation } from '../../src/lib/cancellation.ts';
import { Turns } from '../../src/lib/turns.ts';
import { createCallSlots } from '../../src/status/call-slots.ts';
import { TestClock } from '../support/test-clock.ts';
import { turns } from '../support/turns.ts';

const CALLER = { key: '["tenant","caller"]', weight: 1 };

/** Slots for four calls, all of them taken by one caller, and what became of those that wait. */
async function createTest(waiting: number) {
  const slots = createCallSlots({ slots: 4, turns: new Turns(), clock: new TestClock() });
  const enter = (signal = new Cancellation()) => slots.enter('vehicles', CALLER, signal);
  const taken = await Promise.all(Array.from({ length: 4 }, () => enter()));
  const begun: number[] = [];
  const signals = Array.from({ length: waiting }, () => new Cancellation());
  const entering = signals.map(async (signal, index) => {
    const slot = await enter(signal);
    begun.push(index);
    return slot;
  });
  return { slots, taken, begun, signals, entering };
}

test('calls that waited begin one in a turn of the event loop, in their order', async () => {
  const { slots, taken, begun, entering } = await createTest(4);
  for (const slot of taken) slot.leave();
  expect(slots.used).toBe(4);
  const counts: number[] = [];
  for (let turn = 0; turn < 4; turn += 1) {
    await turns(1);
    counts.push(begun.length);
  }
  expect(counts).toEqual([1, 2, 3, 4]);
  await Promise.all(entering);
  expect(begun).toEqual([0, 1, 2, 3]);
});

test('who leaves before its turn gives its slot back', async () => {
  const { slots, taken, begun, signals, entering } = await createTest(3);
  const outcomes = Promise.allSettled(entering);
  for (const slot of taken) slot.leave();
  expect([slots.used, slots.waiting]).toEqual([3, 0]);
  const gone = new Error('the client is gone');
  signals[2]?.abort(gone);
  await expect(outcomes).resolves.toMatchObject([
    { status: 'fulfilled' },
    { status: 'fulfilled' },
    { status: 'rejected', reason: gone },
  ]);
  expect(begun).toEqual([0, 1]);
  expect(slots.used).toBe(2);
});
