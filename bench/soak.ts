/**
 * Runs the gateway for minutes at about half of what it can, and watches its heap: see README.md.
 * Exits with 1 when the heap has grown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ENV, HEADER, judge, readOptions, say, toEnv } from './command-line.ts';
import { load } from './load.ts';
import { cpuTimeOf, residentMemoryOf } from './machine.ts';
import { ask, type Server, startServer } from './server.ts';
import type { Stage } from './stage.ts';
import { inMs, inWhole } from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { toVerdict, type Verdict } from './verdict.ts';

const inMiB = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
/** The last heap may be so much larger than the first. */
const GROWTH = 0.1;
const CALIBRATION_SECONDS = 5;

const OPTIONS = { minutes: { type: 'string', default: '10' }, ...ENV, ...HEADER } as const;
const { seconds, env, headers } = readOptions(OPTIONS, ({ minutes, env, header }) => {
  const seconds = Math.round(60 * Number(minutes));
  if (!(seconds >= 10)) throw new Error('--minutes takes a number from 0.2.');
  return { seconds, env: toEnv(env), headers: header };
});
const warmupSeconds = Math.min(60, seconds / 5);
const intervalSeconds = Math.min(30, seconds / 10);

await judge(env, soak);

async function soak(stage: Stage): Promise<Verdict[]> {
  const server = await startServer(GATEWAY, stage, { isProbed: true });
  const target = { endpoint: server.endpoint, core: stage.loadCore, headers };
  // The first run warms up, the second is counted.
  await load({ ...target, workload: 'cold', seconds: CALIBRATION_SECONDS });
  const limit = await load({ ...target, workload: 'cold', seconds: CALIBRATION_SECONDS });
  const rate = Math.round(limit.requests / limit.seconds / 2);
  say(`${rate} cold and ${rate} hot requests/s for ${seconds} s`);

  const [samples, cold, hot] = await Promise.all([
    watch(server),
    load({ ...target, workload: 'cold', seconds, rate }),
    load({ ...target, workload: 'hot', seconds, rate }),
  ]);
  await server.stop();

  for (const [name, { requests, seconds: took, p99, errors }] of Object.entries({ cold, hot })) {
    say(`${name}: ${inWhole(requests / took)} requests/s, p99 ${inMs(p99)}, ${errors} errors`);
  }
  const [first = Number.NaN] = samples;
  const what = `heap at last; ${inMiB(first)} at first`;
  return [
    toVerdict(what, samples.at(-1) ?? Number.NaN, { most: first * (1 + GROWTH) }, inMiB),
    toVerdict('errors', cold.errors + hot.errors, { most: 0 }, String),
  ];
}

/** Resolves to the heap's sizes, in bytes: the first after the warm-up, the last before the end. */
async function watch(server: Server): Promise<number[]> {
  const { pid } = server;
  const heaps: number[] = [];
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1_000;
  let [at, cpu] = [elapsed(), cpuTimeOf(pid)];
  for (let due = warmupSeconds; due < seconds; due += intervalSeconds) {
    await sleep(Math.max(0, 1_000 * (due - elapsed())));
    const share = (cpuTimeOf(pid) - cpu) / 1e6 / (elapsed() - at);
    const heap = await ask(server, 'heap');
    heaps.push(heap);
    server.emptyLog();
    [at, cpu] = [elapsed(), cpuTimeOf(pid)];
    say(
      `${Math.round(at)} s: heap ${inMiB(heap)}, ` +
        `resident ${residentMemoryOf(pid).toFixed(0)} MiB, core ${Math.round(100 * share)} %`,
    );
  }
  return heaps;
}
