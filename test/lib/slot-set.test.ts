import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SlotMap } from '../../src/lib/slot-map.ts';
import { SlotSet } from '../../src/lib/slot-set.ts';

test('whatever comes and goes, it holds what a Set would', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(9))), (steps) => {
      const set = new SlotSet<{ name: number }>();
      const inside = new Map<{ name: number }, number>();
      steps.forEach((leaving, name) => {
        const [item, slot] = [...inside][leaving ?? -1] ?? [];
        if (item !== undefined && slot !== undefined) {
          inside.delete(item);
          set.delete(slot);
        } else {
          const added = { name };
          inside.set(added, set.add(added));
        }
        expect(set.size).toBe(inside.size);
        expect(new Set(set)).toEqual(new Set(inside.keys()));
      });
    }),
  );
});

test('whatever is set and deleted, it finds what a Map would', () => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c', '__proto__'), isSet: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const map = new SlotMap<{ name: number }>();
      const expected = new Map<string, { name: number }>();
      steps.forEach(({ key, isSet }, name) => {
        if (isSet) {
          const value = { name };
          map.set(key, value);
          expected.set(key, value);
        } else {
          map.delete(key);
          expected.delete(key);
        }
        for (const each of ['a', 'b', 'c', '__proto__']) {
          expect(map.get(each)).toBe(expected.get(each));
        }
      });
    }),
  );
});
