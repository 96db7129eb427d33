import type { Growth } from './growth.ts';
import { type Row, ratioBetween } from './results.ts';
import type { Series } from './slices.ts';
import type { Startup } from './startup.ts';
import { inHundredths, spreadText } from './statistics.ts';
import { toVerdict, type Verdict } from './verdict.ts';
import { HOT_BATCHES, type Workload } from './workloads.ts';

/** Ratios of processor time for a request, the other server's divided by the gateway's. */
const RATIOS: readonly (readonly [
  workload: Workload,
  other: string,
  label: string,
  must: number,
  goal: number,
])[] = [
  ['cold', 'bare-proxy', 'the bare proxy', 0.55, 0.7],
  ['cold', 'mercurius', 'Mercurius with jit', 1, 1.2],
  ['hot', 'lookup', 'the lookup', 0.7, 0.85],
  ['hot', 'mercurius', 'Mercurius with jit', 2.6, 3.2],
];

/** The gateway's goals, as far as they were measured. */
export function toVerdicts(
  series: readonly Series[],
  rows: readonly Row[],
  startup: Startup | undefined,
  growth: Growth | undefined,
): Verdict[] {
  const verdicts: Verdict[] = [];
  const row = (workload: Workload, name: string) =>
    rows.find((one) => one.workload === workload && one.name === name);

  for (const [workload, other, label, must, goal] of RATIOS) {
    const ratio = ratioBetween(series, workload, 'cpuUs', other, 'gateway');
    if (ratio === undefined) continue;
    const what = `${workload}: CPU time, ${label} to the gateway`;
    const measured = spreadText(ratio, inHundredths);
    verdicts.push(toVerdict(what, ratio.median, { least: must, goal }, inHundredths, measured));
  }
  const [ours, theirs] = [row('cold', 'gateway'), row('cold', 'mercurius')];
  if (ours && theirs) {
    const inMs = (ms: number) => `${ms.toFixed(1)} ms`;
    verdicts.push(
      toVerdict("cold: p99; Mercurius' is the limit", ours.p99, { most: theirs.p99 }, inMs),
    );
  }
  const hot = row('hot', 'gateway');
  if (hot) {
    const perSecond = hot.upstreamCallsPerRequest * hot.requestsPerSecond.median;
    const calls = (perSecond * hot.seconds) / HOT_BATCHES;
    // A copy lives for a second: a slice begins with a call, and each whole second brings one more.
    const must = 1 + Math.round(hot.seconds);
    const what = 'hot: upstream calls for a batch in a slice, one a second';
    verdicts.push(toVerdict(what, calls, { most: must }, inHundredths));
  }
  const measured = rows.filter(({ name }) => name === 'gateway');
  if (measured.length > 0) {
    const tokenCalls = measured.map((one) => one.tokenCalls);
    verdicts.push(toVerdict('calls for a token', Math.max(...tokenCalls), { most: 1 }, String));
    const errors = measured.reduce((sum, one) => sum + one.errors, 0);
    verdicts.push(toVerdict('errors', errors, { most: 0 }, String));
  }
  if (startup) {
    const { ratio, listeningMs, nodeMs, idleMemoryMiB } = startup;
    const inTimes = (figure: number) => `${figure.toFixed(1)} times`;
    const inWhole = (ms: number) => ms.toFixed(0);
    const text = `${inTimes(ratio)}: ${spreadText(listeningMs, inWhole)} ms to ${spreadText(nodeMs, inWhole)} ms`;
    verdicts.push(
      toVerdict('start: listening, to `node -e 0`', ratio, { most: 12, goal: 8 }, inTimes, text),
      toVerdict('idle: resident', idleMemoryMiB, { most: 120 }, (size) => `${size.toFixed(0)} MiB`),
    );
  }
  if (growth) {
    const what = '20 batches in a query, to the slowest upstream call';
    const text = `${growth.worst.toFixed(2)} at worst, ${growth.median.toFixed(2)} in the middle`;
    verdicts.push(toVerdict(what, growth.worst, { most: 1.3 }, inHundredths, text));
  }
  return verdicts;
}
