import { setImmediate as nextTurn } from 'node:timers/promises';

/** Resolves so many turns of the event loop later: what was ready has been done by then. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}
