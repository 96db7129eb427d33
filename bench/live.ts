/**
 * Many clients that follow few batches over server-sent events: see README.md. Exits with 1 when it costs more, or
 * takes longer, than the goals allow.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENV, judge, readOptions, say, toCount, toEnv } from './command-line.ts';
import { notesOf, watchCores } from './core-watch.ts';
import { BATCHES, LONG_BATCH, LONG_SHARE } from './live/changes.ts';
import { residentMemoryOf } from './machine.ts';
import { countsFrom, countsSince, describeCounts } from './neighbours/counts.ts';
import { CALLERS_ENV } from './neighbours/ways.ts';
import { poll, type Running } from './processes.ts';
import { ask, type Server, startServer } from './server.ts';
import { type Stage, startProgram } from './stage.ts';
import {
  inHundredths,
  inMs,
  inWhole,
  latencyText,
  percentileOf,
  spreadOf,
  spreadText,
} from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { toVerdict, type Verdict } from './verdict.ts';

/** How often a batch is polled as long as it changes, in milliseconds. */
const INTERVAL_MS = 1_000;
const LATE_MS = 100;
const MOST_CALLS = 1.1;
const MOST_KB = 60;
const MOST_OF_ITS_OWN = 2;

/** By then what the kernel takes is full, and the gateway's time limit for who does not read has passed. */
const STALLED = { streams: 1_000, seconds: 40 };
const WARM_UP_STREAMS = 1_000;
const SETTLE_MS = 3_000;
/** Then connections to the upstream are closed, and what waits for that is gone. */
const UPSTREAM_IDLE_MS = 6_000;
/** Open files of the gateway besides its streams. */
const OTHER_FILES = 500;

const OPTIONS = {
  streams: { type: 'string', default: '10000' },
  seconds: { type: 'string', default: '20' },
  ...ENV,
} as const;
const { streams, seconds, env } = readOptions(OPTIONS, (values) => ({
  streams: withOpenFiles(toCount('streams', values.streams, BATCHES)),
  seconds: toCount('seconds', values.seconds),
  env: toEnv(values.env),
}));

await judge(env, follow);

async function follow(stage: Stage): Promise<Verdict[]> {
  const upstream = startProgram('live/upstream-server.ts', [], stage);
  const { port } = await countsFrom(upstream.child);
  const server = await startServer(GATEWAY, stage, {
    upstreamOrigin: `http://127.0.0.1:${port}`,
    isProbed: true,
    env: { ...CALLERS_ENV, FOLLOW_MIN_MS: String(INTERVAL_MS) },
  });
  // What is compiled and connected once is no stream's cost.
  const warmUp = await openStreams(stage, server, 'read', WARM_UP_STREAMS);
  await sleep(SETTLE_MS);
  await warmUp.stop();
  await sleep(UPSTREAM_IDLE_MS);
  const idle = { ...(await memoryOf(server)), handles: await countsFrom(server.child, 'handles') };

  const readers = await openStreams(stage, server, 'read', streams);
  await sleep(SETTLE_MS);
  say(`${inWhole(streams)} streams of ${BATCHES} batches:`);
  const alone = await watchChanges(stage, server, upstream, readers, seconds);
  const { resident, heap } = await memoryOf(server);
  const perStream = (resident - idle.resident) / streams;
  say(
    `  resident ${inKb(resident)}, ${inKb(idle.resident)} when idle; ` +
      `heap ${inKb((heap - idle.heap) / streams)} a stream`,
  );
  const stalling = await openStreams(stage, server, 'stall', STALLED.streams);
  say(`beside ${inWhole(STALLED.streams)} more that do not read:`);
  const beside = await watchChanges(stage, server, upstream, readers, STALLED.seconds);
  const cutOff = server.readLog().split('"reason":"client does not read"').length - 1;
  const { closed = 0, foreign = 0 } = await countsFrom(readers.child, 'counts');

  await Promise.all([readers.stop(), stalling.stop()]);
  await sleep(1_000);
  const before = await countsFrom(upstream.child, 'calls');
  const sockets = clientSocketsOf(server);
  await sleep(UPSTREAM_IDLE_MS);
  const handles = await countsFrom(server.child, 'handles');
  say(`all have left: ${describeCounts(handles)}; before: ${describeCounts(idle.handles)}`);
  const polls = Object.values(countsSince(before, await countsFrom(upstream.child, 'calls')));
  const left = (name: string) => (handles[name] ?? 0) - (idle.handles[name] ?? 0);

  const most = (what: string, figure: number, limit = 0, format: typeof inKb = String) =>
    toVerdict(what, figure, { most: limit }, format);
  return [
    most('calls for a batch in a second, at most', alone.calls, MOST_CALLS, inHundredths),
    most('from a change to its event: p99', alone.p99, INTERVAL_MS + LATE_MS, inMs),
    most('resident memory of a stream', perStream, MOST_KB, inKb),
    most(
      'p99 beside those that do not read, to its own',
      beside.p99 / alone.p99,
      MOST_OF_ITS_OWN,
      inHundredths,
    ),
    toVerdict('of these, cut off', cutOff, { least: LONG_SHARE * STALLED.streams }, String),
    most('streams of the others that ended', closed),
    most('events at a stream of another batch', foreign),
    most('a second after all have left: their sockets', sockets),
    most(
      'calls from then on',
      polls.reduce((sum, count) => sum + count, 0),
    ),
    most('once idle: sockets of any kind', left('TCPSocketWrap')),
    most('timers, more than before', left('timers in all')),
  ];
}

