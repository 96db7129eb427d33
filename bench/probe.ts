/** Loaded into a gateway ahead of it: answers each message with a figure of its process. */
import { setImmediate as nextTurn } from 'node:timers/promises';

process.on('message', async (message) => {
  process.send?.(message === 'cpu' ? cpuUs() : await heapBytes());
});
// The gateway ends when it wants to, not when nobody listens here any more.
process.channel?.unref();

/** User and system, V8's helper threads among it. */
function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** What is left after collections. */
async function heapBytes(): Promise<number> {
  globalThis.gc?.();
  await nextTurn();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
