/**
 * Four replicas behind nginx, on one Redis that is killed and comes back: see README.md. Exits with 1 when it costs
 * more, or hurts more, than the goals allow.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { simulate } from '../scripts/simulation.ts';
import { ENV, judge, readOptions, say, toChosen, toCount, toEnv } from './command-line.ts';
import { notesOf, watchCores } from './core-watch.ts';
import { countsOf, latenciesOf, p99Of, type Sample, startArrivals } from './faults/arrivals.ts';
import { now } from './faults/now.ts';
import { startBalancer } from './fleet/nginx.ts';
import { findRedisPort } from './fleet/redis.ts';
import { BATCHES } from './live/changes.ts';
import { type Counts, countsFrom, countsSince } from './neighbours/counts.ts';
import { CALLERS_ENV } from './neighbours/ways.ts';
import { poll, type Running } from './processes.ts';
import { type Server, startServer } from './server.ts';
import { type Stage, startProgram } from './stage.ts';
import { inHundredths, inMs, medianOf, spreadOf, spreadText } from './statistics.ts';
import { gatewayAt, ROOT } from './subjects.ts';
import { toVerdict, type Verdict } from './verdict.ts';

const REPLICAS = 4;
const LATENCY_MS = 20;
const TTL_MS = 1_000;
const INTERVAL_MS = 1_000;
/** Every third request is for another batch each time, the others for these in turn. */
const HOT_BATCHES = 4;
const PER_SECOND = 120;
const HOT_PER_SECOND = (PER_SECOND * 2) / 3;

const WARM_UP_MS = 8_000;
/** By then all replicas use a Redis that has come back. */
const RETURN_MS = 4_000;

const MOST_CALLS = 1.1;
const MOST_LATER_MS = 50;
const MOST_OFF = 0.15;

const PARTS = new Map([
  ['queries', measureQueries],
  ['followers', measureFollowers],
]);

const OPTIONS = {
  rounds: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '10' },
  only: { type: 'string' },
  root: { type: 'string', default: ROOT },
  ...ENV,
} as const;
const { rounds, seconds, chosen, root, env } = readOptions(OPTIONS, (values) => ({
  rounds: toCount('rounds', values.rounds),
  seconds: toCount('seconds', values.seconds, 2),
  chosen: toChosen(values.only, PARTS),
  root: values.root,
  env: toEnv(values.env),
}));

await judge(env, async (stage) => {
  const upstream = startProgram('live/upstream-server.ts', [String(LATENCY_MS)], stage);
  const { port } = await countsFrom(upstream.child);
  const redis = await findRedisPort(stage);
  let server = redis.start();
  const replicas: Server[] = [];
  for (let index = 0; index < REPLICAS; index += 1) {
    const options = {
      upstreamOrigin: `http://127.0.0.1:${port}`,
      env: {
        ...CALLERS_ENV,
        REDIS_URL: redis.url,
        // As deploy/nginx says.
        KEEP_ALIVE_MS: '65000',
        REPLICAS: `${REPLICAS}`,
        MAX_STREAMS_PER_CALLER: '1000',
      },
    };
    replicas.push(await startServer(gatewayAt(root), stage, options));
  }
  const fleet: Fleet = {
    stage,
    upstream,
    replicas,
    async killRedis() {
      await server.stop();
    },
    async startRedis() {
      server = redis.start();
      await sleep(RETURN_MS);
    },
  };
  const verdicts = [];
  for (const [, measure] of chosen) verdicts.push(...(await measure(fleet)));
  return verdicts;
});

interface Fleet {
  stage: Stage;
  upstream: Running;
  replicas: readonly Server[];
  /** By SIGKILL. */
  killRedis(): Promise<void>;
  /** Resolves when it is used. */
  startRedis(): Promise<void>;
}

/** A while, and what the upstream and the processors saw of it. */
interface Phase {
  from: number;
  to: number;
  /** Upstream calls by batch. */
  calls: Counts;
  notes: string[];
}

