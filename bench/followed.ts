/**
 * What a batch costs that is followed by a stream of its own, or one of 20: see README.md. It judges nothing: its
 * figures are in docs/scale.md.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { ENV, readOptions, say, toCount, toEnv } from './command-line.ts';
import { notesOf, watchCores } from './core-watch.ts';
import { residentMemoryOf } from './machine.ts';
import { countsFrom } from './neighbours/counts.ts';
import { ask, startServer } from './server.ts';
import { setStage, startProgram } from './stage.ts';
import { inWhole } from './statistics.ts';
import { GATEWAY } from './subjects.ts';

const BATCHES_OF_STREAM = 20;
/** Streams come one after the other: all at once, their first calls would wait for each other. */
const COMING_MS = 10;
const SETTLE_MS = 8_000;

const OPTIONS = {
  batches: { type: 'string', default: '2000' },
  interval: { type: 'string', default: '1000' },
  seconds: { type: 'string', default: '15' },
  ...ENV,
} as const;
const { streams, interval, seconds, env } = readOptions(OPTIONS, (values) => ({
  streams: Math.ceil(toCount('batches', values.batches) / BATCHES_OF_STREAM),
  interval: toCount('interval', values.interval, 100),
  seconds: toCount('seconds', values.seconds),
  env: toEnv(values.env),
}));

const stage = await setStage(env);
const upstream = startProgram('live/upstream-server.ts', [], stage);
const { port } = await countsFrom(upstream.child);
const server = await startServer(GATEWAY, stage, {
  upstreamOrigin: `http://127.0.0.1:${port}`,
  isProbed: true,
  env: {
    FOLLOW_MIN_MS: String(interval),
    FOLLOW_MAX_MS: String(interval),
    MAX_POLLERS: '1000000',
    MAX_STREAMS_PER_CALLER: '1000000',
  },
});
const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

/** Opens a stream, and reads all that it tells. */
async function follow(stream: number): Promise<void> {
  const b = Array.from({ length: BATCHES_OF_STREAM }, (_, index) => ({
    participantType: 'vehicles',
    batchId: `b-${BATCHES_OF_STREAM * stream + index}`,
  }));
  const query =
    'subscription F($b:[BatchStatusKey!]!){batchStatusUpdates(batches:$b){batchId batchStatus{status finished successCount}}}';
  const { body } = await request(server.endpoint, {
    dispatcher,
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query, variables: { b } }),
  });
  body.resume();
}

const read = async () => ({
  cpuUs: await ask(server, 'cpu'),
  calls: Object.values(await countsFrom(upstream.child, 'calls')).reduce((sum, n) => sum + n, 0),
});

const idleHeap = await ask(server, 'heap');
for (let stream = 0; stream < streams; stream += 1) {
  void follow(stream);
  await sleep(COMING_MS);
}
await sleep(SETTLE_MS);
const coresUsed = watchCores(stage, [server]);
const before = await read();
await sleep(1_000 * seconds);
const after = await read();
const polls = after.calls - before.calls;
const batches = BATCHES_OF_STREAM * streams;
const resident = residentMemoryOf(server.pid);
const heap = (await ask(server, 'heap')) - idleHeap;
say(
  `${inWhole(batches)} batches, polled every ${interval} ms, changing every second: ${inWhole(polls / seconds)} polls/s, ` +
    `core ${inWhole((after.cpuUs - before.cpuUs) / seconds / 1e4)} %, ${inWhole((after.cpuUs - before.cpuUs) / polls)} µs a poll ` +
    `with its update; ${(heap / batches / 1e3).toFixed(1)} KB of heap each, resident ${inWhole(resident)} MiB in all`,
);
for (const note of notesOf([coresUsed()])) say(note);
await stage.clear();
process.exit();
