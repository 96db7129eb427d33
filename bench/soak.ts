/**
 * Runs the gateway for minutes at about half of what it can, and watches its heap: see README.md.
 * Exits with 1 when the heap has grown.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type LoadResult, load } from './load.ts';
import { cpuTimeOf, residentMemoryOf } from './machine.ts';
import { toPair } from './options.ts';
import { type Server, startServer } from './server.ts';
import { setStage } from './stage.ts';
import { GATEWAY } from './subjects.ts';

const MIB = 1024 * 1024;
/** The last heap may be so much larger than the first. */
const GROWTH = 0.1;
const CALIBRATION_SECONDS = 5;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    env: { type: 'string', multiple: true, default: [] },
    header: { type: 'string', multiple: true, default: [] },
  },
});
const seconds = Math.round(60 * Number(values.minutes));
if (!(seconds >= 10)) throw new Error('--minutes takes a number from 0.2.');
const warmupSeconds = Math.min(60, seconds / 5);
const intervalSeconds = Math.min(30, seconds / 10);

const say = (text: string) => void process.stdout.write(`${text}\n`);
const stage = await setStage(Object.fromEntries(values.env.map(toPair)));
const server = await startServer(GATEWAY, stage, {
  nodeArguments: ['--expose-gc', '--import', new URL('soak-heap.ts', import.meta.url).href],
  ipc: true,
});
const { endpoint, pid } = server;
const target = { endpoint, core: stage.loadCore, headers: values.header };

// The first run warms up, the second is counted.
await load({ ...target, workload: 'cold', seconds: CALIBRATION_SECONDS });
const limit = await load({ ...target, workload: 'cold', seconds: CALIBRATION_SECONDS });
const rate = Math.round(limit.requests / limit.seconds / 2);
say(`${rate} cold and ${rate} hot requests/s for ${values.minutes} min`);

const [samples, ...results] = await Promise.all([
  watch(server),
  load({ ...target, workload: 'cold', seconds, rate }),
  load({ ...target, workload: 'hot', seconds, rate }),
]);
await server.stop();
await stage.clear();

for (const [index, result] of results.entries())
  say(describe(index === 0 ? 'cold' : 'hot', result));
const [first = Number.NaN] = samples;
const last = samples.at(-1) ?? Number.NaN;
const flat = last <= first * (1 + GROWTH);
const errors = results.reduce((sum, result) => sum + result.errors, 0);
say(
  `heap ${(first / MIB).toFixed(1)} MiB at first, ${(last / MIB).toFixed(1)} MiB at last: ` +
    `${flat ? 'within' : 'NOT within'} ${100 * GROWTH} %`,
);
process.exit(flat && errors === 0 ? 0 : 1);

/** Resolves to the heap's sizes, in bytes: the first after the warm-up, the last before the end. */
async function watch(of: Server): Promise<number[]> {
  const heaps: number[] = [];
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1_000;
  let [at, cpu] = [elapsed(), cpuTimeOf(pid)];
  for (let due = warmupSeconds; due < seconds; due += intervalSeconds) {
    await sleep(1_000 * (due - elapsed()));
    const share = (cpuTimeOf(pid) - cpu) / 1e6 / (elapsed() - at);
    const heap = await heapOf(of);
    heaps.push(heap);
    of.emptyLog();
    [at, cpu] = [elapsed(), cpuTimeOf(pid)];
    say(
      `${Math.round(at)} s: heap ${(heap / MIB).toFixed(1)} MiB, ` +
        `resident ${residentMemoryOf(pid).toFixed(0)} MiB, core ${Math.round(100 * share)} %`,
    );
  }
  return heaps;
}

async function heapOf(of: Server): Promise<number> {
  const answer = once(of.child, 'message');
  of.child.send('heap');
  const [heap] = await answer;
  return Number(heap);
}

function describe(workload: string, { requests, seconds: took, p99, errors }: LoadResult): string {
  const perSecond = Math.round(requests / took);
  return `${workload}: ${perSecond} requests/s, p99 ${p99.toFixed(1)} ms, ${errors} errors`;
}
