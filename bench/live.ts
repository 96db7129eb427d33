/**
 * Many clients that follow few batches over server-sent events: see README.md. Exits with 1 when it costs more, or
 * takes longer, than the goals allow.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ENV, judge, readOptions, say, toCount, toEnv } from './command-line.ts';
import { notesOf, watchCores } from './core-watch.ts';
import { BATCHES, LONG_BATCH, LONG_SHARE } from './live/changes.ts';
import { residentMemoryOf } from './machine.ts';
import { type Counts, countsFrom, countsSince, describeCounts } from './neighbours/counts.ts';
import { CALLERS_ENV } from './neighbours/ways.ts';
import { poll, type Running, start } from './processes.ts';
import { ask, type Server, startServer } from './server.ts';
import type { Stage } from './stage.ts';
import { inHundredths, inMs, inWhole, type Spread, spreadOf, spreadText } from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { toVerdict, type Verdict } from './verdict.ts';

/** How often a batch is polled as long as it changes, in milliseconds. */
const INTERVAL_MS = 1_000;
const LATE_MS = 100;
const MOST_CALLS = 1.1;
const MOST_KB = 60;
const MOST_OF_ITS_OWN = 2;

/** A tenth of the streams stop reading. */
const STALLED_SHARE = 0.1;
/** Until what the kernel takes is full, and then the gateway's time limit for who does not read has passed. */
const STALLED_SECONDS = 30;
const SETTLE_MS = 3_000;
const WARM_UP_STREAMS = 1_000;
/** Of the gateway besides its streams. */
const OTHER_FILES = 500;

const OPTIONS = {
  streams: { type: 'string', default: '10000' },
  seconds: { type: 'string', default: '20' },
  ...ENV,
} as const;

const { streams, seconds, env } = readOptions(OPTIONS, (values) => ({
  streams: withOpenFiles(toCount('streams', values.streams, 10 * BATCHES)),
  seconds: toCount('seconds', values.seconds),
  env: toEnv(values.env),
}));
const stalled = Math.round(STALLED_SHARE * streams);

await judge(env, follow);

async function follow(stage: Stage): Promise<Verdict[]> {
  const upstream = startProgram('upstream-server.ts', [], stage);
  const { port } = await countsFrom(upstream.child);
  const server = await startServer(GATEWAY, stage, {
    upstreamOrigin: `http://127.0.0.1:${port}`,
    isProbed: true,
    env: { ...CALLERS_ENV, FOLLOW_MIN_MS: String(INTERVAL_MS) },
  });
  const open = (kind: 'read' | 'stall', first: number, end: number) =>
    openStreams(stage, server, kind, first, end);
  const watch = (seconds: number) => watchChanges(stage, server, { upstream, readers, seconds });

  // What is compiled and connected once is no stream's cost.
  const warmUp = await open('read', 0, WARM_UP_STREAMS);
  await sleep(SETTLE_MS);
  await warmUp.stop();
  await sleep(SETTLE_MS);
  const idle = await memoryOf(server);
  const idleHandles = await countsFrom(server.child, 'handles');

  const readers = await open('read', 0, streams - stalled);
  const others = await open('read', streams - stalled, streams);
  await sleep(SETTLE_MS);
  say(`${inWhole(streams)} streams of ${BATCHES} batches, all read:`);
  const alone = await watch(seconds);
  const full = await memoryOf(server);
  const [resident, heap] = [full.resident - idle.resident, full.heap - idle.heap];
  say(
    `  resident ${inKb(full.resident)}, ${inKb(idle.resident)} when idle; heap ${inKb(heap / streams)} a stream`,
  );

  await others.stop();
  const stalling = await open('stall', streams - stalled, streams);
  say(`${inWhole(stalled)} of them not read:`);
  const beside = await watch(STALLED_SECONDS);
  const cutOff = server.readLog().split('"reason":"client does not read"').length - 1;
  say(`  ${cutOff} were cut off`);
  const { closed = 0, foreign = 0 } = await countsFrom(readers.child, 'counts');

  await Promise.all([readers.stop(), stalling.stop()]);
  await sleep(1_000);
  const handles = await countsFrom(server.child, 'handles');
  const callsOnceGone = await callsIn(upstream, 2 * INTERVAL_MS);
  say(`all have left: ${describeCounts(handles)}; when idle: ${describeCounts(idleHandles)}`);
  const left = (name: string) => (handles[name] ?? 0) - (idleHandles[name] ?? 0);

  return [
    toVerdict('calls for a batch in a second, at most', alone.calls.max, { most: MOST_CALLS }),
    toVerdict('from a change to its event: p99', alone.p99, { most: INTERVAL_MS + LATE_MS }, inMs),
    toVerdict('resident memory of a stream', resident / streams, { most: MOST_KB }, inKb),
    toVerdict(`p99 beside ${stalled} that do not read, to its own`, beside.p99 / alone.p99, {
      most: MOST_OF_ITS_OWN,
    }),
    toVerdict('of those, cut off', cutOff, { least: LONG_SHARE * stalled }, String),
    toVerdict('streams of the others that ended', closed, { most: 0 }, String),
    toVerdict('events at a stream of another batch', foreign, { most: 0 }, String),
    toVerdict('a second after all left: sockets', left('TCPSocketWrap'), { most: 0 }, String),
    toVerdict('timers', left('timers in all'), { most: 0 }, String),
    toVerdict('calls in the next two seconds', callsOnceGone, { most: 0 }, String),
  ];
}

