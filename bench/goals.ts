import { type Row, ratioBetween } from './results.ts';
import type { Series } from './slices.ts';
import type { Startup } from './startup.ts';
import { inMs, type Spread, spreadText } from './statistics.ts';
import { toVerdict, type Verdict } from './verdict.ts';
import { HOT_BATCHES, type Workload } from './workloads.ts';

/** Ratios of processor time for a request, the other server's divided by the gateway's. */
const RATIOS = [
  { workload: 'cold', other: 'bare-proxy', label: 'the bare proxy', least: 0.55, goal: 0.7 },
  { workload: 'cold', other: 'mercurius', label: 'Mercurius with jit', least: 1, goal: 1.2 },
  { workload: 'hot', other: 'lookup', label: 'the lookup', least: 0.7, goal: 0.85 },
  { workload: 'hot', other: 'mercurius', label: 'Mercurius with jit', least: 2.6, goal: 3.2 },
] as const;

const inMiB = (size: number) => `${size.toFixed(0)} MiB`;
const inTimes = (figure: number) => `${figure.toFixed(1)} times`;

/** The gateway's goals, as far as they were measured. */
export function toVerdicts(
  series: readonly Series[],
  rows: readonly Row[],
  startup: Startup | undefined,
  growth: Spread | undefined,
): Verdict[] {
  const verdicts: Verdict[] = [];
  const add = (...of: Parameters<typeof toVerdict>) => void verdicts.push(toVerdict(...of));
  const row = (workload: Workload, name: string) =>
    rows.find((one) => one.workload === workload && one.name === name);

  for (const { workload, other, label, ...limits } of RATIOS) {
    const ratio = ratioBetween(series, workload, 'cpuUs', other, 'gateway');
    if (ratio) add(`${workload}: CPU time, ${label} to the gateway`, ratio, limits);
  }
  const [ours, theirs] = [row('cold', 'gateway'), row('cold', 'mercurius')];
  if (ours && theirs)
    add("cold: p99; Mercurius' is the limit", ours.p99, { most: theirs.p99 }, inMs);
  const hot = row('hot', 'gateway');
  if (hot) {
    const perSecond = hot.upstreamCallsPerRequest * hot.requestsPerSecond.median;
    const calls = (perSecond * hot.seconds) / HOT_BATCHES;
    // A copy lives for a second: a slice begins with a call, and each whole second brings one more.
    const most = 1 + Math.round(hot.seconds);
    add('hot: upstream calls for a batch in a slice, one a second', calls, { most });
  }
  const measured = rows.filter(({ name }) => name === 'gateway');
  if (measured.length > 0) {
    const tokenCalls = measured.map((one) => one.tokenCalls);
    add('calls for a token', Math.max(...tokenCalls), { most: 1 }, String);
    const errors = measured.reduce((sum, one) => sum + one.errors, 0);
    add('errors', errors, { most: 0 }, String);
  }
  if (startup) {
    const { ratio, listeningMs, nodeMs, idleMemoryMiB } = startup;
    const text = `${spreadText(ratio, inTimes)}: ${inMs(listeningMs)}, ${inMs(nodeMs)}`;
    add('start: listening, to `node -e 0`', ratio, { most: 12, goal: 8 }, inTimes, text);
    add('idle: resident', idleMemoryMiB, { most: 120 }, inMiB);
  }
  if (growth) {
    add('20 batches in a query, to the slowest upstream call, at worst', growth.max, { most: 1.3 });
  }
  return verdicts;
}
