import { expect, test } from 'vitest';
import { createTraces } from '../../src/telemetry/traces.ts';
import { TestClock } from '../support/test-clock.ts';

/** 10,000 requests to a gateway that records a tenth of them. */
function traceMany(headers: Record<string, string>, propagates = false) {
  const { telemetry } = createTraces({
    ...{ sampler: 'traceidratio', ratio: 0.1, attributes: {}, propagates },
    clock: new TestClock(),
    post: async () => ({ status: 200 }),
    telemetry: {},
  });
  return Array.from({ length: 10_000 }, () =>
    telemetry.traceRequest?.({ method: 'POST', headers }),
  );
}

test('traceidratio records the share of requests that is set; of the others nothing is made', () => {
  const made = traceMany({}).filter((trace) => trace !== undefined);
  // Of so many, more than six standard deviations to either side.
  expect(made.length).toBeGreaterThan(800);
  expect(made.length).toBeLessThan(1_200);
  expect(made.filter((trace) => trace.execute('Status')?.span === undefined)).toEqual([]);
});

test('the ids of recorded traces are those that others with that ratio record, too', () => {
  const ids = traceMany({}).flatMap((trace) => trace?.id ?? []);
  expect(ids.filter((id) => Number.parseInt(id.slice(16, 24), 16) >= 0.1 * 2 ** 32)).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
});

test('where traces are sent on, those that are not recorded have an id, too', () => {
  const traces = traceMany({}, true);
  expect(traces.filter((trace) => !/^[\da-f]{32}$/.test(trace?.id ?? ''))).toEqual([]);
});
