import { expect, test } from 'vitest';
import { Cancellation } from '../../src/lib/cancellation.ts';
import type { Permit } from '../../src/lib/fair-semaphore.ts';
import { Turns } from '../../src/lib/turns.ts';
import { createSendRoom } from '../../src/server/send-room.ts';
import { turns } from '../support/turns.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Room of 4 MiB, in which `ask` is one request from its beginning to where its answer can be written. */
function createTest() {
  const room = createSendRoom({ maxBytes: 4 * MIB, maxWaiting: 10, turns: new Turns() });
  const cancellation = new Cancellation();
  const context = { id: 'request', deadline: 0, signal: cancellation };
  const steps: string[] = [];
  return {
    room,
    steps,
    cancellation,
    async ask(name: string, bytes: number, length = 100): Promise<Permit | undefined> {
      const request = { caller: { key: JSON.stringify(['tenant', name]), weight: 1 }, length };
      const expected = await room.expect(request, context);
      steps.push(`${name} is made`);
      const permit = await room.enter(bytes, request, context, expected);
      steps.push(`${name} is written`);
      return permit;
    },
  };
}

test('80: who got a long answer waits for room for another before it is made', async () => {
  const { room, steps, ask } = createTest();
  const first = await ask('a', 3 * MIB);
  const second = ask('a', 3 * MIB);
  await turns(5);
  expect(steps).toEqual(['a is made', 'a is written']);
  expect(room.isFull).toBe(true);
  first?.leave();
  await second;
  expect(steps).toEqual(['a is made', 'a is written', 'a is made', 'a is written']);
  expect(room.share).toBe(3 / 4);
});

test('80: a request of another length waits for nothing', async () => {
  const { steps, ask } = createTest();
  await ask('a', 3 * MIB);
  expect(await ask('a', 10, 101)).toBe(undefined);
  expect(steps.slice(2)).toEqual(['a is made', 'a is written']);
});

test('80: room that was expected is what the answer then takes, and no more', async () => {
  const { room, ask } = createTest();
  (await ask('a', 3 * MIB))?.leave();
  const second = await ask('a', MIB);
  expect(room.share).toBe(1 / 4);
  second?.leave();
  const third = await ask('a', 10);
  expect(room.share).toBe(10 / (4 * MIB));
  third?.leave();
  expect(room.share).toBe(0);
  expect(await ask('a', 10)).toBe(undefined);
});

test('80: an answer that is longer than expected waits for room as others do', async () => {
  const { room, steps, ask } = createTest();
  (await ask('a', MIB))?.leave();
  const other = await ask('b', 2 * MIB);
  steps.length = 0;
  const second = ask('a', 3 * MIB);
  await turns(5);
  expect(steps).toEqual(['a is made']);
  expect(room.share).toBe(1 / 2);
  other?.leave();
  await second;
  expect(steps).toEqual(['a is made', 'a is written']);
  expect(room.share).toBe(3 / 4);
});

test('80: answers that are expected leave half of the room to others', async () => {
  const { steps, ask, cancellation } = createTest();
  for (const name of ['a', 'b', 'c']) (await ask(name, MIB))?.leave();
  steps.length = 0;
  for (const name of ['a', 'b']) await ask(name, MIB);
  const waiting = ask('c', MIB);
  await turns(5);
  expect(steps).toEqual(['a is made', 'a is written', 'b is made', 'b is written']);
  await ask('d', MIB);
  expect(steps.slice(4)).toEqual(['d is made', 'd is written']);
  cancellation.abort(new Error('the time is up'));
  await expect(waiting).rejects.toMatchObject({ code: 'OVERLOADED', status: 503 });
});

test('80: 10,000 requests are remembered whose answers were long', async () => {
  const { steps, ask } = createTest();
  for (let number = 0; number <= 10_000; number += 1) (await ask(`${number}`, MIB))?.leave();
  await ask('x', 4 * MIB);
  steps.length = 0;
  void ask('10000', 10).catch(() => {});
  await ask('0', 10);
  expect(steps).toEqual(['0 is made', '0 is written']);
});
