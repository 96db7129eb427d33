import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TextEntries, type TextEntry } from '../../src/status/text-entries.ts';

/** Any text: of one byte a character, of two, and what is no text in UTF-8. */
const text = fc
  .tuple(fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }), fc.nat(9))
  .chain(([any, times]) => fc.constantFrom(any, 'é', 'plain').map((part) => part.repeat(times)));

const entry: fc.Arbitrary<TextEntry> = fc.record({
  text,
  fetchedAt: fc.date({ noInvalidDate: true }),
  size: fc.nat(),
  jsonBytes: fc.nat(),
  freshUntil: fc.double({ noNaN: true }),
  staleUntil: fc.double({ noNaN: true }),
});

function entryOf(text: string): TextEntry {
  const until = { freshUntil: 1.5, staleUntil: 2.5 };
  return { text, fetchedAt: new Date(0), size: 3, jsonBytes: 4, ...until };
}

/** Adds entries of that length until there is no room. */
function fill(entries: TextEntries, length: number): number[] {
  const places: number[] = [];
  for (;;) {
    const place = entries.add(entryOf('x'.repeat(length)));
    if (place === undefined) return places;
    places.push(place);
  }
}

test('whatever comes and goes, each entry is what was added', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(entry, fc.nat(20), fc.nat(40_000))), (steps) => {
      const entries = new TextEntries();
      const inside = new Map<number, TextEntry>();
      for (const [base, leaving, length] of steps) {
        const added = { ...base, text: base.text + 'y'.repeat(length) };
        const place = entries.add(added) ?? expect.fail('there is room');
        expect(inside.has(place)).toBe(false);
        inside.set(place, added);
        const left = [...inside.keys()][leaving];
        if (left !== undefined) {
          inside.delete(left);
          entries.delete(left);
        }
        for (const [at, expected] of inside) expect(entries.get(at)).toStrictEqual(expected);
      }
    }),
  );
});

test('16 MiB are kept, and not one entry more', () => {
  const entries = new TextEntries();
  const places = fill(entries, 60_000);
  expect(places.length).toBe(4 * 64);
  for (const place of places) expect(entries.get(place)).toEqual(entryOf('x'.repeat(60_000)));
});

test('the memory of a block is used again when no entry is left in it', () => {
  const entries = new TextEntries();
  const places = fill(entries, 60_000);
  const [first, second, third, fourth, ...others] = places;
  for (const place of [first, second, third]) entries.delete(place ?? -1);
  expect(fill(entries, 60_000)).toEqual([]);
  entries.delete(fourth ?? -1);
  expect(fill(entries, 60_000)).toEqual([first, second, third, fourth]);
  expect(others.map((place) => entries.get(place).text.length)).toEqual(others.map(() => 60_000));
});

test('one that is longer than a block is not taken', () => {
  const entries = new TextEntries();
  expect(entries.add(entryOf('x'.repeat(256 * 1024)))).toBe(undefined);
  expect(entries.add(entryOf('\u0436'.repeat(128 * 1024)))).toBe(undefined);
});
