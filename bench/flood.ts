/**
 * Good clients, alone, then beside slow sockets, then beside these and one that floods: see README.md.
 * Exits with 1 when their 99th percentile is more than twice its own, or one saw an error.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { load } from './load.ts';
import { type Running, start } from './processes.ts';
import { startServer } from './server.ts';
import { setStage } from './stage.ts';
import { medianOf, percentileOf } from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { CALLER_CLAIMS } from './token-endpoint.ts';
import { bodyFor, requestHeaders } from './workloads.ts';

const SLOW_SOCKETS = 2_000;
const GOOD_CLIENTS = 8;
/** Requests of a good client, one after the other, in a second: half of what its rate allows. */
const PER_SECOND = 50;
const LIMIT = 2;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
if (!(seconds >= 1 && rounds >= 1)) throw new Error('--seconds and --rounds take a number from 1.');

const say = (text: string) => void process.stdout.write(`${text}\n`);
const stage = await setStage({});
const { tokens } = stage;
const server = await startServer(GATEWAY, stage, {
  env: { ...tokens.callerEnv, RATE_LIMIT_PER_SECOND: '100' },
});
const { endpoint } = server;
const tokenOf = (sub: string) => tokens.issueToken({ ...CALLER_CLAIMS, sub });
const bad = await tokenOf('bad');
const goodTokens = await Promise.all(
  Array.from({ length: GOOD_CLIENTS }, (_, index) => tokenOf(`good-${index}`)),
);
const connections = new Agent({ connections: GOOD_CLIENTS });
let asked = 0;

/** Latencies of the good clients, in milliseconds. */
async function measure(): Promise<number[]> {
  return (await Promise.all(goodTokens.map(measureOne))).flat();
}

async function measureOne(token: string): Promise<number[]> {
  const latencies: number[] = [];
  // Not all of them at once.
  await sleep((1_000 / PER_SECOND) * Math.random());
  for (const end = performance.now() + 1_000 * seconds; performance.now() < end; ) {
    asked += 1;
    const begun = performance.now();
    const { statusCode, body } = await request(endpoint, {
      method: 'POST',
      dispatcher: connections,
      headers: { ...requestHeaders([]), authorization: `Bearer ${token}` },
      body: bodyFor(`good-${asked}`),
    });
    const text = await body.text();
    latencies.push(performance.now() - begun);
    if (statusCode !== 200 || text.includes('"errors"')) {
      throw new Error(`A good client was answered ${statusCode}: ${text}`);
    }
    await sleep(1_000 / PER_SECOND);
  }
  return latencies;
}

/** In a process of their own: the good clients must not wait for them where they run. */
function holdSlowSockets(): Running {
  const program = fileURLToPath(new URL('slow-sockets.ts', import.meta.url));
  const { port } = new URL(endpoint);
  return start([process.execPath, program, port, String(SLOW_SOCKETS)], { core: stage.loadCore });
}

const headers = [`authorization: Bearer ${bad}`];
const flood = () =>
  load({ endpoint, workload: 'cold', seconds: seconds + 1, core: stage.loadCore, headers });
const worst: number[] = [];
await measure();
for (let round = 1; round <= rounds; round += 1) {
  const alone = await measure();
  const sockets = holdSlowSockets();
  await sleep(1_000);
  const slow = await measure();
  const [flooded, floods] = await Promise.all([measure(), flood()]);
  await sockets.stop();
  const own = percentileOf(alone, 99);
  const describe = (name: string, latencies: number[]) =>
    `${name}: p50 ${medianOf(latencies).toFixed(1)} ms, p99 ${percentileOf(latencies, 99).toFixed(1)} ms`;
  const ratio = percentileOf(flooded, 99) / own;
  worst.push(ratio);
  say(
    `${round}/${rounds} ${describe('alone', alone)}; ${describe(`beside ${SLOW_SOCKETS} slow sockets`, slow)}; ` +
      `${describe('and a flood', flooded)} of ${Math.round(floods.requests / floods.seconds)} requests/s, ${floods.errors} refused: ${ratio.toFixed(2)} of its own`,
  );
}
await server.stop();
await stage.clear();
const ratio = medianOf(worst);
say(`p99 of the good clients: ${ratio.toFixed(2)} of its own; the limit is ${LIMIT}.`);
process.exit(ratio <= LIMIT ? 0 : 1);
