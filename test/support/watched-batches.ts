import { createRandom, type Fleet, simulate, type Watched } from '../../scripts/simulation.ts';
import { pause } from '../../src/lib/abort.ts';
import { neverAborted } from '../../src/lib/cancellation.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { openStream } from './event-stream.ts';
import { ECHO, type ScriptedUpstream } from './scripted-upstream.ts';
import { TestClock } from './test-clock.ts';
import { STATUS_QUERY, type TestGateway } from './test-gateway.ts';

interface WatchedBatches {
  batches: number;
  fleet: Fleet;
  watched: Watched;
  upstream: ScriptedUpstream;
  /** Each of these is one of the fleet's replicas. */
  gateways: readonly TestGateway[];
  clock: Clock;
}

const UPDATES = `subscription Follow($batches: [BatchStatusKey!]!) {
  batchStatusUpdates(batches: $batches) { batchStatus { successCount } }
}`;

/** The environment of a gateway that runs as the simulation has it. */
export function environmentOf(fleet: Fleet): Record<string, string> {
  return {
    STATUS_TTL_MS: `${fleet.statusTtlMs}`,
    FOLLOW_MIN_MS: `${fleet.followMinMs}`,
    FOLLOW_MAX_MS: `${fleet.followMaxMs}`,
    MAX_STREAMS_PER_CALLER: '1000',
    LOG_LEVEL: 'silent',
  };
}

/**
 * Looks at batches for `runsMs`, none of which is finished by then. Resolves to the upstream calls for each, as they were
 * counted and as they are simulated, and to the answers that were no good ones.
 */
export async function watchBatches(options: WatchedBatches) {
  const { batches, fleet, watched, upstream, gateways, clock } = options;
  const elapse = <T>(promise: Promise<T>) =>
    clock instanceof TestClock ? clock.elapse(promise) : promise;
  upstream.onStatus = async ({ target }) => {
    const batch = Number(/b-(\d+)/.exec(target)?.[1]);
    const successCount = Math.floor(clock.now() / watched.changesMs + batch / batches);
    await pause(fleet.latencyMs, clock, neverAborted);
    return { body: { data: { status: 'IN_PROGRESS', successCount }, request: ECHO } };
  };
  await using stack = new AsyncDisposableStack();
  // The same in each run.
  const random = createRandom(3);
  const anyGateway = () => {
    const gateway = gateways[Math.floor(random() * gateways.length)];
    if (gateway === undefined) throw new Error('there is no replica');
    return gateway;
  };
  const looks: Promise<unknown>[] = [];
  let isOver = false;
  const query = (batch: object) => {
    if (isOver) return;
    looks.push(anyGateway().query(STATUS_QUERY, batch));
    clock.after(watched.everyMs, () => query(batch));
  };
  const follow = async (gateway: TestGateway, batch: object) => {
    const variables = { batches: [batch] };
    const stream = stack.use(await openStream(gateway, { query: UPDATES, variables }));
    return stream.data();
  };
  for (let number = 0; number < batches; number += 1) {
    const batch = { participantType: 'vehicles', batchId: `b-${number}` };
    for (let count = 0; count < watched.dashboards; count += 1) {
      clock.after(random() * watched.everyMs, () => query(batch));
    }
    for (let count = 0; count < watched.followers; count += 1) {
      const gateway = anyGateway();
      clock.after(random() * 1_000, () => looks.push(follow(gateway, batch)));
    }
  }
  await elapse(pause(watched.runsMs, clock, neverAborted));
  const counted = upstream.statusCalls.length / batches;
  isOver = true;
  const answers = (await elapse(Promise.all(looks))).map((answer) => JSON.stringify(answer));
  const lives = 500;
  return {
    counted,
    simulated: simulate(fleet, watched, lives).calls / lives,
    failures: answers.filter((answer) => answer.includes('"errors"')),
  };
}
