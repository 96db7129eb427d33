import { expect, test } from 'vitest';
import type { CircuitName } from '../../src/core/telemetry.ts';
import { createCircuits } from '../../src/upstream/circuits.ts';
import { UpstreamError } from '../../src/upstream/errors.ts';
import type { CallOutcome } from '../../src/upstream/outcome.ts';
import { TestClock } from '../support/test-clock.ts';

const error = new UpstreamError('unavailable', 'No.', { requestId: undefined });
const OK: CallOutcome = {
  kind: 'ok',
  answer: {
    envelope: {
      data: {},
      request: { uri: null, method: null, queryString: null, body: null },
      size: 2,
      jsonBytes: 2,
      text: undefined,
    },
    requestId: 'u',
    fetchedAt: new Date(0),
    size: 2,
  },
};
const FAULT: CallOutcome = { kind: 'fault', error, fault: 'status 500', connected: true };
const UNREACHED: CallOutcome = { kind: 'transient', error, fault: 'refused', connected: false };
const REFUSED: CallOutcome = { kind: 'refused', error };
const FOREIGN: CallOutcome = { kind: 'foreign', error };

/** Circuits on a clock that stands still, with their events. */
function createTested() {
  const clock = new TestClock();
  const events: object[] = [];
  const note = (what: string) => (event: CircuitName) => void events.push({ what, ...event });
  const circuits = createCircuits({
    clock,
    random: () => 0,
    telemetry: { circuitOpened: note('opened'), circuitClosed: note('closed') },
  });
  let batches = 0;
  const call = async (participantType: string, outcome: CallOutcome, batchId = `b-${++batches}`) =>
    circuits.begin({ participantType, batchId }).end(outcome);
  return {
    clock,
    circuits,
    events,
    call,
    /** Ten faults of different batches. */
    async open(participantType: string) {
      for (let index = 0; index < 10; index += 1) await call(participantType, FAULT);
    },
  };
}

test('81: a circuit goes by faults of five different batches, of any number that one has', async () => {
  const { circuits, call, events } = createTested();
  await call('drivers', OK);
  for (let index = 0; index < 200; index += 1) await call('drivers', FAULT, `b-${index % 4}`);
  expect(circuits.state('drivers')).toBe('closed');
  await call('drivers', FAULT, 'another');
  expect(circuits.state('drivers')).toBe('open');
  expect(events).toEqual([
    {
      what: 'opened',
      circuit: 'participant type',
      participantType: 'drivers',
      fault: 'status 500',
    },
  ]);
});

test('81: more than half of the last 50 calls open a circuit, half of them do not, and refusals are not counted', async () => {
  const { circuits, call } = createTested();
  for (let index = 0; index < 200; index += 1) {
    await call('drivers', index % 2 === 0 ? OK : FAULT);
    await call('drivers', REFUSED);
  }
  expect(circuits.state('drivers')).toBe('closed');
  await call('drivers', FAULT);
  expect(circuits.state('drivers')).toBe('open');
});

test('81: types that have not answered yet share a circuit, and a type that has does not', async () => {
  const { circuits, call, open, clock, events } = createTested();
  await call('vehicles', OK);
  for (let index = 0; index < 10; index += 1) await call(`made-up-${index}`, FAULT);
  expect(['made-up-1', 'other', 'vehicles'].map((type) => circuits.state(type))).toEqual([
    ...['open', 'open', 'closed'],
  ]);
  expect(circuits.problem()).toBe(
    'the Participant Service fails for new participant types; the circuit is open',
  );
  expect(circuits.availability('other')).toMatchObject({
    kind: 'held',
    error: {
      message:
        'The Participant Service fails for participant types that it has not answered yet: the gateway waits a moment before it asks again.',
      retryAfterMs: 1_000,
    },
  });
  await open('vehicles');
  clock.advance(1_000);
  // Its answer closes the shared circuit, and none of a type that has one of its own.
  await call('other', OK);
  expect(['made-up-1', 'other', 'vehicles'].map((type) => circuits.state(type))).toEqual([
    ...['closed', 'closed', 'open'],
  ]);
  expect(events).toEqual([
    { what: 'opened', circuit: 'new participant types', fault: 'status 500' },
    {
      what: 'opened',
      circuit: 'participant type',
      participantType: 'vehicles',
      fault: 'status 500',
    },
    { what: 'closed', circuit: 'new participant types', openMs: 1_000 },
  ]);
});

