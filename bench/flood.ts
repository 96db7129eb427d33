/**
 * Good clients, alone, then beside slow sockets, then beside these and one that floods: see README.md.
 * Exits with 1 when their 99th percentile is more than twice its own, or one saw an error.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent } from 'undici';
import { post } from './client.ts';
import { judge, readOptions, say, toCount } from './command-line.ts';
import { load } from './load.ts';
import { start } from './processes.ts';
import { startServer } from './server.ts';
import type { Stage } from './stage.ts';
import { latencyText, percentileOf, spreadOf } from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { CALLER_CLAIMS } from './token-endpoint.ts';
import { toVerdict, type Verdict } from './verdict.ts';
import { bodyFor } from './workloads.ts';

const SLOW_SOCKETS = 2_000;
const GOOD_CLIENTS = 8;
/** Requests of a good client, one after the other, in a second: half of what its rate allows. */
const PER_SECOND = 50;
const LIMIT = 2;

const OPTIONS = {
  seconds: { type: 'string', default: '20' },
  rounds: { type: 'string', default: '3' },
} as const;
const { seconds, rounds } = readOptions(OPTIONS, (values) => ({
  seconds: toCount('seconds', values.seconds),
  rounds: toCount('rounds', values.rounds),
}));
const connections = new Agent({ connections: GOOD_CLIENTS });
let asked = 0;

await judge({}, flood);

async function flood(stage: Stage): Promise<Verdict[]> {
  const { tokens, loadCore: core } = stage;
  const server = await startServer(GATEWAY, stage, {
    env: { ...tokens.callerEnv, RATE_LIMIT_PER_SECOND: '100' },
  });
  const { endpoint } = server;
  const tokenOf = (sub: string) => tokens.issueToken({ ...CALLER_CLAIMS, sub });
  const goodTokens = await Promise.all(
    Array.from({ length: GOOD_CLIENTS }, (_, index) => tokenOf(`good-${index}`)),
  );
  const headers = [`authorization: Bearer ${await tokenOf('bad')}`];
  const measure = async () =>
    (await Promise.all(goodTokens.map((token) => measureOne(endpoint, token)))).flat();
  // In a process of their own: the good clients must not wait for them where they run.
  const program = fileURLToPath(new URL('slow-sockets.ts', import.meta.url));
  const slowSockets = [process.execPath, program, new URL(endpoint).port, String(SLOW_SOCKETS)];

  const ratios: number[] = [];
  await measure();
  for (let round = 1; round <= rounds; round += 1) {
    const alone = await measure();
    const sockets = start(slowSockets, { core });
    await sleep(1_000);
    const slow = await measure();
    const [flooded, floods] = await Promise.all([
      measure(),
      load({ endpoint, workload: 'cold', seconds: seconds + 1, core, headers }),
    ]);
    await sockets.stop();
    const ratio = percentileOf(flooded, 99) / percentileOf(alone, 99);
    ratios.push(ratio);
    say(
      `${round}/${rounds} alone: ${latencyText(alone)}; beside ${SLOW_SOCKETS} slow sockets: ${latencyText(slow)}; ` +
        `and a flood: ${latencyText(flooded)} of ${Math.round(floods.requests / floods.seconds)} requests/s, ${floods.errors} refused: ${ratio.toFixed(2)} of its own`,
    );
  }
  await server.stop();
  return [toVerdict('p99 of the good clients, to its own', spreadOf(ratios), { most: LIMIT })];
}

/** Latencies of one good client, in milliseconds. Rejects when it sees an error. */
async function measureOne(endpoint: string, token: string): Promise<number[]> {
  const options = { headers: { authorization: `Bearer ${token}` }, dispatcher: connections };
  const latencies: number[] = [];
  // Not all of them at once.
  await sleep((1_000 / PER_SECOND) * Math.random());
  for (const end = performance.now() + 1_000 * seconds; performance.now() < end; ) {
    asked += 1;
    const begun = performance.now();
    const reply = await post(endpoint, bodyFor(`good-${asked}`), options);
    latencies.push(performance.now() - begun);
    if (reply.error) throw new Error(`A good client was answered ${reply.text}`);
    await sleep(1_000 / PER_SECOND);
  }
  return latencies;
}
