import { expect, test } from 'vitest';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { environmentOf, watchBatches } from '../support/watched-batches.ts';

const HOT = { batches: 10, dashboards: 2, everyMs: 500, followers: 0, changesMs: 5_000 };
const FOLLOWED = { batches: 30, dashboards: 0, everyMs: 500, followers: 3, changesMs: 4_000 };
const BOTH = { ...HOT, dashboards: 1, followers: 1 };

test.each([
  { looks: 'queried of one replica', replicas: 1, ...HOT },
  { looks: 'queried of four replicas', replicas: 4, ...HOT },
  { looks: 'followed on one replica', replicas: 1, ...FOLLOWED },
  { looks: 'followed on four replicas', replicas: 4, ...FOLLOWED },
  { looks: 'queried and followed on two replicas', replicas: 2, ...BOTH },
])(
  'batches that are $looks cost as many calls as npm run simulate says, within 15 %',
  async ({ replicas, batches, dashboards, everyMs, followers, changesMs }) => {
    const fleet = {
      replicas,
      redis: false,
      statusTtlMs: 1_000,
      statusFinishedTtlMs: 30_000,
      followMinMs: 1_000,
      followMaxMs: 10_000,
      latencyMs: 100,
    };
    const clock = new TestClock();
    await using upstream = await startScriptedUpstream();
    await using stack = new AsyncDisposableStack();
    const gateways = [];
    for (let replica = 0; replica < replicas; replica += 1) {
      const environment = environmentOf(fleet);
      gateways.push(stack.use(await startTestGateway({ upstream, clock, environment })));
    }
    const watched = { runsMs: 20_000, staysMs: 0, changesMs, followers, dashboards, everyMs };
    const { counted, simulated, failures } = await watchBatches({
      batches,
      fleet,
      watched,
      upstream,
      gateways,
      clock,
    });
    expect(failures).toEqual([]);
    expect(counted / simulated).toBeGreaterThan(0.85);
    expect(counted / simulated).toBeLessThan(1.15);
  },
);
