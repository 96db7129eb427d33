import type { Growth } from './growth.ts';
import { type Row, ratioBetween, type Series } from './results.ts';
import type { Startup } from './startup.ts';
import { HOT_BATCHES } from './workloads.ts';

/** One goal, and what was measured. */
export interface Verdict {
  goal: string;
  measured: string;
  met: boolean;
}

/** A run of five seconds begins with a call for each batch, and may end with one. */
const EDGES = 1.25;

/** The gateway's goals, as far as they were measured. */
export function toVerdicts(
  series: readonly Series[],
  rows: readonly Row[],
  startup: Startup | undefined,
  growth: Growth | undefined,
): Verdict[] {
  const verdicts: Verdict[] = [];
  const add = (goal: string, measured: string, met: boolean) =>
    void verdicts.push({ goal, measured, met });
  function addRatio(workload: 'cold' | 'hot', other: string, label: string, least: number): void {
    const ratio = ratioBetween(series, workload, 'gateway', other);
    if (ratio === undefined) return;
    add(`${workload}: at least ${least.toFixed(2)} of ${label}`, ratio.toFixed(2), ratio >= least);
  }
  const row = (workload: 'cold' | 'hot', name: string) =>
    rows.find((one) => one.workload === workload && one.name === name);

  addRatio('cold', 'bare-proxy', 'the bare proxy', 0.8);
  addRatio('cold', 'mercurius', 'Mercurius with jit', 1.3);
  addRatio('cold', 'yoga', 'Yoga', 4);
  const [ours, theirs] = [row('cold', 'gateway'), row('cold', 'mercurius')];
  if (ours && theirs) {
    add(
      'cold: p99 no worse than that of Mercurius',
      `${ours.p99.toFixed(1)} ms, ${theirs.p99.toFixed(1)} ms`,
      ours.p99 <= theirs.p99,
    );
  }
  addRatio('hot', 'lookup', 'the lookup', 0.75);
  addRatio('hot', 'mercurius', 'Mercurius with jit', 3);
  const hot = row('hot', 'gateway');
  if (hot) {
    const calls = (hot.upstreamCallsPerRequest * hot.requestsPerSecond.median) / HOT_BATCHES;
    add('hot: one upstream call for a batch and second', calls.toFixed(2), calls <= EDGES);
  }
  const measured = rows.filter(({ name }) => name === 'gateway');
  if (measured.length > 0) {
    const tokenCalls = Math.max(...measured.map((one) => one.tokenCalls));
    add('one call for a token', String(tokenCalls), tokenCalls === 1);
    const errors = measured.reduce((sum, one) => sum + one.errors, 0);
    add('no errors', String(errors), errors === 0);
  }
  if (startup) {
    const { listeningMs, idleMemoryMiB } = startup;
    const { median, min, max } = listeningMs;
    add('listening within 500 ms', `${median} ms (${min}–${max})`, median <= 500);
    add('idle: under 120 MiB', `${idleMemoryMiB.toFixed(0)} MiB`, idleMemoryMiB < 120);
  }
  if (growth) {
    add(
      '20 batches in a query: at most 1.30 of the slowest upstream call',
      `${growth.worst.toFixed(2)} at worst, ${growth.median.toFixed(2)} in the middle`,
      growth.worst <= 1.3,
    );
  }
  return verdicts;
}