async function watch({ stage, upstream, replicas }: Fleet): Promise<Phase> {
  const losses = () =>
    replicas.reduce((sum, { readLog }) => sum + readLog().split('"Redis is lost').length - 1, 0);
  const lost = losses();
  const coresUsed = watchCores(stage, replicas);
  const from = now();
  const earlier = await countsFrom(upstream.child, 'calls');
  await sleep(1_000 * seconds);
  const calls = await countsFrom(upstream.child, 'calls');
  return {
    from,
    to: now(),
    calls: countsSince(earlier, calls),
    notes: [
      ...notesOf([coresUsed()]),
      ...(losses() > lost ? [`Note: Redis was lost by ${losses() - lost} replicas.`] : []),
    ],
  };
}

/** Hot and cold queries, while Redis is killed and started again. */
async function measureQueries(fleet: Fleet): Promise<Verdict[]> {
  const balancer = await startBalancer(
    fleet.stage,
    fleet.replicas.map(({ endpoint }) => endpoint),
  );
  // No batch of a run ever comes again.
  const run = Date.now();
  const arrivals = startArrivals(balancer.endpoint, PER_SECOND, {
    toBatch: (sequence) => ({
      participantType: 'vehicles',
      batchId: sequence % 3 === 0 ? `cold-${run}-${sequence}` : hotBatch(sequence),
    }),
    maxUnderWay: 2_000,
  });
  await sleep(WARM_UP_MS);
  const withRedis = [await watch(fleet)];
  const without: Phase[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    await fleet.killRedis();
    without.push(await watch(fleet));
    await fleet.startRedis();
    withRedis.push(await watch(fleet));
  }
  const samples = await arrivals.stop();
  await balancer.stop();

  const within = (from: number, to: number) => samples.filter(({ at }) => at >= from && at < to);
  const tell = (what: string, phase: Phase) => {
    const all = within(phase.from, phase.to);
    say(
      `${what}: ${countsOf(all)}; ${latenciesOf(all)}; calls for a key and TTL ${inHundredths(hotCallsOf(phase))}, ` +
        `for a cold query ${inHundredths(coldCallsOf(phase, all))}`,
    );
    for (const note of phase.notes) say(`  ${note}`);
  };
  const later = without.map((away, index) => {
    const before = withRedis[index] ?? away;
    if (index === 0) tell('with Redis', before);
    const firstSecond = within(away.from, away.from + 1_000);
    say(`  the second after its kill: ${countsOf(firstSecond)}; ${latenciesOf(firstSecond)}`);
    tell('without', away);
    tell('with Redis again', withRedis[index + 1] ?? away);
    return p99Of(firstSecond) - p99Of(within(before.from, before.to));
  });
  const errors = samples.filter(({ error }) => error !== undefined);
  for (const { error, at } of errors) say(`${error} at ${inMs(at - (withRedis[0]?.from ?? 0))}`);
  const cold = withRedis.map((phase) => coldCallsOf(phase, within(phase.from, phase.to)));
  return [
    toVerdict('hot: calls for a key and TTL', spreadOf(withRedis.map(hotCallsOf)), {
      most: MOST_CALLS,
    }),
    toVerdict('cold: calls for a query', spreadOf(cold), { most: MOST_CALLS }),
    toVerdict('errors, Redis killed and back', errors.length, { most: 0 }, String),
    toVerdict(
      'p99 of the second after the kill, more than before',
      spreadOf(later),
      { most: MOST_LATER_MS },
      inMs,
    ),
    ...[true, false].map((redis) => {
      const phases = redis ? withRedis : without;
      const simulated = simulatedCalls({ redis, dashboards: HOT_PER_SECOND / HOT_BATCHES });
      return toComparison(`hot, ${nameOf(redis)}`, medianOf(phases.map(hotCallsOf)), simulated);
    }),
  ];
}

