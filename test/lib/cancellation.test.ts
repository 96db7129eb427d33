import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cancellation } from '../../src/lib/cancellation.ts';

/** What a test does: adds or removes one of three listeners. */
const steps = fc.array(fc.record({ listener: fc.nat(2), isAdded: fc.boolean() }));

test('it tells its listeners as an AbortSignal does', () => {
  fc.assert(
    fc.property(steps, (given) => {
      const cancellation = new Cancellation();
      const controller = new AbortController();
      const called: number[] = [];
      const calledBySignal: number[] = [];
      const listeners = [0, 1, 2].map((name) => () => void called.push(name));
      const ofSignal = [0, 1, 2].map((name) => () => void calledBySignal.push(name));
      for (const { listener, isAdded } of given) {
        const [mine, theirs] = [listeners[listener], ofSignal[listener]];
        if (mine === undefined || theirs === undefined) continue;
        if (isAdded) {
          cancellation.addEventListener('abort', mine);
          controller.signal.addEventListener('abort', theirs);
        } else {
          cancellation.removeEventListener('abort', mine);
          controller.signal.removeEventListener('abort', theirs);
        }
      }
      for (const reason of ['why', 'again']) {
        cancellation.abort(reason);
        controller.abort(reason);
      }
      expect(called.toSorted()).toEqual(calledBySignal.toSorted());
      expect(cancellation.aborted).toBe(true);
      expect(cancellation.reason).toBe(controller.signal.reason);
    }),
  );
});
