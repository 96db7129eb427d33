import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LongText, partsOf } from '../../src/lib/long-text.ts';

/** Up to 100,000 characters: of one byte, of two, and pairs of them. */
const longText = fc
  .tuple(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), fc.nat({ max: 5_000 }))
  .map(([text, times]) => text.repeat(times));

test('a long text is kept as it is', () => {
  fc.assert(
    fc.property(longText, (text) => {
      const kept = new LongText(text);
      expect(kept.toString() === text).toBe(true);
      expect(kept.length).toBe(text.length);
      const isLatin1 = /^[\0-\xff]*$/.test(text);
      expect(kept.bytes).toBe(isLatin1 ? text.length : 2 * text.length);
    }),
  );
});

test('its parts are short, and whole characters', () => {
  fc.assert(
    fc.property(longText, (text) => {
      const parts = partsOf(text);
      expect(parts.join('') === text).toBe(true);
      expect(Math.max(0, ...parts.map(({ length }) => length))).toBeLessThanOrEqual(32 * 1024);
      // In UTF-8, too, they are the text.
      expect(Buffer.concat(parts.map((part) => Buffer.from(part))).equals(Buffer.from(text))).toBe(
        true,
      );
    }),
  );
});