for (const [name, outcome] of [
  ['a refusal', REFUSED],
  ['an answer to another request', FOREIGN],
] as const) {
  test(`81: ${name} does not close a circuit, nor let others wait; five batches in a row do`, async () => {
    const { circuits, call, open, clock } = createTested();
    await call('drivers', OK);
    await open('drivers');
    clock.advance(1_000);
    for (const batchId of ['a', 'b', 'b', 'c', 'd', 'a', 'd']) {
      expect(circuits.availability('drivers').kind).toBe('probing');
      await call('drivers', outcome, batchId);
    }
    expect(circuits.state('drivers')).toBe('open');
    // A fault in between, and they count anew.
    await call('drivers', FAULT, 'f');
    expect(circuits.availability('drivers')).toMatchObject({ error: { retryAfterMs: 1_000 } });
    clock.advance(1_000);
    for (const batchId of ['g', 'h', 'i', 'j']) await call('drivers', outcome, batchId);
    expect(circuits.state('drivers')).toBe('open');
    await call('drivers', outcome, 'e');
    expect(circuits.state('drivers')).toBe('closed');
  });
}

test('81: where no connection can be had, one batch opens the circuit over all, and whatever was sent closes it', async () => {
  for (const outcome of [
    OK,
    REFUSED,
    FOREIGN,
    FAULT,
    { kind: 'inconclusive', error, connected: true } as const,
  ]) {
    const { circuits, call, clock, events } = createTested();
    await call('drivers', OK);
    await call('vehicles', OK);
    for (let index = 0; index < 10; index += 1) await call('drivers', UNREACHED, 'the-same');
    expect(['drivers', 'vehicles', 'other'].map((type) => circuits.state(type))).toEqual([
      ...['open', 'open', 'open'],
    ]);
    expect(circuits.problem()).toBe('the Participant Service fails; the circuit is open');
    clock.advance(1_000);
    await call('vehicles', { kind: 'inconclusive', error, connected: false });
    clock.advance(1_000);
    await call('vehicles', UNREACHED);
    expect(circuits.state('drivers')).toBe('open');
    clock.advance(1_000);
    await call('vehicles', outcome);
    expect(circuits.state('drivers')).toBe('closed');
    expect(events).toEqual([
      { what: 'opened', circuit: 'service', fault: 'refused' },
      { what: 'closed', circuit: 'service', openMs: 3_000 },
    ]);
  }
});

test('81: a call that finds no connection tells nothing of its type, and keeps the circuit of the type open', async () => {
  const { circuits, call, open, clock, events } = createTested();
  await call('drivers', OK);
  for (let index = 0; index < 9; index += 1) await call('drivers', FAULT);
  await call('drivers', UNREACHED);
  expect(circuits.state('drivers')).toBe('closed');
  await call('drivers', FAULT);
  expect(circuits.state('drivers')).toBe('open');
  clock.advance(1_000);
  await call('drivers', UNREACHED);
  expect(circuits.availability('drivers')).toMatchObject({ error: { retryAfterMs: 1_000 } });

  await call('vehicles', OK);
  await open('vehicles');
  for (let index = 0; index < 10; index += 1) await call('operators', UNREACHED);
  expect(circuits.problem()).toBe('the Participant Service fails; the circuit is open');
  clock.advance(1_000);
  expect(circuits.availability('vehicles').kind).toBe('probing');
  events.length = 0;
  // The one call that goes out decides for both.
  await call('vehicles', OK);
  expect(events).toEqual([
    { what: 'closed', circuit: 'participant type', participantType: 'vehicles', openMs: 1_000 },
    { what: 'closed', circuit: 'service', openMs: 1_000 },
  ]);
  expect(circuits.problem()).toBe('the Participant Service fails for drivers; the circuit is open');
});

