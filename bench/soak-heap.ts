/** Loaded into the gateway ahead of it: answers each message with the heap that is left after collections. */
import { setImmediate as nextTurn } from 'node:timers/promises';

process.on('message', async () => {
  globalThis.gc?.();
  await nextTurn();
  globalThis.gc?.();
  process.send?.(process.memoryUsage().heapUsed);
});
// The gateway ends when it wants to, not when nobody listens here any more.
process.channel?.unref();
