/**
 * Loaded into a gateway ahead of it: answers each message with a figure of its process. That is its processor time, of
 * all threads, in microseconds; or the heap that is left after collections, in bytes.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

process.on('message', async (message) => {
  const { user, system } = process.cpuUsage();
  if (message === 'cpu') return process.send?.(user + system);
  globalThis.gc?.();
  await nextTurn();
  globalThis.gc?.();
  return process.send?.(process.memoryUsage().heapUsed);
});
// The gateway ends when it wants to, not when nobody listens here any more.
process.channel?.unref();
