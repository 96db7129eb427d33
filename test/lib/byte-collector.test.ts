import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteCollector } from '../../src/lib/byte-collector.ts';

/** Collects bytes in chunks of these lengths, and what is left in one. */
function collect(bytes: Buffer, lengths: readonly number[], maxBytes = bytes.length) {
  const collector = new ByteCollector(maxBytes);
  let at = 0;
  for (const length of [...lengths, bytes.length]) {
    const chunk = bytes.subarray(at, at + length);
    at += chunk.length;
    expect(collector.add(chunk)).toBe(true);
    // Neither an object for each byte, nor one for each chunk that is short.
    expect(collector.parts).toBeLessThanOrEqual(2 + (2 * at) / 512);
  }
  return collector;
}

test('91: bytes are the same however they are cut, and few objects hold them', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 5_000 }),
      fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 50 }),
      fc.nat({ max: 5_000 }),
      (array, lengths, more) => {
        const bytes = Buffer.from(array);
        expect(
          collect(bytes, lengths, bytes.length + more)
            .bytes()
            .equals(bytes),
        ).toBe(true);
      },
    ),
  );
});

test('read as UTF-8, bytes are the same text however they are cut', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 3_000 }),
    fc.string({ unit: 'binary', maxLength: 1_000 }).map((text) => Buffer.from(text)),
  );
  const lengths = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 50 });
  fc.assert(
    fc.property(bytes, lengths, (array, cuts) => {
      const whole = Buffer.from(array);
      expect(collect(whole, cuts).text()).toBe(whole.toString('utf8'));
    }),
  );
});

test('91: a body that comes byte by byte is held in few buffers', () => {
  const bytes = Buffer.from('participant '.repeat(1_000));
  const collector = collect(
    bytes,
    Array.from({ length: bytes.length - 1 }, () => 1),
  );
  expect(collector.bytes()).toEqual(bytes);
});

test('a single chunk is not copied, and none is written to', () => {
  const chunk = Buffer.from('{"data":');
  const collector = new ByteCollector(100);
  collector.add(chunk);
  expect(collector.bytes().buffer).toBe(chunk.buffer);
  collector.add(Buffer.from('{}}'));
  expect(collector.bytes().toString()).toBe('{"data":{}}');
  expect(chunk.toString()).toBe('{"data":');
});

test('no bytes are none', () => {
  expect(new ByteCollector(100).bytes()).toEqual(Buffer.alloc(0));
});

test('one byte too many, and nothing is held any more, whatever comes then', () => {
  const collector = new ByteCollector(5);
  expect(collector.add(Buffer.from('12'))).toBe(true);
  expect(collector.add(Buffer.from('345'))).toBe(true);
  expect(collector.add(Buffer.from('6'))).toBe(false);
  expect(collector.add(Buffer.from('7'))).toBe(false);
  expect(collector.parts).toBe(0);
  expect(collector.bytes()).toEqual(Buffer.alloc(0));
});
