import type { Figures, Series } from './slices.ts';
import { medianOf, type Spread, spreadOf } from './statistics.ts';
import { LIMITS } from './subjects.ts';
import type { Workload } from './workloads.ts';

/**
 * One line of the table. Of the rounds, each figure is the median; of token calls, disturbance and how
 * busy the load's core was, the most; of errors, the sum.
 */
export interface Row extends Omit<Figures, 'requestsPerSecond'> {
  name: string;
  label: string;
  workload: Workload;
  requestsPerSecond: Spread;
  /**
   * Processor time for a request, the limit's divided by this server's, within each round: what slows the machine
   * for a round slows both. Undefined when the limit was left out.
   */
  ratio: Spread | undefined;
  /** The same of requests per second, this server's divided by the limit's. */
  requestsRatio: Spread | undefined;
}

/** The rows of one workload. */
export function toRows(series: readonly Series[], workload: Workload): Row[] {
  return series
    .filter((one) => one.workload === workload)
    .map(({ subject: { name, label }, rounds }) => {
      const all = (figure: keyof Figures) => rounds.map((figures) => figures[figure]);
      const limit = LIMITS[workload];
      return {
        name,
        label,
        workload,
        seconds: medianOf(all('seconds')),
        requestsPerSecond: spreadOf(all('requestsPerSecond')),
        ratio: ratioBetween(series, workload, 'cpuUs', limit, name),
        requestsRatio: ratioBetween(series, workload, 'requestsPerSecond', name, limit),
        p50: medianOf(all('p50')),
        p99: medianOf(all('p99')),
        cpuUs: medianOf(all('cpuUs')),
        memoryMiB: medianOf(all('memoryMiB')),
        upstreamCallsPerRequest: medianOf(all('upstreamCallsPerRequest')),
        tokenCalls: Math.max(...all('tokenCalls')),
        errors: all('errors').reduce((sum, errors) => sum + errors, 0),
        disturbance: Math.max(...all('disturbance')),
        loadCoreBusy: Math.max(...all('loadCoreBusy')),
      };
    });
}

/** One server's figure divided by another's, within each round. Undefined when one of them was left out. */
export function ratioBetween(
  series: readonly Series[],
  workload: Workload,
  figure: 'cpuUs' | 'requestsPerSecond',
  name: string,
  other: string,
): Spread | undefined {
  const [one, two] = [name, other].map((wanted) =>
    series.find((of) => of.workload === workload && of.subject.name === wanted),
  );
  if (one === undefined || two === undefined) return undefined;
  return spreadOf(
    one.rounds.map(
      (figures, round) => figures[figure] / (two.rounds[round]?.[figure] ?? Number.NaN),
    ),
  );
}
