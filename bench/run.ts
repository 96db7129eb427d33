/** Measures the gateway and its peers: see README.md. */
import { readOptions, say, toNames } from './command-line.ts';
import { toVerdicts } from './goals.ts';
import { measureGrowth } from './growth.ts';
import { SLICE_OPTIONS, toOptions } from './options.ts';
import { toRows } from './results.ts';
import { measureInSlices, type Series } from './slices.ts';
import { setStage } from './stage.ts';
import { measureStartup } from './startup.ts';
import { asBefore, GATEWAY, gatewayAt, SUBJECTS } from './subjects.ts';
import { toTable, toVerdictTable } from './table.ts';
import { describeSetup } from './versions.ts';
import { WORKLOADS } from './workloads.ts';
import { toNotes, writeReport } from './write-report.ts';

const OPTIONS = {
  ...SLICE_OPTIONS,
  workload: { type: 'string' },
  'no-extras': { type: 'boolean', default: false },
} as const;

const options = readOptions(OPTIONS, (values) => {
  const { workload, write } = values;
  if (write && workload !== undefined) throw new Error('--write takes both workloads.');
  const names = toNames(workload, WORKLOADS);
  return {
    ...toOptions(values, SUBJECTS, (folder) => [asBefore(gatewayAt(folder))]),
    workloads: WORKLOADS.filter((name) => names.includes(name)),
    hasExtras: !values['no-extras'],
  };
});
const { subjects, workloads, headers } = options;
const stage = await setStage(options.env);
const setup = describeSetup(stage, options);
say(setup);

const series: Series[] = [];
for (const workload of workloads) {
  const chosen = subjects.filter((subject) => subject.workloads.includes(workload));
  series.push(...(await measureInSlices(chosen, workload, stage, options)));
}
const hasExtras = options.hasExtras && options.whole && workloads.length === WORKLOADS.length;
const startup = hasExtras ? await measureStartup(GATEWAY, stage) : undefined;
const growth = hasExtras ? await measureGrowth(GATEWAY, stage, headers) : undefined;
await stage.clear();

const rows = workloads.flatMap((workload) => toRows(series, workload));
for (const workload of workloads) {
  say(`\n${workload}\n\n${toTable(rows.filter((row) => row.workload === workload))}`);
}
const verdicts = toVerdicts(series, rows, startup, growth);
if (verdicts.length > 0) say(`\n${toVerdictTable(verdicts)}`);
for (const note of toNotes(series)) say(`\n${note}`);
if (options.write) {
  writeReport(setup, rows, verdicts);
  say('\nWritten: docs/bench.json, docs/images/bench.svg, docs/performance.md.');
}
process.exit(0);
