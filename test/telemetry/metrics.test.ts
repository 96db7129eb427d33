import { expect, test } from 'vitest';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { CALL_OUTCOMES, createBusyMetrics } from '../support/busy-metrics.ts';
import { countSeries, parseExposition } from '../support/exposition.ts';

/** Of the metric's samples, labels alone. */
function labelsIn(text: string, name: string): string[] {
  const samples = parseExposition(text).get(name)?.samples ?? new Map<string, number>();
  return [...samples.keys()].map((series) => series.slice(name.length));
}

test('a gateway that has met all that there is, with 1,000 participant types, operations and tenants, has at most 500 series', async () => {
  const names = (prefix: string) => Array.from({ length: 1_000 }, (_, index) => prefix + index);
  const metrics = createBusyMetrics({
    participantTypes: names('type-'),
    operationNames: names('Operation'),
    tenants: names('tenant-'),
  });
  const { body } = await metrics.scrape(undefined);
  metrics.close();
  const count = countSeries(parseExposition(body));
  expect(count).toBeGreaterThan(350);
  expect(count).toBeLessThanOrEqual(500);
  expect(labelsIn(body, 'participant_gateway_upstream_retries_total')).toHaveLength(17);
  expect(labelsIn(body, 'participant_gateway_operations_total')).toHaveLength(81);
  expect(labelsIn(body, 'participant_gateway_circuit_state')).toHaveLength(19);
  expect(labelsIn(body, 'participant_gateway_tenant_requests_total')).toHaveLength(26);
  expect(labelsIn(body, 'participant_gateway_tenant_failing')).toHaveLength(26);
});

test('participant types that are alike, or hold what ends a label, have series of their own', async () => {
  const participantTypes = ['a', 'a|', 'a|ok', '"a"', 'a\\n', 'ok|a'];
  const metrics = createBusyMetrics({ participantTypes, operationNames: [], tenants: [] });
  const { body } = await metrics.scrape(undefined);
  metrics.close();
  const written = ['a', 'a|', 'a|ok', '\\"a\\"', 'a\\\\n', 'ok|a', 'other'];
  expect(labelsIn(body, 'participant_gateway_upstream_calls_total').toSorted()).toEqual(
    CALL_OUTCOMES.flatMap((outcome) =>
      written.map((type) => `{outcome="${outcome}",participant_type="${type}"}`),
    ).toSorted(),
  );
});

test('participant types of the list have series before anybody asks, the first 16 of them', async () => {
  const participantTypes = new Set(Array.from({ length: 20 }, (_, index) => `type-${index}`));
  const metrics = createMetrics({
    participantTypes,
    hasTrustedDocuments: false,
    hasTenants: false,
    telemetry: {},
    process: { node: process, version: '1.2.3', droppedLogLines: () => 0 },
  });
  const { body } = await metrics.scrape(undefined);
  metrics.close();
  expect(labelsIn(body, 'participant_gateway_upstream_retries_total')).toEqual([
    ...[...participantTypes].slice(0, 16).map((type) => `{participant_type="${type}"}`),
    '{participant_type="other"}',
  ]);
  expect(labelsIn(body, 'participant_gateway_operations_total')).toEqual([]);
});

test('what is told is handed on as it is, and counted', async () => {
  const told: string[] = [];
  const note = (name: string) => (event?: object) =>
    void told.push(`${name} ${JSON.stringify(event)}`);
  const metrics = createMetrics({
    participantTypes: new Set(),
    hasTrustedDocuments: false,
    hasTenants: false,
    telemetry: {
      tokenRenewed: note('tokenRenewed'),
      circuitClosed: note('circuitClosed'),
      connectionRefused: note('connectionRefused'),
      slowReadersCutOff: note('slowReadersCutOff'),
      handlerFailed: note('handlerFailed'),
      keysFailed: note('keysFailed'),
    },
    process: { node: process, version: '1.2.3', droppedLogLines: () => 8 },
  });
  const { telemetry } = metrics;
  telemetry.tokenRenewed?.({ lifetimeMs: 1 });
  telemetry.circuitClosed?.({ circuit: 'service', openMs: 2 });
  telemetry.connectionRefused?.();
  telemetry.slowReadersCutOff?.({ connections: 3 });
  telemetry.handlerFailed?.({ error: 4 });
  telemetry.keysFailed?.({ error: 5, failures: 6, retryAfterMs: 7 });
  // Nobody listens to these.
  telemetry.tokenFailed?.({ reason: '', requestId: '', retryAfterMs: undefined, failures: 1 });
  telemetry.internalError?.({ requestId: '', path: undefined, error: 1 });
  expect(told).toEqual([
    'tokenRenewed {"lifetimeMs":1}',
    'circuitClosed {"circuit":"service","openMs":2}',
    'connectionRefused undefined',
    'slowReadersCutOff {"connections":3}',
    'handlerFailed {"error":4}',
    'keysFailed {"error":5,"failures":6,"retryAfterMs":7}',
  ]);

  const shown = parseExposition((await metrics.scrape(undefined)).body);
  metrics.close();
  const samplesOf = (name: string) => shown.get(`participant_gateway_${name}_total`)?.samples;
  const counted = {
    token_renewals: 1,
    token_failures: 1,
    key_failures: 1,
    connections_refused: 1,
    slow_readers: 3,
    faults: 2,
    log_lines_dropped: 8,
  };
  for (const [name, count] of Object.entries(counted)) {
    expect([name, ...(samplesOf(name) ?? [])]).toEqual([
      name,
      [`participant_gateway_${name}_total`, count],
    ]);
  }
});
