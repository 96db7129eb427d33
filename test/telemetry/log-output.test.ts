import { expect, test } from 'vitest';
import { LogOutput, type LogSink } from '../../src/telemetry/log-output.ts';
import { TestClock } from '../support/test-clock.ts';

/** A log on a sink that takes what the test lets it take. */
function createLogOutput() {
  const clock = new TestClock();
  const told: object[] = [];
  /** What was written so far. */
  let text = '';
  /** Blocks that were handed over and not taken. */
  const asked: { bytes: Buffer; done: Parameters<LogSink>[1] }[] = [];
  const output: LogOutput = new LogOutput({
    sink: (bytes, done) => void asked.push({ bytes, done }),
    clock,
    resumed: (trouble) => {
      told.push(trouble);
      output.write('the log is written again\n');
    },
  });
  /** Takes `count` bytes of the block that was handed over, by default all, and the rest with `code`. */
  function take(count?: number, code?: string): void {
    const [next] = asked.splice(0, 1);
    if (next === undefined) throw new Error('nothing was handed over');
    const { length } = next.bytes;
    text += next.bytes.toString('utf8', 0, count ?? length);
    next.done(
      code === undefined ? undefined : Object.assign(new Error(code), { code }),
      count ?? length,
    );
  }
  return { clock, output, told, asked, take, written: () => text };
}

/** 64 KiB, in 16 lines. */
const BLOCK = `${'x'.repeat(4_095)}\n`.repeat(16);

test('lines are written together, 100 ms after the first at the latest, in their order, however long', () => {
  const { clock, output, asked, take, written } = createLogOutput();
  output.write('one\n');
  output.write('zwölf\n');
  clock.advance(99);
  expect(asked).toEqual([]);
  clock.advance(1);
  take();
  expect(written()).toBe('one\nzwölf\n');
  const long = `${'€'.repeat(100_000)}\n`;
  for (const line of ['before\n', long, 'behind\n']) output.write(line);
  take();
  take();
  clock.advance(100);
  take();
  expect(written()).toBe(`one\nzwölf\nbefore\n${long}behind\n`);
  expect(output.problem()).toBe(undefined);
});

test('lines that come while others are written are written 100 ms after the first of them, or as soon as those are out', () => {
  const { clock, output, asked, take, written } = createLogOutput();
  output.write('one\n');
  clock.advance(100);
  output.write('two\n');
  take();
  clock.advance(99);
  output.write('three\n');
  expect(asked).toEqual([]);
  clock.advance(1);
  output.write('four\n');
  clock.advance(100);
  output.write('five\n');
  expect(asked).toHaveLength(1);
  take();
  expect(written()).toBe('one\ntwo\nthree\n');
  take();
  expect(written()).toBe('one\ntwo\nthree\nfour\nfive\n');
});

test('83: where it cannot be written, it is tried again each second; a line goes on where it ended, and nothing is lost', () => {
  const { clock, output, told, asked, take, written } = createLogOutput();
  output.write('one\ntwo\n');
  clock.advance(100);
  take(5, 'ENOSPC');
  output.write('three\n');
  expect(output.problem()).toBe('it cannot be written: ENOSPC; lines that were dropped: 0');
  clock.advance(999);
  expect(asked).toEqual([]);
  clock.advance(1);
  take(0, 'ENOSPC');
  clock.advance(1_000);
  take();
  expect(output.problem()).toBe(undefined);
  expect(told).toEqual([
    { reason: 'it cannot be written: ENOSPC', droppedLines: 0, lastedMs: 2_000 },
  ]);
  clock.advance(100);
  take();
  expect(written()).toBe('one\ntwo\nthree\nthe log is written again\n');
});

test('83: it takes lines as long as it has no trouble and room for them: then they are written, whatever comes behind', () => {
  const { clock, output, take, written } = createLogOutput();
  expect(output.takes(BLOCK)).toBe(true);
  // One is handed over, 124 wait, and one is being filled.
  for (let block = 0; block < 126; block += 1) output.write(BLOCK);
  expect(output.takes('the last\n')).toBe(true);
  expect(output.takes(BLOCK)).toBe(false);
  output.write('the last\n');
  for (let block = 0; block < 10; block += 1) output.write(BLOCK);
  expect([output.takes(''), output.isLosing]).toEqual([false, true]);
  for (let block = 0; block < 128; block += 1) take();
  expect(written()).toContain('the last\n');
  clock.advance(100);
  expect([output.takes(BLOCK), output.isLosing]).toEqual([true, false]);
});

test('83: it takes no line while a write fails, or takes longer than 5 s', () => {
  const { clock, output, take } = createLogOutput();
  output.write('one\n');
  clock.advance(100);
  expect(output.takes('two\n')).toBe(true);
  clock.advance(5_001);
  expect([output.takes('two\n'), output.isLosing]).toEqual([false, false]);
  take(0, 'ENOSPC');
  expect(output.takes('two\n')).toBe(false);
  clock.advance(1_000);
  take();
  expect(output.takes('two\n')).toBe(true);
});

test('83: while it is not taken, 8 MiB wait; lines beyond are dropped and counted, which is told when all is out', () => {
  const { clock, output, told, asked, take, written } = createLogOutput();
  for (let block = 0; block < 130; block += 1) output.write(BLOCK);
  expect(asked).toHaveLength(1);
  expect(output.problem()).toBe('it is not taken; lines that were dropped: 32');
  clock.advance(3_000);
  for (let block = 0; block < 127; block += 1) take();
  expect(output.problem()).toBe('it is not taken; lines that were dropped: 32');
  take();
  expect(output.problem()).toBe(undefined);
  expect(told).toEqual([{ reason: 'it is not taken', droppedLines: 32, lastedMs: 3_000 }]);
  clock.advance(100);
  take();
  expect(written()).toBe(`${BLOCK.repeat(128)}the log is written again\n`);
});

test('83: a write that takes longer than 5 s is told, though nothing was dropped', () => {
  const { clock, output, told, take } = createLogOutput();
  output.write('one\n');
  clock.advance(100);
  clock.advance(5_000);
  expect(output.problem()).toBe(undefined);
  clock.advance(1);
  expect(output.problem()).toBe('it is not taken; lines that were dropped: 0');
  take();
  expect(output.problem()).toBe(undefined);
  expect(told).toEqual([{ reason: 'it is not taken', droppedLines: 0, lastedMs: 5_001 }]);
});

test('83: the end waits for the last lines, as long as it says at the most', async () => {
  const { clock, output, take, written } = createLogOutput();
  await output.flushed(500);
  output.write('one\n');
  const flushed = output.flushed(500);
  output.write('two\n');
  take();
  take();
  await flushed;
  expect(written()).toBe('one\ntwo\n');

  output.write('three\n');
  const inVain = output.flushed(500);
  clock.advance(500);
  await inVain;
});
