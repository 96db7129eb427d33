import type { Settings } from './config/settings.ts';
import type { Telemetry } from './core/telemetry.ts';
import { createHttpClient } from './http-client/client.ts';
import { neverAborted } from './lib/cancellation.ts';
import type { Clock } from './lib/clock.ts';
import { urlBelow } from './lib/url.ts';
import type { Metrics } from './telemetry/metrics.ts';
import type { MeasuredProcess } from './telemetry/process-metrics.ts';
import type { Traces } from './telemetry/traces.ts';
import { findRouteOf, type Sharing } from './tenants/services.ts';

/** What they need. */
interface Dependencies {
  settings: Settings;
  clock: Clock;
  telemetry: Telemetry;
  /** Undefined: nothing is told of it. */
  process?: MeasuredProcess;
}

/** Of one message with spans to the collector. */
const TRACES_TIMEOUT_MS = 5_000;

/** Undefined where there are none, and nothing of that is loaded then. */
export async function loadMetrics({
  settings,
  telemetry,
  process,
}: Dependencies): Promise<Metrics | undefined> {
  if (settings.metrics === undefined) return undefined;
  const { createMetrics } = await import('./telemetry/metrics.ts');
  return createMetrics({
    participantTypes: settings.participantTypes,
    hasTrustedDocuments: settings.trustedDocuments !== undefined,
    hasTenants: settings.tenants !== undefined,
    telemetry,
    process,
  });
}

interface RunningTraces extends Pick<Traces, 'telemetry'> {
  /** Resolves after `limitMs` at the latest. */
  close(limitMs: number): Promise<void>;
}

/** Undefined where there are none, and nothing of that is loaded then. */
export async function loadTraces(
  { settings, clock, process }: Omit<Dependencies, 'telemetry'>,
  telemetry: Telemetry,
): Promise<RunningTraces | undefined> {
  if (settings.traces === undefined) return undefined;
  const { endpoint, serviceName, resourceAttributes, ...sampling } = settings.traces;
  const { createTraces } = await import('./telemetry/traces.ts');
  const client = createHttpClient({
    clock,
    maxConnections: 2,
    timeoutMs: TRACES_TIMEOUT_MS,
    maxBodyBytes: 64 * 1024,
    findRoute: findRouteOf(settings),
  });
  const url = urlBelow(endpoint, '/v1/traces');
  const headers = { ...settings.traces.headers, 'content-type': 'application/json' };
  const traces = createTraces({
    ...sampling,
    clock,
    attributes: {
      ...resourceAttributes,
      'service.name': serviceName,
      ...(process && { 'service.version': process.version }),
    },
    post: (body) => client.send({ method: 'POST', url, headers, body }, neverAborted),
    telemetry,
  });
  return {
    telemetry: traces.telemetry,
    async close(limitMs) {
      const limit = Promise.withResolvers<void>();
      const cancelLimit = clock.after(Math.max(0, limitMs), limit.resolve);
      await Promise.race([traces.close(), limit.promise]);
      cancelLimit();
      await client.close();
    },
  };
}

/** Undefined where there is no Redis, and nothing of that is loaded then. It is not connected yet. */
export async function loadSharing(
  { redis: shared }: Settings,
  { clock, telemetry }: Pick<Dependencies, 'clock' | 'telemetry'>,
): Promise<Sharing | undefined> {
  if (shared === undefined) return undefined;
  const [{ Redis }, { createSharedStatuses }] = await Promise.all([
    import('./lib/redis.ts'),
    import('./status/shared-statuses.ts'),
  ]);
  const redis = new Redis({
    ...shared,
    clock,
    random: Math.random,
    lost: (reason) => telemetry.redisLost?.({ reason }),
    back: (lostMs) => telemetry.redisBack?.({ lostMs }),
  });
  return { redis, createSharedStatuses };
}
