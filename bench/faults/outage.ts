import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../stage.ts';
import { atMost } from '../verdict.ts';
import { startArrivals } from './arrivals.ts';
import { now } from './now.ts';
import {
  countsOf,
  gapsOf,
  inMs,
  latenciesOf,
  logOf,
  type Outcome,
  WARMUP_MS,
  withGateway,
} from './scenario.ts';

const PER_SECOND = 200;
const OUTAGE_MS = 20_000;
/** At its beginning the circuit opens, and calls that were under way end. */
const OPENING_MS = 2_000;
const RETURN_LIMIT_MS = 5_000;

/** The upstream's port is closed, or it answers nothing but 503, and then it is back. */
export async function outage(stage: Stage, fault: 'refused' | { share: 1 }): Promise<Outcome> {
  return withGateway(stage, {}, async (upstream, server) => {
    const arrivals = startArrivals(server.endpoint, PER_SECOND);
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
    const during = samples.filter(({ at }) => at >= from && at < to);
    const name = fault === 'refused' ? 'connections refused' : '503';
    return {
      figures: [
        `${name} for ${OUTAGE_MS / 1_000} s, ${PER_SECOND} requests/s`,
        `the circuit opened ${log.opened.map((at) => `after ${inMs(at - from)}`).join(' and ') || 'never'}`,
        `meanwhile: ${countsOf(during)}; ${latenciesOf(during)}`,
        `calls after the first ${OPENING_MS / 1_000} s: ${calls.length}, ${mean.toFixed(2)} a second, ` +
          `at most ${most} in one, ${inMs(Math.min(...gapsOf(calls)))} or more apart ` +
          `(by the gateway's log ${logged.length}, by the upstream ${fault === 'refused' ? 'unseen' : seen.length})`,
        `after its return: first success ${inMs(firstSuccess)}, last failure ${inMs(lastFailure)}`,
      ],
      verdicts: [
        atMost(`${name}: calls in a second while the circuit is open`, most, { must: 1 }, String),
        atMost(
          `${name}: from the return to the first success, and to the last failure`,
          Math.max(firstSuccess, lastFailure),
          { must: RETURN_LIMIT_MS },
          inMs,
        ),
      ],
    };
  });
}

/** The log has whole milliseconds, and when the request began, a little before its call. */
const STAMP_ERROR_MS = 10;

/** The most of these moments that any one second holds. */
function mostInASecond(moments: readonly number[]): number {
  const from = (begin: number) =>
    moments.filter((at) => at >= begin && at < begin + 1_000 - STAMP_ERROR_MS).length;
  return Math.max(0, ...moments.map(from));
}