/** The same batches are followed on each replica. */
async function measureFollowers(fleet: Fleet): Promise<Verdict[]> {
  const { stage, replicas } = fleet;
  for (const { endpoint } of replicas) {
    const followers = startProgram('live/clients.ts', [endpoint, `${BATCHES}`, 'read'], stage);
    const areTold = async () =>
      (await countsFrom(followers.child, 'counts'))['told'] === BATCHES || undefined;
    await poll(areTold, `Opening ${BATCHES} streams`, 60_000);
  }
  const measure = async (redis: boolean) => {
    const phase = await watch(fleet);
    const calls = Array.from({ length: BATCHES }, (_, batch) => phase.calls[`b-${batch}`] ?? 0);
    const perInterval = calls.map((count) => (count * INTERVAL_MS) / lengthOf(phase));
    say(
      `${BATCHES} batches, each followed on ${REPLICAS} replicas, ${nameOf(redis)}: ` +
        `calls for a batch and interval ${spreadText(spreadOf(perInterval), inHundredths)}`,
    );
    for (const note of phase.notes) say(`  ${note}`);
    return perInterval.reduce((sum, figure) => sum + figure, 0) / BATCHES;
  };
  const together: number[] = [];
  for (let round = 1; round <= rounds; round += 1) together.push(await measure(true));
  await fleet.killRedis();
  const apart = await measure(false);
  const followers = 5 * REPLICAS;
  return [
    toVerdict('followed on all: calls for a batch and interval', spreadOf(together), {
      most: MOST_CALLS,
    }),
    toComparison(
      'followed, with Redis',
      medianOf(together),
      simulatedCalls({ redis: true, followers }),
    ),
    toComparison('followed, without', apart, simulatedCalls({ redis: false, followers })),
  ];
}

function nameOf(redis: boolean): string {
  return redis ? 'with Redis' : 'without';
}

function lengthOf({ from, to }: Phase): number {
  return to - from;
}

/** Each of them is asked of each replica, which get requests in turn. */
function hotBatch(sequence: number): string {
  return `hot-${Math.floor(sequence / REPLICAS) % HOT_BATCHES}`;
}

/** Upstream calls for one hot batch in the time of its cache entry. */
function hotCallsOf(phase: Phase): number {
  const calls = Array.from({ length: HOT_BATCHES }, (_, batch) => phase.calls[`hot-${batch}`] ?? 0);
  const all = calls.reduce((sum, count) => sum + count, 0);
  return (all * TTL_MS) / lengthOf(phase) / HOT_BATCHES;
}

function coldCallsOf({ calls }: Phase, samples: readonly Sample[]): number {
  const isCold = (name: string) => name.startsWith('cold-');
  const asked = samples.filter(({ batchId }) => isCold(batchId)).length;
  return (
    Object.entries(calls).reduce((sum, [name, count]) => sum + (isCold(name) ? count : 0), 0) /
    asked
  );
}

/** Calls for a batch in a second, as scripts/simulation.ts has them. */
function simulatedCalls(looked: {
  redis: boolean;
  dashboards?: number;
  followers?: number;
}): number {
  const { redis, dashboards = 0, followers = 0 } = looked;
  const fleet = {
    replicas: REPLICAS,
    redis,
    statusTtlMs: TTL_MS,
    statusFinishedTtlMs: TTL_MS,
    followMinMs: INTERVAL_MS,
    followMaxMs: 10 * INTERVAL_MS,
    latencyMs: LATENCY_MS,
  };
  const runsMs = 60_000;
  const changesMs = INTERVAL_MS;
  const watched = { runsMs, staysMs: 0, changesMs, followers, dashboards, everyMs: 1_000 };
  const batches = 100;
  return (1_000 * simulate(fleet, watched, batches).calls) / batches / runsMs;
}

function toComparison(what: string, measured: number, simulated: number): Verdict {
  return toVerdict(
    `${what}: calls/s, measured beside simulated`,
    Math.abs(measured / simulated - 1),
    { most: MOST_OFF },
    inPercent,
    `${inHundredths(measured)} beside ${inHundredths(simulated)}`,
  );
}

function inPercent(share: number): string {
  return `${(100 * share).toFixed(0)} % off`;
}
