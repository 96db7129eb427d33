import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** How many there were, by what they were. */
export type Counts = Readonly<Record<string, number>>;

/** Clients first wait for what is under way, and a gateway that is beaten takes its time. */
const ANSWER_LIMIT_MS = 60_000;

/** The next counts that a program sends, once it was sent a message where there is one. Rejects when none come in time. */
export async function countsFrom(child: ChildProcess, message?: string): Promise<Counts> {
  const answered = once(child, 'message', { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
  if (message !== undefined && child.connected) child.send(message);
  const [counts]: Counts[] = await answered.catch((error: unknown) => {
    throw new Error(`${child.spawnargs.join(' ')} did not answer.`, { cause: error });
  });
  return counts ?? {};
}

/** Counts how often there was each. */
export function countEach(names: readonly string[]): Counts {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** What was added since an earlier reading. */
export function countsSince(earlier: Counts, now: Counts): Counts {
  const added = Object.entries(now).map(([name, count]) => [name, count - (earlier[name] ?? 0)]);
  return Object.fromEntries(added);
}

/** The counts that are not 0, for people. */
export function describeCounts(counts: Counts): string {
  const parts = Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => `${count} ${name}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}
