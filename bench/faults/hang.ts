import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../stage.ts';
import { atMost } from '../verdict.ts';
import { type Sample, startArrivals } from './arrivals.ts';
import { now } from './now.ts';
import {
  countsOf,
  inMs,
  latenciesOf,
  logOf,
  type Outcome,
  p99Of,
  WARMUP_MS,
  withGateway,
} from './scenario.ts';

/** Two seconds of these are fewer than the gateway takes at a time. */
const PER_SECOND = 100;
const HANGS = 2;
const HANG_MS = 10_000;
/** A call that decides and hangs takes 2 s, then comes a wait of up to 1.25 s, then one that succeeds. */
const RECOVERY_MS = 4_000;

/** The upstream takes calls and answers none, twice. */
export async function hang(stage: Stage): Promise<Outcome> {
  return withGateway(stage, { env: { REQUEST_DEADLINE_MS: '2000' } }, async (upstream, server) => {
    const arrivals = startArrivals(server.endpoint, PER_SECOND);
    await sleep(WARMUP_MS);
    const hangs: { from: number; to: number }[] = [];
    for (let round = 1; round <= HANGS; round += 1) {
      const from = now();
      await upstream.setFault('hang');
      await sleep(HANG_MS);
      hangs.push({ from, to: now() });
      await upstream.setFault('none');
      await sleep(RECOVERY_MS);
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
        `${HANGS} hangs of ${HANG_MS / 1_000} s, ${PER_SECOND} requests/s`,
        `the circuit opened ${openedAfter.join(' and ')}`,
        `begun before that: ${describe(before)}`,
        `begun while it was open: ${describe(open)}`,
        `  of these, those whose call decides: ${describe(deciding)}`,
        `  the others: ${describe(others)}`,
      ],
      verdicts: [
        atMost('hang: p99 until the circuit is open', p99Of(before), { must: 2_200 }, inMs),
        atMost('hang: p99 while it is open', p99Of(open), { must: 50 }, inMs),
      ],
    };
  });
}
