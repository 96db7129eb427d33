import { NOTHING_LOADED } from '../../src/core/answer.ts';
import { ERROR_CODES } from '../../src/core/error-codes.ts';
import type { UpstreamCallOutcome } from '../../src/core/request-trace.ts';
import { STREAM_ENDS } from '../../src/core/telemetry.ts';
import type { GatewayState } from '../../src/telemetry/gateway-metrics.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';

export const CALL_OUTCOMES: readonly UpstreamCallOutcome[] = [
  'ok',
  'refused',
  'foreign',
  'transient',
  'fault',
  'inconclusive',
  'aborted',
];

interface Busy {
  /** Each of them has answered, and failed in every way. */
  participantTypes: readonly string[];
  /** Each was executed, with and without errors. */
  operationNames: readonly string[];
  /** Each was asked for, and fails in every way. */
  tenants: readonly string[];
}

/** The metrics of a gateway with trusted documents that has met all that there is. To be closed. */
export function createBusyMetrics({ participantTypes, operationNames, tenants }: Busy): Metrics {
  const metrics = createMetrics({
    participantTypes: new Set(),
    hasTrustedDocuments: true,
    hasTenants: true,
    telemetry: {},
    process: { node: process, version: '1.2.3', droppedLogLines: () => 7 },
  });
  const { telemetry } = metrics;
  const request = (
    operationName: string | null,
    operationType: 'query' | undefined,
    errorCodes: readonly string[],
    tenant?: string,
  ) =>
    telemetry.request?.({
      tenant,
      address: '192.0.2.1',
      requestId: 'r-1',
      method: 'POST',
      status: 200,
      subject: 'somebody',
      refusal: undefined,
      durationMs: 12,
      answer: { ...NOTHING_LOADED, operationName, operationType, errorCodes, cached: false },
    });
  for (const code of [...Object.keys(ERROR_CODES), 'NO_CODE_OF_OURS']) {
    request(null, undefined, [code]);
    request(null, 'query', [code]);
  }
  for (const name of operationNames) {
    request(name, 'query', []);
    request(name, 'query', ['NOT_FOUND']);
  }
  for (const reason of STREAM_ENDS) {
    telemetry.streamEnded?.({ requestId: 'r-1', reason, events: 1, skipped: 0, durationMs: 9 });
  }
  for (const participantType of participantTypes) {
    for (const outcome of CALL_OUTCOMES) {
      telemetry.upstreamCall?.({ participantType, outcome, isRetry: true, durationMs: 3 });
    }
  }
  for (const tenant of tenants) {
    request(null, undefined, [], tenant);
    const call = { participantType: 'vehicles', isRetry: false, durationMs: 3 };
    telemetry.upstreamCall?.({ ...call, outcome: 'ok', tenant });
  }
  const use = { hits: 3, misses: 1, entries: 2, bytes: 2_048 };
  const state: GatewayState = {
    requests: () => 1,
    connections: async () => 2,
    saturation: async () => ({
      intake_requests: 0.1,
      intake_bytes: 0,
      connections: 0.2,
      upstream_calls: 1,
      held_statuses: 0,
      unsent_answers: 0,
    }),
    streams: () => ({ open: 2, written: 9, skipped: 1 }),
    followed: () => ({ batches: 2, followers: 3, polls: 7 }),
    statuses: () => ({ cached: 4, joined: 3, fetched: 2, shared: 5, stale: 1 }),
    caches: () => ({ statuses: use, responses: use, documents: use }),
    upstreamCalls: () => ({ active: 1, waiting: 0 }),
    upstreamConnections: () => ({ active: 1, idle: 1 }),
    circuits: () => [
      { name: { circuit: 'service' }, state: 'closed' },
      { name: { circuit: 'new participant types' }, state: 'half-open' },
      ...participantTypes.map((participantType) => ({
        name: { circuit: 'participant type' as const, participantType },
        state: 'open' as const,
      })),
    ],
    tokenRemainingMs: () => 1_500,
    redisIsUsable: () => true,
  };
  metrics.measure(state, {
    counts: () => ({ configured: tenants.length, active: tenants.length, faulty: 1 }),
    each: () => tenants.map((name) => ({ name, isFailing: true, lacksToken: true })),
  });
  return metrics;
}
