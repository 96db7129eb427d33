/**
 * Sends the gateway documents that are made to hurt, one at a time, and takes the processor
 * time of each: see README.md. Exits with 1 when the 99th percentile is above the limit, or an answer is a 5xx.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { request } from 'undici';
import { hostileBodies } from './hostile-documents.ts';
import { toPair } from './options.ts';
import { startServer } from './server.ts';
import { setStage } from './stage.ts';
import { medianOf, percentileOf } from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { bodyFor, requestHeaders } from './workloads.ts';

const LIMIT_MS = 20;
const MAX_BYTES = 64 * 1024;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    env: { type: 'string', multiple: true, default: [] },
  },
});
const rounds = Number(values.rounds);
if (!(rounds >= 1)) throw new Error('--rounds takes a number from 1.');

const say = (text: string) => void process.stdout.write(`${text}\n`);
const stage = await setStage({
  INTROSPECTION: 'on',
  ...Object.fromEntries(values.env.map(toPair)),
});
const server = await startServer(GATEWAY, stage, {
  nodeArguments: ['--import', new URL('cpu-time.ts', import.meta.url).href],
  ipc: true,
});

/** The gateway's processor time, in milliseconds. What others can see of it counts by 10 ms. */
async function cpuTime(): Promise<number> {
  const answer = once(server.child, 'message');
  server.child.send('cpu');
  const [us] = await answer;
  return Number(us) / 1_000;
}

/** Processor time of the gateway for one request, in milliseconds, and what it answered. */
async function measure(
  body: string,
  contentType = 'application/json',
): Promise<{ ms: number; status: number }> {
  const before = await cpuTime();
  const { statusCode, body: answer } = await request(server.endpoint, {
    method: 'POST',
    headers: { ...requestHeaders([]), 'content-type': contentType },
    body,
  });
  await answer.dump();
  return { ms: (await cpuTime()) - before, status: statusCode };
}

// Ordinary requests first: a gateway that has run for a while.
for (let index = 0; index < 2_000; index += 1) await measure(bodyFor(`warm-${index}`));

const all: number[] = [];
const failures: string[] = [];
say('| document | bytes | status | CPU ms, median | max |\n|---|---|---|---|---|');
for (const { name, body } of hostileBodies()) {
  if (Buffer.byteLength(body) > MAX_BYTES) throw new Error(`${name} is longer than 64 KiB.`);
  const times: number[] = [];
  const statuses = new Set<number>();
  for (let round = 0; round < rounds; round += 1) {
    const { ms, status } = await measure(body);
    times.push(ms);
    statuses.add(status);
  }
  all.push(...times);
  for (const status of statuses) if (status >= 500) failures.push(`${name}: ${status}`);
  say(
    `| ${name} | ${Buffer.byteLength(body)} | ${[...statuses].join(', ')} | ` +
      `${medianOf(times).toFixed(1)} | ${Math.max(...times).toFixed(1)} |`,
  );
}
await server.stop();
await stage.clear();

const p99 = percentileOf(all, 99);
say(
  `\n${all.length} documents: p50 ${medianOf(all).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ` +
    `max ${Math.max(...all).toFixed(1)} ms of CPU; the limit for p99 is ${LIMIT_MS} ms. ` +
    (failures.length === 0 ? 'No 5xx.' : `5xx: ${failures.join(', ')}`),
);
process.exit(p99 <= LIMIT_MS && failures.length === 0 ? 0 : 1);
