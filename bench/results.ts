import type { Figures } from './measure.ts';
import { medianOf, type Spread, spreadOf } from './statistics.ts';
import { LIMITS, type Subject } from './subjects.ts';
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
   * Requests per second relative to the limit of the workload: the median of the rounds' ratios, so
   * that what slows the machine for a round slows both. Undefined when the limit was left out.
   */
  ratio: number | undefined;
}

/** The runs of one server with one workload, in the order of the rounds. */
export interface Series {
  subject: Subject;
  workload: Workload;
  rounds: Figures[];
}

/** The rows of one workload. */
export function toRows(series: readonly Series[], workload: Workload): Row[] {
  return series
    .filter((one) => one.workload === workload)
    .map(({ subject: { name, label }, rounds }) => {
      const all = (figure: keyof Figures) => rounds.map((figures) => figures[figure]);
      return {
        name,
        label,
        workload,
        requestsPerSecond: spreadOf(all('requestsPerSecond')),
        ratio: ratioBetween(series, workload, name, LIMITS[workload]),
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

/**
 * Requests per second of one server relative to another: the median of the rounds' ratios. Undefined
 * when one of them was left out.
 */
export function ratioBetween(
  series: readonly Series[],
  workload: Workload,
  name: string,
  other: string,
): number | undefined {
  const [one, two] = [name, other].map((wanted) =>
    series.find((of) => of.workload === workload && of.subject.name === wanted),
  );
  if (one === undefined || two === undefined) return undefined;
  return medianOf(
    one.rounds.map(
      ({ requestsPerSecond }, round) =>
        requestsPerSecond / (two.rounds[round]?.requestsPerSecond ?? Number.NaN),
    ),
  );
}
