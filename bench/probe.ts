/**
 * Loaded into a gateway ahead of it: answers each message about its process. `cpu`: its processor time, of all threads,
 * in microseconds; `heap`: what is left of it after collections, in bytes; `handles`: what keeps it running, and all
 * timers, by kind.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { queryObjects } from 'node:v8';

/** Their class, which has no other name. */
const { constructor: Timer } = setTimeout(() => {}, 0);

process.on('message', async (message) => {
  const { user, system } = process.cpuUsage();
  if (message === 'cpu') return process.send?.(user + system);
  if (message === 'handles') return process.send?.(handles());
  globalThis.gc?.();
  await nextTurn();
  globalThis.gc?.();
  return process.send?.(process.memoryUsage().heapUsed);
});
// The gateway ends when it wants to, not when nobody listens here any more.
process.channel?.unref();

/** Timers that are not to keep it running, as the gateway's are, are found in the heap alone. */
function handles(): Record<string, number> {
  const kinds = Map.groupBy(process.getActiveResourcesInfo(), (kind) => kind);
  const active = [...kinds].map(([kind, { length }]) => [kind, length]);
  const timers = queryObjects(Timer, { format: 'count' });
  return { ...Object.fromEntries(active), 'timers in all': timers };
}
