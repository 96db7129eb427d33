/**
 * Sends the gateway documents that are made to hurt, one at a time, and takes the processor
 * time of each: see README.md. Exits with 1 when the 99th percentile is above the limit, or an answer is a 5xx.
 */
import { post } from './client.ts';
import { ENV, judge, readOptions, say, toCount, toEnv } from './command-line.ts';
import { hostileBodies } from './hostile-documents.ts';
import { ask, type Server, startServer } from './server.ts';
import type { Stage } from './stage.ts';
import { inMs, latencyText, medianOf, percentileOf } from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { toVerdict, type Verdict } from './verdict.ts';
import { bodyFor } from './workloads.ts';

const LIMIT_MS = 20;
const MAX_BYTES = 64 * 1024;

const { rounds, env } = readOptions(
  { rounds: { type: 'string', default: '20' }, ...ENV },
  (values) => ({
    rounds: toCount('rounds', values.rounds),
    env: toEnv(values.env),
  }),
);

await judge({ INTROSPECTION: 'on', ...env }, measureAll);

async function measureAll(stage: Stage): Promise<Verdict[]> {
  const server = await startServer(GATEWAY, stage, { isProbed: true });
  // Ordinary requests first: a gateway that has run for a while.
  for (let index = 0; index < 2_000; index += 1) await measure(server, bodyFor(`warm-${index}`));

  const all: number[] = [];
  const failures: string[] = [];
  say('| document | bytes | status | CPU ms, median | max |\n|---|---|---|---|---|');
  for (const [name, body] of hostileBodies()) {
    if (Buffer.byteLength(body) > MAX_BYTES) throw new Error(`${name} is longer than 64 KiB.`);
    const times: number[] = [];
    const statuses = new Set<number>();
    for (let round = 0; round < rounds; round += 1) {
      const { ms, status } = await measure(server, body);
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

  say(`\n${all.length} documents: ${latencyText(all)} of CPU.`);
  for (const failure of failures) say(failure);
  return [
    toVerdict('p99 of CPU time', percentileOf(all, 99), { most: LIMIT_MS }, inMs),
    toVerdict('answers of 5xx', failures.length, { most: 0 }, String),
  ];
}

/** Processor time of the gateway for one request, in milliseconds, and what it answered. */
async function measure(server: Server, body: string): Promise<{ ms: number; status: number }> {
  const before = await ask(server, 'cpu');
  const { status } = await post(server.endpoint, body);
  return { ms: ((await ask(server, 'cpu')) - before) / 1_000, status };
}