/** How a phase went: calls for each batch in a second, and the p99 from a change to its event in milliseconds. */
interface Phase {
  calls: Spread;
  p99: number;
}

interface Watched {
  upstream: Running;
  readers: Running;
  seconds: number;
}

/** Watches for so long, and says what there was. */
async function watchChanges(
  stage: Stage,
  server: Server,
  { upstream, readers, seconds }: Watched,
): Promise<Phase> {
  await countsFrom(readers.child, 'latencies');
  const coresUsed = watchCores(stage, [server]);
  const begun = performance.now();
  const before = {
    calls: await countsFrom(upstream.child, 'calls'),
    counts: await countsFrom(readers.child, 'counts'),
    cpu: await ask(server, 'cpu'),
  };
  await sleep(1_000 * seconds);
  const cpuUs = (await ask(server, 'cpu')) - before.cpu;
  const took = (performance.now() - begun) / 1_000;
  const { [LONG_BATCH]: _, ...calls } = countsSince(
    before.calls,
    await countsFrom(upstream.child, 'calls'),
  );
  const { events = 0 } = countsSince(before.counts, await countsFrom(readers.child, 'counts'));
  const latencies = await countsFrom(readers.child, 'latencies');
  const perBatch = spreadOf(Object.values(calls).map((count) => count / took));
  const [p50, p99, max] = [50, 99, 100].map((percent) => percentileOfCounts(latencies, percent));
  say(
    `  ${inWhole(events / took)} events/s; core ${Math.round(cpuUs / took / 1e4)} %, ${inHundredths(cpuUs / events)} µs an event; ` +
      `${spreadText(perBatch, inHundredths)} calls for a batch in a second; ` +
      `from a change to its event p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`,
  );
  for (const note of notesOf([coresUsed()])) say(`  ${note}`);
  return { calls: perBatch, p99: p99 ?? Number.NaN };
}

function startProgram(file: string, args: readonly string[], { loadCore: core }: Stage): Running {
  const program = fileURLToPath(new URL(`live/${file}`, import.meta.url));
  return start([process.execPath, program, ...args], { core, ipc: true });
}

/** Resolves when all are open, and those that read have been told the present state. */
async function openStreams(
  stage: Stage,
  { endpoint }: Server,
  kind: 'read' | 'stall',
  first: number,
  end: number,
): Promise<Running> {
  const count = end - first;
  const clients = startProgram('clients.ts', [endpoint, String(count), kind, String(first)], stage);
  const awaited = kind === 'read' ? 'told' : 'open';
  const areOpen = async () => {
    const counts = await countsFrom(clients.child, 'counts');
    return counts[awaited] === count || undefined;
  };
  await poll(areOpen, `Opening ${count} streams`, 180_000);
  return clients;
}

/** In KB. What is resident is read ahead of the collections by which the heap is measured. */
async function memoryOf(server: Server): Promise<Record<'resident' | 'heap', number>> {
  const resident = (residentMemoryOf(server.pid) * 1024 * 1024) / 1_000;
  return { resident, heap: (await ask(server, 'heap')) / 1_000 };
}

async function callsIn(upstream: Running, ms: number): Promise<number> {
  const before = await countsFrom(upstream.child, 'calls');
  await sleep(ms);
  const calls = countsSince(before, await countsFrom(upstream.child, 'calls'));
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}

/** The figure that `percent` % of all are no greater than; `counts` has how many there are of each figure. */
function percentileOfCounts(counts: Counts, percent: number): number {
  const sorted = Object.entries(counts).sort(([a], [b]) => Number(a) - Number(b));
  const all = sorted.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [figure, count] of sorted) {
    seen += count;
    if (seen >= (all * percent) / 100) return Number(figure);
  }
  return Number.NaN;
}

function inKb(figure: number): string {
  return `${inWhole(figure)} KB`;
}

/** A stream is an open file to the gateway, and one to its client. Throws where they would not do. */
function withOpenFiles(count: number): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  // Node raises the soft limit to the hard one.
  const [, hard] = /^Max open files +\S+ +(\S+)/m.exec(limits) ?? [];
  const needed = count + OTHER_FILES;
  if (Number(hard) >= needed || hard === 'unlimited') return count;
  throw new Error(
    `${count} streams need ${needed} open files; the limit is ${hard}. Raise it (ulimit -Hn), or give --streams.`,
  );
}
