/**
 * Lets a participant type, or a caller, beside a healthy one fail in many ways: see README.md. Exits with 1
 * when the healthy one suffers more than the goals allow.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ENV, judge, readOptions, say, toChosen, toCount, toEnv } from './command-line.ts';
import { notesOf, watchCores } from './core-watch.ts';
import { countsOf, latenciesOf, p99Of, type Sample, startArrivals } from './faults/arrivals.ts';
import { countsFrom, countsSince, describeCounts } from './neighbours/counts.ts';
import { tenantsEnv } from './neighbours/tenants.ts';
import { CALLERS_ENV, GOOD_CALLER, WAYS, type Way } from './neighbours/ways.ts';
import { hasEnded } from './processes.ts';
import { startServer } from './server.ts';
import { type Stage, startProgram } from './stage.ts';
import { spreadOf } from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { toVerdict, type Verdict } from './verdict.ts';

/** Requests in a second of the good load: a small part of what the gateway can. */
const GOOD_PER_SECOND = 50;
/** Before the first round there is more, for the compiler's sake. */
const WARMUP = { perSecond: 200, seconds: 3 };
/** More than are under way when none is answered before the gateway's deadline. */
const MAX_UNDER_WAY = 1_000;

/** How long a round waits until the gateway is well again after the one before. */
const SETTLE_SECONDS = 20;

const LEAST_FRESH = 0.99;
const MOST_OF_ITS_OWN = 2;
/** Where its own p99 is below, this stands for it: what is less is the noise of the machine. */
const P99_FLOOR_MS = 10;

const OPTIONS = {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  only: { type: 'string' },
  ...ENV,
} as const;

const { chosen, env, rounds, seconds } = readOptions(OPTIONS, (values) => ({
  rounds: toCount('rounds', values.rounds),
  seconds: toCount('seconds', values.seconds),
  chosen: toChosen(values.only, WAYS),
  env: toEnv(values.env),
}));

await judge(env, async (stage) => {
  const verdicts = [];
  for (const [name, way] of chosen) {
    say(`${name}: ${way.title}`);
    verdicts.push(...(await measureWay(stage, name, way)));
    say('');
  }
  return verdicts;
});

/** What the good load got beside the bad one: the share that was fresh, 0 to 1, and its p99 as a ratio to its own. */
type Round = Record<'fresh' | 'ratio', number>;

/**
 * Measures a healthy participant type beside a neighbour that fails, with a gateway and an upstream of its own; in each
 * round alone and beside it, for so many seconds each.
 */
async function measureWay(stage: Stage, name: string, way: Way): Promise<Verdict[]> {
  const upstream = startProgram('neighbours/upstream-server.ts', [name], stage);
  const { port } = await countsFrom(upstream.child);
  const upstreamOrigin = `http://127.0.0.1:${port}`;
  const server = await startServer(GATEWAY, stage, {
    upstreamOrigin,
    env: way.isTenant ? { ...CALLERS_ENV, ...tenantsEnv(stage, upstreamOrigin) } : CALLERS_ENV,
  });
  try {
    await ask(server.endpoint, 'warm', WARMUP.seconds, WARMUP.perSecond);
    const measured: Round[] = [];
    for (let round = 1; round <= rounds && !hasEnded(server); round += 1) {
      if (!(await settles(server.endpoint, `${round}`))) {
        say(`  Note: ${SETTLE_SECONDS} s after the round before, the gateway was not well yet.`);
      }
      if (hasEnded(server)) break;
      const coresUsed = watchCores(stage, [server]);
      const alone = await ask(server.endpoint, `${round}-alone`, seconds);
      const before = await countsFrom(upstream.child, 'calls');
      const program = way.load.kind === 'stalled' ? 'stalled-clients.ts' : 'bad-clients.ts';
      const neighbour = startProgram(`neighbours/${program}`, [name, server.endpoint], stage);
      await sleep(way.leadInMs);
      const beside = await ask(server.endpoint, `${round}-beside`, seconds);
      const notes = notesOf([coresUsed()]);
      const bad = await countsFrom(neighbour.child, 'stop');
      await neighbour.stop();
      const calls = countsSince(before, await countsFrom(upstream.child, 'calls'));
      const own = Math.max(p99Of(alone), P99_FLOOR_MS);
      measured.push({ fresh: freshOf(beside), ratio: p99Of(beside) / own });
      say(`  ${round}/${rounds} alone: ${countsOf(alone)}; ${latenciesOf(alone)}`);
      say(`    beside it: ${countsOf(beside)}; ${latenciesOf(beside)}`);
      say(`    the neighbour: ${describeCounts(bad)}; upstream calls: ${describeCounts(calls)}`);
      for (const note of notes) say(`    ${note}`);
    }
    if (hasEnded(server)) {
      say('  Note: the gateway has ended.');
      measured.fill({ fresh: 0, ratio: Number.POSITIVE_INFINITY });
    }
    return toVerdicts(name, measured);
  } finally {
    await server.stop();
    server.emptyLog();
    await upstream.stop();
  }
}

/** The good load for so long: each request is for another batch of vehicles, whose id begins with `id`. */
async function ask(
  endpoint: string,
  id: string,
  lasting: number,
  perSecond = GOOD_PER_SECOND,
): Promise<Sample[]> {
  const arrivals = startArrivals(endpoint, perSecond, {
    toBatch: (sequence) => ({ participantType: 'vehicles', batchId: `good-${id}-${sequence}` }),
    headers: GOOD_CALLER,
    maxUnderWay: MAX_UNDER_WAY,
  });
  await sleep(1_000 * lasting);
  return arrivals.stop();
}

/** Resolves to true after the first second in which all is well; to false when there is none in time. */
async function settles(endpoint: string, round: string): Promise<boolean> {
  for (let second = 1; second <= SETTLE_SECONDS; second += 1) {
    const samples = await ask(endpoint, `${round}-settle-${second}`, 1);
    if (freshOf(samples) === 1) return true;
  }
  return false;
}

function freshOf(samples: readonly Sample[]): number {
  return samples.filter(({ error }) => error === undefined).length / samples.length;
}

/** The medians of the rounds, against the goals. */
function toVerdicts(name: string, rounds: readonly Round[]): Verdict[] {
  const fresh = spreadOf(rounds.map((round) => round.fresh));
  const ratio = spreadOf(rounds.map((round) => round.ratio));
  return [
    toVerdict(`${name}: answers that are fresh`, fresh, { least: LEAST_FRESH }, inPercent),
    toVerdict(`${name}: p99, to its own`, ratio, { most: MOST_OF_ITS_OWN }),
  ];
}

/** Rounded down, so that a goal that is missed does not look met. */
function inPercent(share: number): string {
  return `${Math.floor(1_000 * share) / 10} %`;
}
