import { expect, test } from 'vitest';
import { createGateway } from '../../src/app.ts';
import { parseSettings } from '../../src/config/load.ts';
import type { Audit, AuditRecord } from '../../src/core/audit.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { openStream } from '../support/event-stream.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  environmentFor,
  STATUS_QUERY,
  sendBody,
  startTestGateway,
} from '../support/test-gateway.ts';

const bodyFor = (variables: object) => JSON.stringify({ query: STATUS_QUERY, variables });
const B1 = { participantType: 'vehicles', batchId: 'b-1' };

function auditLines({ logLines }: { logLines: string[] }) {
  return logLines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'audit');
}

test('with AUDIT=on each answer has a line with who read which batches, whatever the log level', async () => {
  const sandbox = await startSandbox({ clock: systemClock, port: 0 });
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      AUDIT: 'on',
      LOG_LEVEL: 'silent',
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: sandbox.url.origin,
      AUTH_AUDIENCE: sandbox.issuer.audience,
    },
  });
  upstream.onStatus = ({ target }) =>
    target.includes('gone') ? { status: 404, body: {} } : { body: { data: { status: 'DONE' } } };
  const token = await sandbox.issuer.issueToken({ sub: 'a "quoted" one' });
  const batchId = 'b "1"\\ é';
  const query = `query Two { a: batchStatus(participantType: "vehicles", batchId: ${JSON.stringify(batchId)}) { id } b: batchStatus(participantType: "drivers") { id } gone: batchStatus(participantType: "drivers", batchId: "gone") { id } }`;
  await sendBody(gateway, JSON.stringify({ query }), { authorization: `Bearer ${token}` });

  expect(gateway.logLines).toHaveLength(1);
  expect(auditLines(gateway)).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      requestId: 'the-same',
      sub: 'a "quoted" one',
      address: '127.0.0.1',
      operationName: 'Two',
      // What could not be read is not among them.
      batches: [
        { participantType: 'vehicles', batchId },
        { participantType: 'drivers', batchId: null },
      ],
      msg: 'audit',
    },
  ]);
  await sandbox.close();
});

test('an answer from the cache is read, too; one without a status is not', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { AUDIT: 'on', STATUS_TTL_MS: '60000' },
  });
  for (let count = 0; count < 4; count += 1) await sendBody(gateway, bodyFor(B1));
  await sendBody(gateway, JSON.stringify({ query: '{ __typename }' }));
  await sendBody(gateway, '{');
  expect(auditLines(gateway).map(({ batches }) => batches)).toEqual([[B1], [B1], [B1], [B1]]);
  await expect
    .poll(() => gateway.logLines.filter((line) => line.includes('"cached":true')).length)
    .toBeGreaterThan(0);
});

test('without AUDIT there is no such line', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  await sendBody(gateway, bodyFor(B1));
  expect(auditLines(gateway)).toEqual([]);
});

test('a query that is answered as events has one, and of a stream each batch once', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, environment: { AUDIT: 'on' } });
  upstream.onStatus = () => ({ body: { data: { status: 'SUCCESS' } } });
  await using query = await openStream(gateway, { query: STATUS_QUERY, variables: B1 });
  await query.rest();
  await using updates = await openStream(gateway, {
    query:
      'subscription Both { batchStatusUpdates(batches: [{participantType: "vehicles", batchId: "b-1"}, {participantType: "drivers"}]) { batchStatus { id } } }',
  });
  await updates.rest();
  expect(auditLines(gateway).map(({ operationName, batches }) => [operationName, batches])).toEqual(
    [
      ['Status', [B1]],
      ['Both', [B1]],
      ['Both', [{ participantType: 'drivers', batchId: null }]],
    ],
  );
});

test('what a stream says of a batch that cannot be read, or may not, is no status that was read', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { AUDIT: 'on', PARTICIPANT_TYPES: 'vehicles' },
  });
  upstream.onStatus = ({ target }) =>
    target.includes('gone')
      ? { status: 404, body: {} }
      : { body: { data: { status: 'SUCCESS' }, request: ECHO } };
  await using updates = await openStream(gateway, {
    query:
      'subscription { batchStatusUpdates(batches: [{participantType: "vehicles", batchId: "b-1"}, {participantType: "vehicles", batchId: "gone"}, {participantType: "drivers", batchId: "b-1"}]) { batchStatus { id dataAt(pointer: "no-pointer") } } }',
  });
  const events = await updates.rest();
  expect(events.match(/"code":"\w+"/g)?.toSorted()).toEqual([
    '"code":"BAD_USER_INPUT"',
    '"code":"BAD_USER_INPUT"',
    '"code":"NOT_FOUND"',
  ]);
  // One of its fields fails; the rest of it is read.
  expect(auditLines(gateway).map(({ batches }) => batches)).toEqual([[B1]]);
});

/** A gateway whose audit is the test's, and can fail. */
async function startAudited() {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startScriptedUpstream());
  const records: AuditRecord[] = [];
  const state = { works: true };
  const audit: Audit = {
    record(record) {
      if (state.works) records.push(record);
      return state.works;
    },
  };
  const settings = parseSettings(
    { ...environmentFor(upstream.url), PORT: '0', STATUS_TTL_MS: '60000' },
    () => Buffer.of(),
  );
  const gateway = await createGateway({ settings, clock: systemClock, telemetry: {}, audit });
  stack.defer(() => gateway.close(0));
  const endpoint = new URL('/graphql', await gateway.listen());
  return { upstream, records, state, endpoint, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const UNAUDITED = {
  message:
    'What is read here is audited, and the audit cannot be written now: try again in a moment.',
  extensions: {
    code: 'OVERLOADED',
    retryable: true,
    retryAfterMs: 1_000,
    requestId: 'the-same',
  },
};

test('what cannot be recorded is refused, 503: fetched, cached, as events; and is answered again when it can be', async () => {
  await using audited = await startAudited();
  const { state, records } = audited;
  const send = async () => {
    const { status, body } = await sendBody(audited, bodyFor(B1));
    return { status, body: JSON.parse(body) };
  };
  const refusal = { status: 503, body: { errors: [UNAUDITED] } };
  const answer = {
    status: 200,
    body: { data: { batchStatus: { id: 'vehicles/b-1', status: 'IN_PROGRESS' } } },
  };
  state.works = false;
  expect(await send()).toEqual(refusal);
  state.works = true;
  for (let count = 0; count < 3; count += 1) expect(await send()).toEqual(answer);
  state.works = false;
  expect(await send()).toEqual(refusal);
  expect(await sendBody(audited, bodyFor(B1), { accept: 'text/event-stream' })).toMatchObject({
    status: 503,
  });
  // Nothing is read there.
  expect(await sendBody(audited, JSON.stringify({ query: '{ __typename }' }))).toMatchObject({
    status: 200,
  });
  state.works = true;
  expect(await send()).toEqual(answer);
  expect(records).toHaveLength(4);
});

test('a stream ends with the first event that cannot be recorded', async () => {
  await using audited = await startAudited();
  audited.state.works = false;
  await using updates = await openStream(audited, {
    query:
      'subscription { batchStatusUpdates(batches: [{participantType: "vehicles", batchId: "b-1"}]) { batchStatus { id } } }',
  });
  const events = await updates.rest();
  expect(events).toContain('the audit cannot be written now');
  expect(events).not.toContain('vehicles/b-1');
});
