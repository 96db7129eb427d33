import { setTimeout as sleep } from 'node:timers/promises';
import { notesOf, watchCores } from '../core-watch.ts';
import { type Server, startServer } from '../server.ts';
import type { Stage } from '../stage.ts';
import { medianOf, percentileOf } from '../statistics.ts';
import { GATEWAY } from '../subjects.ts';
import type { Verdict } from '../verdict.ts';
import type { Sample } from './arrivals.ts';
import { type FaultyUpstream, startFaultyUpstream } from './faulty-upstream.ts';

/** What a scenario gave. */
export interface Outcome {
  /** Lines for people. */
  figures: string[];
  verdicts: Verdict[];
}

/** The upstream works for so long before it fails: then there are connections, and compiled code. */
export const WARMUP_MS = 2_000;

/**
 * Runs a scenario with an upstream and a gateway of its own, which gets these settings besides; notes when there was
 * too little of the machine.
 */
export async function withGateway(
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
    outcome.figures.push(...notesOf(coresUsed()));
    return outcome;
  } finally {
    await server.stop();
    server.emptyLog();
    await upstream.stop();
  }
}

/** How many ended how. */
export function countsOf(samples: readonly Sample[]): string {
  const results = Map.groupBy(samples, ({ error }) => error ?? 'succeeded');
  const counts = [...results].map(([result, of]) => `${of.length} ${result}`);
  return counts.length === 0 ? 'none' : counts.join(', ');
}

/** How long they took. */
export function latenciesOf(samples: readonly Sample[]): string {
  const ms = samples.map((sample) => sample.ms);
  const [p50, p99, max] = [medianOf(ms), percentileOf(ms, 99), percentileOf(ms, 100)].map(inMs);
  return `p50 ${p50}, p99 ${p99}, max ${max}`;
}

export function p99Of(samples: readonly Sample[]): number {
  return percentileOf(
    samples.map(({ ms }) => ms),
    99,
  );
}

export function inMs(ms: number): string {
  return `${ms < 100 ? ms.toFixed(1) : Math.round(ms).toLocaleString('en-GB')} ms`;
}

/** The times between moments that are in order. */
export function gapsOf(moments: readonly number[]): number[] {
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
export async function logOf(server: Server): Promise<LoggedCalls> {
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