test('81: of two circuits that are open, the error names the one that holds the call', async () => {
  const { circuits, call, clock } = createTested();
  await call('vehicles', OK);
  const before = Array.from({ length: 10 }, (_, index) =>
    circuits.begin({ participantType: 'vehicles', batchId: `b-${index}` }),
  );
  for (let index = 0; index < 10; index += 1) await call('drivers', UNREACHED);
  clock.advance(500);
  for (const begun of before) begun.end(FAULT);
  expect(circuits.availability('vehicles')).toMatchObject({
    kind: 'held',
    error: { message: expect.stringContaining('fails: '), retryAfterMs: 1_000 },
  });
  clock.advance(500);
  expect(circuits.availability('vehicles')).toMatchObject({
    kind: 'held',
    error: {
      message: expect.stringContaining('fails for this participant type: '),
      retryAfterMs: 500,
    },
  });
  expect(circuits.availability('drivers').kind).toBe('probing');
});

test('81: 1,000 types have circuits of their own; who has answered longest ago goes, but none that is open', async () => {
  const { circuits, call, open } = createTested();
  for (let index = 0; index < 1_000; index += 1) await call(`t-${index}`, OK);
  await open('t-0');
  await call('t-1', OK);
  await call('one-more', OK);
  await open('new');
  // With the others that have not answered yet, of which enough have failed.
  expect(circuits.state('t-2')).toBe('open');
  expect(['t-1', 't-3', 't-999', 'one-more'].map((type) => circuits.state(type))).toEqual([
    ...['closed', 'closed', 'closed', 'closed'],
  ]);
  expect(circuits.problem()).toBe(
    'the Participant Service fails for 2 participant types (new participant types, t-0); their circuits are open',
  );
});

test('81: where the circuits of 1,000 types are open, a new type stays with the others', async () => {
  const { circuits, call, open, clock } = createTested();
  for (let index = 0; index < 1_000; index += 1) {
    await call(`t-${index}`, OK);
    await open(`t-${index}`);
  }
  await call('new', OK);
  await open('other');
  expect(circuits.state('new')).toBe('open');
  expect(circuits.problem()).toBe(
    'the Participant Service fails for 1001 participant types (new participant types, t-0, t-1, …); their circuits are open',
  );
  clock.advance(1_000);
  await call('t-7', OK);
  await call('new', OK);
  await open('other');
  expect(circuits.state('new')).toBe('closed');
});

test('81: a retry takes from the budget of its type and from the one over all', async () => {
  const { circuits, call, clock } = createTested();
  const failure = { retryAfterMs: undefined, tookMs: 0 };
  const retries = (participantType: string, wanted: number) =>
    Array.from({ length: wanted }, () =>
      circuits.retryDelayMs(participantType, failure, 5_000),
    ).filter((delayMs) => delayMs !== undefined).length;
  for (const participantType of ['drivers', 'vehicles', 'operators']) {
    await call(participantType, OK);
  }
  for (let index = 0; index < 60; index += 1) circuits.countCall('vehicles');
  // A tenth of all calls is 6, of which no type can take all; 3 is the least that each has.
  expect(['drivers', 'operators', 'vehicles'].map((type) => retries(type, 10))).toEqual([3, 3, 0]);
  clock.advance(10_000);
  for (let index = 0; index < 100; index += 1) circuits.countCall('vehicles');
  expect(['drivers', 'made-up', 'vehicles'].map((type) => retries(type, 20))).toEqual([3, 3, 4]);
});
