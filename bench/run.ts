/** Measures the gateway and its peers: see README.md. */
import { toVerdicts } from './goals.ts';
import { measureGrowth } from './growth.ts';
import { LOADER } from './load.ts';
import { DISTURBED, measureUndisturbed } from './measure.ts';
import { type Options, parseOptions } from './options.ts';
import { type Series, toRows } from './results.ts';
import { setStage } from './stage.ts';
import { measureStartup } from './startup.ts';
import { GATEWAY } from './subjects.ts';
import { toTable, toVerdictTable } from './table.ts';
import { describeVersions } from './versions.ts';
import { CONNECTIONS } from './workloads.ts';
import { writeReport } from './write-report.ts';

/** More of its core than this, and the load may be what limits. */
const LOAD_CORE_FULL = 0.95;

const say = (text: string) => void process.stdout.write(`${text}\n`);
const percent = (share: number) => `${Math.round(100 * share)} %`;

const options = readOptions();
const { rounds, seconds, warmupSeconds, headers } = options;
const stage = await setStage(options.gatewayEnv);
const setup = `${describeVersions()}; upstream ${stage.upstream.kind}, load ${LOADER} with ${CONNECTIONS} connections, median of ${rounds} × ${seconds} s`;
say(setup);
if (stage.loadCore === undefined) say('There is one core only: load and server share it.');

const series: Series[] = options.workloads.flatMap((workload) =>
  options.subjects
    .filter((subject) => subject.workloads.includes(workload))
    .map((subject) => ({ subject, workload, rounds: [] })),
);
for (let round = 1; round <= rounds; round += 1) {
  for (const { subject, workload, rounds: done } of series) {
    const { figures, attempts } = await measureUndisturbed(subject, workload, stage, {
      warmupSeconds,
      seconds,
      headers,
    });
    done.push(figures);
    const again = attempts > 1 ? ` (${attempts} attempts: others used the server's core)` : '';
    const perSecond = Math.round(figures.requestsPerSecond);
    say(`${round}/${rounds} ${workload} ${subject.name}: ${perSecond} requests/s${again}`);
  }
}

const startup = options.extras ? await measureStartup(GATEWAY, stage) : undefined;
const growth = options.extras ? await measureGrowth(GATEWAY, stage, headers) : undefined;
await stage.clear();

const rows = options.workloads.flatMap((workload) => toRows(series, workload));
for (const workload of options.workloads) {
  say(`\n${workload}\n\n${toTable(rows.filter((row) => row.workload === workload))}`);
}
const verdicts = toVerdicts(series, rows, startup, growth);
if (verdicts.length > 0) say(`\n${toVerdictTable(verdicts)}`);
for (const { workload, name, disturbance, loadCoreBusy } of rows) {
  if (disturbance > DISTURBED) {
    say(`\nNote: ${workload} ${name}: others used ${percent(disturbance)} of the server's core.`);
  }
  if (loadCoreBusy > LOAD_CORE_FULL) {
    say(`\nNote: ${workload} ${name}: the core of the load was ${percent(loadCoreBusy)} busy.`);
  }
}
if (options.write) {
  writeReport({ date: new Date().toISOString().slice(0, 10), setup, rows, verdicts });
  say('\nWritten: docs/bench.json, docs/images/bench.svg, docs/performance.md.');
}
process.exit(0);

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2), process.env['GATEWAY_ENV']);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return process.exit(2);
  }
}
