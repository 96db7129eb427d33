import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { createLog } from '../../src/telemetry/log.ts';
import { logEvents } from '../../src/telemetry/log-events.ts';
import { createCircuits } from '../../src/upstream/circuits.ts';
import { UpstreamError } from '../../src/upstream/errors.ts';
import type { CallOutcome } from '../../src/upstream/outcome.ts';
import { circuitLog, OPEN, QUERY, startBroken, status } from '../support/broken-upstream.ts';
import { ECHO } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';

/** A query for so many batches, without variables. */
function queryFor(count: number): string {
  const fields = Array.from(
    { length: count },
    (_, index) =>
      `b${index}: batchStatus(participantType: "vehicles", batchId: "b-${index}") { status }`,
  );
  return `{ ${fields.join(' ')} }`;
}

/** The codes of an answer's errors, and how many there are of each. */
function codesIn(body: unknown): Record<string, number> {
  const { errors = [] }: { errors?: { extensions: { code: string } }[] } = JSON.parse(
    JSON.stringify(body),
  );
  const counts: Record<string, number> = {};
  for (const { extensions } of errors) counts[extensions.code] = (counts[extensions.code] ?? 0) + 1;
  return counts;
}

const WELL = { body: { data: { status: 'IN_PROGRESS' }, request: ECHO } };

test('35: a client that sends its request until the deadline has passed opens no circuit, and nothing is asked', async () => {
  await using broken = await startBroken();
  const { clock, gateway, upstream } = broken;
  upstream.statusCalls.length = 0;
  const body = JSON.stringify({ query: queryFor(20) });
  const sending = request(gateway.endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': body.length,
      expect: '100-continue',
    },
  });
  sending.flushHeaders();
  await once(sending, 'continue');
  clock.advance(5_050);
  sending.end(body);
  const [response] = await once(sending, 'response');
  expect(codesIn(JSON.parse(await text(response)))).toEqual({ UPSTREAM_TIMEOUT: 20 });
  expect(upstream.statusCalls).toEqual([]);
  expect(await broken.ask('other')).toEqual(status('other'));
  expect(circuitLog(gateway.logLines)).toEqual([]);
});

test('35: calls that are given up soon after they were sent tell nothing of the upstream', async () => {
  await using broken = await startBroken({ REQUEST_DEADLINE_MS: '2500' });
  const { clock, gateway, upstream } = broken;
  const token = Promise.withResolvers<void>();
  upstream.onToken = () =>
    token.promise.then(() => ({ body: { data: { accessToken: 'new', expiresIn: 3600 } } }));
  clock.advance(3_600_000);
  upstream.statusCalls.length = 0;
  const { onStatus } = upstream;
  upstream.onStatus = () => undefined;
  const answer = gateway.query(queryFor(20));
  await upstream.tokenCallCount(2);
  // The token takes most of the time that the request has.
  clock.advance(1_900);
  token.resolve();
  await upstream.statusCallCount(20);
  clock.advance(600);
  expect(codesIn((await answer).body)).toEqual({ UPSTREAM_TIMEOUT: 20 });
  upstream.onStatus = onStatus;
  expect(await broken.ask('other')).toEqual(status('other'));
  expect(circuitLog(gateway.logLines)).toEqual([]);
});

test('35: queries that wait for a connection in vain open no circuit: what was not sent is not judged', async () => {
  await using broken = await startBroken({ UPSTREAM_MAX_CONNECTIONS: '2' });
  const { clock, gateway, upstream } = broken;
  upstream.onStatus = () => new Promise((resolve) => void clock.after(600, () => resolve(WELL)));
  const { body } = await clock.elapse(gateway.query(queryFor(20)));
  const { UPSTREAM_TIMEOUT = 0, ...others } = codesIn(body);
  // Two at a time, 600 ms each, within 5 s.
  expect(others).toEqual({});
  expect(UPSTREAM_TIMEOUT).toBe(4);
  // Nor is a call begun that could not end in time.
  expect(JSON.stringify(body)).toContain(
    'No connection to the Participant Service was free in time.',
  );
  expect(upstream.statusCalls).toHaveLength(1 + 16);
  expect(await broken.ask('other')).toEqual(status('other'));
  expect(circuitLog(gateway.logLines)).toEqual([]);
});

test('35: a batch that the service has refused since is not served as stale', async () => {
  await using broken = await startBroken();
  const { clock, proxy, upstream, ask } = broken;
  for (const code of [400, 403, 404, 410]) {
    await ask(`seen-${code}`);
  }
  clock.advance(1_000);
  upstream.onStatus = ({ target }) => ({ status: Number(target.split('-').at(-1)) });
  for (const code of [400, 403, 404, 410]) {
    expect(await ask(`seen-${code}`)).toMatchObject({ body: { data: { batchStatus: null } } });
  }
  await proxy.refuse();
  await broken.breakCircuit();
  for (const code of [400, 403, 404, 410]) expect(await ask(`seen-${code}`)).toEqual(OPEN);
});