/** The most calls for a batch in a second, and the p99 from a change to its event, in milliseconds. */
type Phase = Record<'calls' | 'p99', number>;

/** Watches for so many seconds, and says what there was. */
async function watchChanges(
  stage: Stage,
  server: Server,
  upstream: Running,
  readers: Running,
  lasting: number,
): Promise<Phase> {
  const read = async () => ({
    at: performance.now(),
    cpuUs: await ask(server, 'cpu'),
    calls: await countsFrom(upstream.child, 'calls'),
    counts: await countsFrom(readers.child, 'counts'),
    latencies: await countsFrom(readers.child, 'latencies'),
  });
  const coresUsed = watchCores(stage, [server]);
  const before = await read();
  await sleep(1_000 * lasting);
  const after = await read();
  const took = (after.at - before.at) / 1_000;
  const cpuUs = after.cpuUs - before.cpuUs;
  const { events = 0 } = countsSince(before.counts, after.counts);
  const { [LONG_BATCH]: _, ...calls } = countsSince(before.calls, after.calls);
  const perBatch = spreadOf(Object.values(calls).map((count) => count / took));
  const ms = Object.entries(after.latencies).flatMap(([figure, count]) =>
    Array<number>(count).fill(Number(figure)),
  );
  say(
    `  ${inWhole(events / took)} events/s; core ${(cpuUs / took / 1e4).toFixed(0)} %, ` +
      `${(cpuUs / events).toFixed(1)} µs an event; from a change to its event ${latencyText(ms)}; ` +
      `${spreadText(perBatch, inHundredths)} calls for a batch in a second`,
  );
  for (const note of notesOf([coresUsed()])) say(`  ${note}`);
  return { calls: perBatch.max, p99: percentileOf(ms, 99) };
}

/** Resolves when all are open, and those that read have been told the present state. */
async function openStreams(
  stage: Stage,
  { endpoint }: Server,
  kind: 'read' | 'stall',
  count: number,
): Promise<Running> {
  const clients = startProgram('live/clients.ts', [endpoint, String(count), kind], stage);
  const areOpen = async () => {
    const { told, open } = await countsFrom(clients.child, 'counts');
    return (kind === 'read' ? told : open) === count || undefined;
  };
  await poll(areOpen, `Opening ${count} streams`, 180_000);
  return clients;
}

/** In KB. What is resident is read ahead of the collections by which the heap is measured. */
async function memoryOf(server: Server): Promise<Record<'resident' | 'heap', number>> {
  const resident = residentMemoryOf(server.pid) * 1.024 * 1_024;
  return { resident, heap: (await ask(server, 'heap')) / 1_000 };
}

/** Connections of clients that the gateway has not closed: established, or closed by the client alone. */
function clientSocketsOf({ endpoint }: Server): number {
  const port = Number(new URL(endpoint).port).toString(16).toUpperCase().padStart(4, '0');
  const pattern = new RegExp(`^ *\\d+: \\w+:${port} \\w+:\\w+ 0[18] `, 'gm');
  return readFileSync('/proc/net/tcp', 'utf8').match(pattern)?.length ?? 0;
}

function inKb(figure: number): string {
  return `${inWhole(figure)} KB`;
}

/** A stream is an open file to the gateway, and one to its client. Throws where they would not do. */
function withOpenFiles(count: number): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  // Node raises the soft limit to the hard one.
  const [, hard] = /^Max open files +\S+ +(\S+)/m.exec(limits) ?? [];
  const needed = count + STALLED.streams + OTHER_FILES;
  if (Number(hard) >= needed || hard === 'unlimited') return count;
  throw new Error(
    `${count} streams need ${needed} open files; the limit is ${hard}. Raise it (ulimit -Hn), or give --streams.`,
  );
}
