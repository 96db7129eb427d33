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
  return Object.fromEntries(
    [...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]),
  );
}

/** What was added since an earlier reading. */
export function countsSince(earlier: Counts, now: Counts): Counts {
  const added = Object.entries(now).map(([name, count]) => [name, count - (earlier[name] ?? 0)]);
  return Object.fromEntries(added);
}

/** Without those that are 0, for people. */
export function describeCounts(counts: Counts): string {
  const parts = Object.entries(counts).filter(([, count]) => count !== 0);
  return parts.map(([name, count]) => `${count} ${name}`).join(', ') || 'none';
}
