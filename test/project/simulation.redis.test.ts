import { expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { startFleet } from '../support/fleet.ts';
import { startRedis } from '../support/redis.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { environmentOf, watchBatches } from '../support/watched-batches.ts';

test.each([
  { looks: 'queried', dashboards: 2, followers: 0 },
  { looks: 'followed', dashboards: 0, followers: 4 },
])(
  'batches that are $looks on four replicas with Redis cost as many calls as npm run simulate says, within 15 %',
  async ({ dashboards, followers }) => {
    const fleet = {
      replicas: 4,
      redis: true,
      statusTtlMs: 1_000,
      statusFinishedTtlMs: 30_000,
      followMinMs: 1_000,
      followMaxMs: 10_000,
      latencyMs: 100,
    };
    await using redis = await startRedis();
    await using upstream = await startScriptedUpstream();
    const environment = environmentOf(fleet);
    await using started = await startFleet({ replicas: 4, redis, upstream, environment });
    const watched = {
      runsMs: 8_000,
      staysMs: 0,
      changesMs: 2_000,
      followers,
      dashboards,
      everyMs: 500,
    };
    const { counted, simulated, failures } = await watchBatches({
      batches: 10,
      fleet,
      watched,
      upstream,
      gateways: started.gateways,
      clock: systemClock,
    });
    expect(failures).toEqual([]);
    expect(counted / simulated).toBeGreaterThan(0.85);
    expect(counted / simulated).toBeLessThan(1.15);
  },
);
