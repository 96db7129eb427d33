/**
 * Lets the gateway's upstream hang, be away, hand out short-lived tokens, and fail now and then, under
 * load: see README.md. Exits with 1 when a goal is missed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ENV, judge, readOptions, say, toChosen, toEnv } from './command-line.ts';
import { notesOf, watchCores } from './core-watch.ts';
import { countsOf, latenciesOf, p99Of, type Sample, startArrivals } from './faults/arrivals.ts';
import { type FaultyUpstream, startFaultyUpstream } from './faults/faulty-upstream.ts';
import { now } from './faults/now.ts';
import { poll } from './processes.ts';
import { type Server, startServer } from './server.ts';
import type { Stage } from './stage.ts';
import { inMs } from './statistics.ts';
import { GATEWAY } from './subjects.ts';
import { toVerdict, type Verdict } from './verdict.ts';

/** Two seconds of these are fewer than the gateway takes at a time. */
const HANG_RATE = 100;
const HANGS = 2;
const HANG_MS = 10_000;
/** A call that decides and hangs takes 2 s, then comes a wait of up to 1.25 s, then one that succeeds. */
const HANG_RECOVERY_MS = 4_000;
const OUTAGE_RATE = 200;
const OUTAGE_MS = 20_000;
/** At its beginning the circuit opens, and calls that were under way end. */
const OPENING_MS = 2_000;
const RETURN_LIMIT_MS = 5_000;
/** The log has whole milliseconds, and when the request began, a little before its call. */
const STAMP_ERROR_MS = 10;
const RETRIES_RATE = 300;
/** Twice the window of the budget. */
const RETRIES_MS = 20_000;
const TOKENS_REQUESTS = 100_000;
const TOKENS_RATE = 3_500;
/** Where the machine is slower than the load. */
const TOKENS_LIMIT_MS = 180_000;
const LIFETIME_SECONDS = 5;
/** A token is renewed in the last tenth of its lifetime: it serves for this share of it, at least. */
const LEAST_USE = 0.9;
/** The upstream works for so long before it fails: then there are connections, and compiled code. */
const WARMUP_MS = 2_000;

/** By name. */
const SCENARIOS: ReadonlyMap<string, (stage: Stage) => Promise<Outcome>> = new Map([
  ['hang', hang],
  ['refused', (stage: Stage) => outage(stage, 'refused')],
  ['unavailable', (stage: Stage) => outage(stage, { share: 1 })],
  ['tokens', tokens],
  ['retries', retries],
]);

const { chosen, env } = readOptions({ only: { type: 'string' }, ...ENV }, (values) => ({
  chosen: toChosen(values.only, SCENARIOS),
  env: toEnv(values.env),
}));

await judge(env, async (stage) => {
  const verdicts = [];
  for (const [name, scenario] of chosen) {
    const outcome = await scenario(stage);
    say(`${name}\n  ${outcome.figures.join('\n  ')}\n`);
    verdicts.push(...outcome.verdicts);
  }
  return verdicts;
});

/** The upstream takes calls and answers none, twice. */
async function hang(stage: Stage): Promise<Outcome> {
  return withGateway(stage, { env: { REQUEST_DEADLINE_MS: '2000' } }, async (upstream, server) => {
    const arrivals = startArrivals(server.endpoint, HANG_RATE);
    await sleep(WARMUP_MS);
    const hangs: { from: number; to: number }[] = [];
    for (let round = 1; round <= HANGS; round += 1) {
      const from = now();
      await upstream.setFault('hang');
      await sleep(HANG_MS);
      hangs.push({ from, to: now() });
      await upstream.setFault('none');
      await sleep(HANG_RECOVERY_MS);
    }
    const samples = await arrivals.stop();
    const { opened } = await logOf(server);

    const before: Sample[] = [];
    const open: Sample[] = [];
    const openedAfter: string[] = [];
    for (const { from, to } of hangs) {
      const openedAt = opened.find((at) => at >= from && at < to) ?? to;
      openedAfter.push(openedAt === to ? 'never' : `after ${inMs(openedAt - from)}`);
      before.push(...samples.filter(({ at }) => at >= from && at < openedAt));
      open.push(...samples.filter(({ at }) => at >= openedAt && at < to));
    }
    const called = new Set(upstream.calls.map(({ batchId }) => batchId));
    const deciding = open.filter(({ batchId }) => called.has(batchId));
    const others = open.filter(({ batchId }) => !called.has(batchId));
    const describe = (of: readonly Sample[]) => `${countsOf(of)}; ${latenciesOf(of)}`;
    return {
      figures: [
        `${HANGS} hangs of ${HANG_MS / 1_000} s, ${HANG_RATE} requests/s`,
        `the circuit opened ${openedAfter.join(' and ')}`,
        `begun before that: ${describe(before)}`,
        `begun while it was open: ${describe(open)}`,
        `  of these, those whose call decides: ${describe(deciding)}`,
        `  the others: ${describe(others)}`,
      ],
      verdicts: [
        toVerdict('hang: p99 until the circuit is open', p99Of(before), { most: 2_200 }, inMs),
        toVerdict('hang: p99 while it is open', p99Of(open), { most: 50 }, inMs),
      ],
    };
  });
}

