import { expect, test } from 'vitest';
import { createSlowReaders } from '../../src/server/slow-readers.ts';
import { TestClock } from '../support/test-clock.ts';

const KIB = 1024;

/** Watches a response whose client takes so many bytes in each second, and tells after how many it is cut off. */
function secondsUntilCutOff(
  takenInSecond: (second: number) => number,
  { othersWait = false, bytesLeft = 10_000 * KIB, sockets = true } = {},
): number | undefined {
  const clock = new TestClock();
  const cutOff: number[] = [];
  let isDestroyed = false;
  const socket = {
    bytesWritten: 20_000 * KIB,
    writableLength: bytesLeft,
    destroy() {
      isDestroyed = true;
    },
  };
  const response = {
    headersSent: true,
    writableFinished: false,
    socket: sockets ? socket : null,
  };
  const responses = new Set([response]);
  const readers = createSlowReaders({
    responses,
    clock,
    telemetry: { slowReadersCutOff: ({ connections }) => cutOff.push(connections) },
    timeoutMs: 10_000,
    isStream: () => false,
    othersWait: () => othersWait,
  });
  readers.watch();
  for (let second = 1; second <= 60; second += 1) {
    clock.advance(1_000);
    if (isDestroyed) {
      expect(cutOff).toEqual([1]);
      return second;
    }
    socket.writableLength = Math.max(0, socket.writableLength - takenInSecond(second));
    if (socket.writableLength === 0) {
      response.writableFinished = true;
      responses.delete(response);
    }
  }
  expect(cutOff).toEqual([]);
  // Nobody is watched any more where the answer was taken.
  if (response.writableFinished) expect(clock.pending).toBe(0);
  return undefined;
}

test.each([
  ['takes nothing', () => 0, 11],
  ['takes 15 KiB a second', () => 15 * KIB, 11],
  ['takes 17 KiB a second', () => 17 * KIB, undefined],
  [
    'takes much every nine seconds',
    (second: number) => (second % 9 === 0 ? 200 * KIB : 0),
    undefined,
  ],
  ['takes much, and then nothing', (second: number) => (second < 5 ? 1_000 * KIB : 0), 21],
  ['takes all at once', () => 10_000 * KIB, undefined],
] as const)(
  '80: with RESPONSE_TIMEOUT_MS of 10 s, a client that %s is cut off in time, or not at all',
  (_, taken, second) => {
    expect(secondsUntilCutOff(taken)).toBe(second);
  },
);

test('80: while others wait, a second in which nothing is taken is enough', () => {
  expect(secondsUntilCutOff(() => 0, { othersWait: true })).toBe(2);
  expect(secondsUntilCutOff(() => 15 * KIB, { othersWait: true })).toBe(2);
  expect(secondsUntilCutOff(() => 17 * KIB, { othersWait: true })).toBe(undefined);
});

test('80: an answer that waits behind another on its connection is not looked at by itself', () => {
  expect(secondsUntilCutOff(() => 0, { sockets: false })).toBe(undefined);
});

test('80: those that are cut off at one look are ended one after the other until the next', () => {
  const clock = new TestClock();
  const endedAt: number[] = [];
  const responses = new Set(
    Array.from({ length: 4 }, () => ({
      headersSent: true,
      writableFinished: false,
      socket: {
        bytesWritten: 0,
        writableLength: KIB,
        destroy: () => endedAt.push(clock.now()),
      },
    })),
  );
  const readers = createSlowReaders({
    responses,
    clock,
    telemetry: {},
    timeoutMs: 10_000,
    isStream: () => false,
    othersWait: () => true,
  });
  const startedAt = clock.now();
  readers.watch();
  for (let ms = 0; ms < 2_900; ms += 50) clock.advance(50);
  expect(endedAt.map((at) => at - startedAt)).toEqual([2_000, 2_250, 2_500, 2_750]);
});
