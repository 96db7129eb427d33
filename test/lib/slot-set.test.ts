import fc from 'fast-check';
import { expect, test } from 'vitest';
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