/** The upstream's port is closed, or it answers nothing but 503, and then it is back. */
async function outage(stage: Stage, fault: 'refused' | { share: 1 }): Promise<Outcome> {
  return withGateway(stage, {}, async (upstream, server) => {
    const arrivals = startArrivals(server.endpoint, OUTAGE_RATE);
    await sleep(WARMUP_MS);
    const from = now();
    await upstream.setFault(fault);
    await sleep(OUTAGE_MS);
    await upstream.setFault('none');
    const to = now();
    // A second more, so that failures after the limit show.
    await sleep(RETURN_LIMIT_MS + 1_000);
    const samples = await arrivals.stop();
    const log = await logOf(server);

    const counts = (at: number) => at >= from + OPENING_MS && at < to;
    const logged = log.calls.filter(counts);
    const seen = upstream.calls.map(({ at }) => at).filter(counts);
    // Nobody sees calls to a closed port but who makes them.
    const calls = fault === 'refused' ? logged : seen;
    const most = mostInASecond(calls);
    const mean = calls.length / ((OUTAGE_MS - OPENING_MS) / 1_000);

    const afterwards = samples
      .map(({ at, ms, error }) => ({ afterMs: at + ms - to, failed: error !== undefined }))
      .filter(({ afterMs }) => afterMs >= 0);
    const timesOf = (failed: boolean) =>
      afterwards.filter((one) => one.failed === failed).map(({ afterMs }) => afterMs);
    const firstSuccess = Math.min(...timesOf(false));
    const lastFailure = Math.max(0, ...timesOf(true));
    const lastly = Math.max(firstSuccess, lastFailure);
    const during = samples.filter(({ at }) => at >= from && at < to);
    const name = fault === 'refused' ? 'connections refused' : '503';
    return {
      figures: [
        `${name} for ${OUTAGE_MS / 1_000} s, ${OUTAGE_RATE} requests/s`,
        `the circuit opened ${log.opened.map((at) => `after ${inMs(at - from)}`).join(' and ') || 'never'}`,
        `meanwhile: ${countsOf(during)}; ${latenciesOf(during)}`,
        `calls after the first ${OPENING_MS / 1_000} s: ${calls.length}, ${mean.toFixed(2)} a second, ` +
          `at most ${most} in one, ${inMs(Math.min(...gapsOf(calls)))} or more apart ` +
          `(by the gateway's log ${logged.length}, by the upstream ${fault === 'refused' ? 'unseen' : seen.length})`,
        `after its return: first success ${inMs(firstSuccess)}, last failure ${inMs(lastFailure)}`,
      ],
      verdicts: [
        toVerdict(`${name}: calls in a second while it is open`, most, { most: 1 }, String),
        toVerdict(
          `${name}: return to first success, and last failure`,
          lastly,
          { most: RETURN_LIMIT_MS },
          inMs,
        ),
      ],
    };
  });
}

/** The most of these moments that any one second holds. */
function mostInASecond(moments: readonly number[]): number {
  const from = (begin: number) =>
    moments.filter((at) => at >= begin && at < begin + 1_000 - STAMP_ERROR_MS).length;
  return Math.max(0, ...moments.map(from));
}

/** A fifth of the calls fails, from the first on: calls of before would add to the budget. */
async function retries(stage: Stage): Promise<Outcome> {
  return withGateway(stage, {}, async (upstream, server) => {
    await upstream.setFault({ share: 0.2 });
    const arrivals = startArrivals(server.endpoint, RETRIES_RATE);
    await sleep(RETRIES_MS);
    const samples = await arrivals.stop();
    const { opened } = await logOf(server);

    const calls = upstream.calls.length;
    const ratio = calls / samples.length;
    const inDigits = (figure: number) => figure.toFixed(4);
    const succeeded = samples.filter(({ error }) => error === undefined).length / samples.length;
    return {
      figures: [
        `a fifth of the calls fails, ${RETRIES_RATE} requests/s: ${countsOf(samples)}; ${latenciesOf(samples)}`,
        `${calls} calls for ${samples.length} requests: ${inDigits(ratio)} for one; ${(100 * succeeded).toFixed(1)} % of the requests succeeded`,
      ],
      verdicts: [
        toVerdict('a fifth fails: calls for a request', ratio, { most: 1.1 }, inDigits),
        toVerdict('a fifth fails: the circuit opened', opened.length, { most: 0 }, String),
      ],
    };
  });
}