test('92: who has a copy gets it while the upstream fails, before the circuit opens, as it does, and after', async () => {
  await using broken = await startBroken();
  const { clock, proxy, ask } = broken;
  await ask('seen');
  clock.advance(1_000);
  await proxy.refuse();
  for (let index = 0; index < 20; index += 1) {
    expect(await ask('seen')).toEqual(status('seen', expect.any(String), true));
  }
  expect(circuitLog(broken.gateway.logLines)).toEqual(['circuit open: the upstream fails']);
});

test('35: calls that were begun before it opened do not open it again', async () => {
  await using broken = await startBroken();
  const { clock, gateway, upstream, ask } = broken;
  const held = Promise.withResolvers<void>();
  const { onStatus } = upstream;
  upstream.statusCalls.length = 0;
  upstream.onStatus = () => held.promise.then(() => ({ status: 500 }));
  const before = Array.from({ length: 12 }, (_, index) =>
    gateway.query(QUERY, { batchId: `before-${index}` }),
  );
  await upstream.statusCallCount(12);
  upstream.onStatus = () => ({ status: 500 });
  await broken.breakCircuit();
  upstream.onStatus = onStatus;
  clock.advance(1_250);
  expect(await ask('deciding')).toEqual(status('deciding'));
  held.resolve();
  await Promise.all(before);
  expect(await ask('other')).toEqual(status('other'));
  expect(circuitLog(gateway.logLines)).toEqual([
    'circuit open: the upstream fails',
    'circuit closed: the upstream answers again',
  ]);
});

test('35: whose call opens the circuit is not made to wait for a second one', async () => {
  await using broken = await startBroken();
  const { clock, upstream, ask } = broken;
  // For a budget of more than four retries.
  for (let index = 0; index < 60; index += 1) await ask(`well-${index}`);
  upstream.statusCalls.length = 0;
  upstream.onStatus = () => ({ status: 500 });
  await ask('first-fault');
  upstream.onStatus = () => ({ status: 503 });
  for (let index = 0; index < 4; index += 1) await ask(`twice-${index}`);
  expect(upstream.statusCalls).toHaveLength(9);
  const begun = clock.now();
  const { body } = await broken.gateway.query(QUERY, { batchId: 'tenth-fault' });
  expect(clock.now()).toBe(begun);
  expect(JSON.stringify(body)).toContain('answered 503 without saying why');
  expect(circuitLog(broken.gateway.logLines)).toHaveLength(1);
});

const FAILURE = new UpstreamError('unavailable', 'No.', { requestId: undefined });

/** Circuits of their own; `vehicles` has not answered yet. */
function createOwnCircuits() {
  const clock = new TestClock();
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLog('info', destination);
  const circuits = createCircuits({
    clock,
    telemetry: logEvents(log, destination),
    random: () => 0,
  });
  let batches = 0;
  const end = (outcome: CallOutcome | undefined) => {
    batches += 1;
    circuits.begin({ participantType: 'vehicles', batchId: `b-${batches}` }).end(outcome);
  };
  return {
    clock,
    circuits,
    lines,
    end,
    fail(times: number) {
      for (let index = 0; index < times; index += 1) {
        end({ kind: 'fault', error: FAILURE, fault: 'it fails', connected: true });
      }
    },
  };
}

const undecided: [name: string, outcome: CallOutcome | undefined][] = [
  ['ends in a fault of the gateway', undefined],
  ['finds no connection', { kind: 'inconclusive', error: FAILURE, connected: false }],
];

for (const [name, outcome] of undecided) {
  test(`35: a deciding call that ${name} keeps the circuit open`, () => {
    const { clock, circuits, lines, end, fail } = createOwnCircuits();
    fail(10);
    clock.advance(1_000);
    expect(circuits.availability('vehicles')).toMatchObject({ kind: 'probing' });
    end(outcome);
    expect(circuits.availability('vehicles')).toMatchObject({
      kind: 'held',
      error: { retryAfterMs: 1_000 },
    });
    expect(circuitLog(lines)).toEqual(['circuit open: the upstream fails']);
  });

  test(`35: among faults in a row, a call that ${name} is no success`, () => {
    const { circuits, end, fail } = createOwnCircuits();
    fail(9);
    end(outcome);
    expect(circuits.state('vehicles')).toBe('closed');
    fail(1);
    expect(circuits.state('vehicles')).toBe('open');
  });
}