/** Tokens live 5 s. */
async function tokens(stage: Stage): Promise<Outcome> {
  const equipment = { tokenLifetimeSeconds: LIFETIME_SECONDS };
  return withGateway(stage, equipment, async (upstream, server) => {
    const begun = now();
    const arrivals = startArrivals(server.endpoint, TOKENS_RATE);
    const sent = () => (arrivals.sent() >= TOKENS_REQUESTS ? true : undefined);
    await poll(sent, `Sending ${TOKENS_REQUESTS} requests`, TOKENS_LIMIT_MS);
    const samples = await arrivals.stop();
    const perSecond = samples.length / ((now() - begun) / 1_000);

    const { calls, tokenCalls } = upstream;
    const seconds = (now() - (tokenCalls[0] ?? 0)) / 1_000;
    const gaps = gapsOf(tokenCalls).map((ms) => ms / 1_000);
    const most = 1 + Math.floor(seconds / (LEAST_USE * LIFETIME_SECONDS));
    const errors = samples.filter(({ error }) => error !== undefined).length;
    return {
      figures: [
        `tokens that live ${LIFETIME_SECONDS} s, ${Math.round(perSecond)} requests/s (${TOKENS_RATE} were asked for): ${countsOf(samples)}`,
        `${calls.length} calls, of which ${upstream.unauthorized()} with a token that had expired`,
        `${tokenCalls.length} calls for a token in ${seconds.toFixed(1)} s, which are ${(seconds / LIFETIME_SECONDS).toFixed(2)} lifetimes: ` +
          `${Math.min(...gaps).toFixed(2)} to ${Math.max(...gaps).toFixed(2)} s apart`,
      ],
      verdicts: [
        toVerdict('tokens of 5 s: errors in 100,000 requests', errors, { most: 0 }, String),
        toVerdict('tokens of 5 s: calls, one in 4.5 s', tokenCalls.length, { most }, String),
      ],
    };
  });
}

/** What a scenario gave. */
interface Outcome {
  /** Lines for people. */
  figures: string[];
  verdicts: Verdict[];
}

/**
 * Runs a scenario with an upstream and a gateway of its own, which gets these settings besides; notes when there was
 * too little of the machine.
 */
async function withGateway(
  stage: Stage,
  equipment: { env?: Record<string, string>; tokenLifetimeSeconds?: number },
  run: (upstream: FaultyUpstream, server: Server) => Promise<Outcome>,
): Promise<Outcome> {
  const upstream = await startFaultyUpstream(equipment.tokenLifetimeSeconds ?? 3_600);
  const server = await startServer(GATEWAY, stage, {
    upstreamOrigin: upstream.origin,
    env: { ...equipment.env, TOKEN_URL: upstream.tokenUrl },
  });
  try {
    const coresUsed = watchCores(stage, [server]);
    const outcome = await run(upstream, server);
    outcome.figures.push(...notesOf([coresUsed()]));
    return outcome;
  } finally {
    await server.stop();
    server.emptyLog();
    await upstream.stop();
  }
}

/** The times between moments that are in order. */
function gapsOf(moments: readonly number[]): number[] {
  return moments.slice(1).map((at, index) => at - (moments[index] ?? at));
}

/** What the gateway's log tells of its circuit and its calls: moments in milliseconds since 1970. */
interface LoggedCalls {
  /** When the circuit opened; not again each time that it stayed open. */
  opened: number[];
  /** When the requests began for which the upstream was called, once for each call, in order. */
  calls: number[];
}

/** What the gateway has logged up to now, at the level `info`, which takes a moment to be written. */
async function logOf(server: Server): Promise<LoggedCalls> {
  await sleep(1_000);
  const logged: LoggedCalls = { opened: [], calls: [] };
  for (const line of server.readLog().trimEnd().split('\n')) {
    const entry: { time: string; msg: string; upstreamCalls?: number; durationMs?: number } =
      JSON.parse(line);
    const at = Date.parse(entry.time);
    if (entry.msg.startsWith('circuit open')) logged.opened.push(at);
    const { upstreamCalls = 0, durationMs = 0 } = entry;
    for (let call = 0; call < upstreamCalls; call += 1) logged.calls.push(at - durationMs);
  }
  logged.calls.sort((a, b) => a - b);
  return logged;
}
