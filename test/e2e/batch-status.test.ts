import { expect, test } from 'vitest';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { STATUS_QUERY, startTestGateway } from '../support/test-gateway.ts';

const ALL_FIELDS = `query All($type: String!, $id: ID) {
  batchStatus(participantType: $type, batchId: $id) {
    id participantType batchId status finished totalCount successCount failureCount progress
    data request { uri method queryString body } fetchedAt
  }
}`;

test('a finished batch comes with all its fields', async () => {
  await using gateway = await startTestGateway({ clock: new TestClock() });
  const data = {
    meta: { status: 'SUCCESS', success: 3, failed: 0, total: 3 },
    errors: [],
    success: [
      { refID: 'row-1', id: 'p-1' },
      { refID: 'row-2', id: 'p-2' },
      { refID: 'row-3', id: 'p-3' },
    ],
  };

  expect(await gateway.query(ALL_FIELDS, { type: 'vehicles', id: 'batch-finished' })).toEqual({
    status: 200,
    body: {
      data: {
        batchStatus: {
          id: 'vehicles/batch-finished',
          participantType: 'vehicles',
          batchId: 'batch-finished',
          status: 'SUCCESS',
          finished: true,
          totalCount: 3,
          successCount: 3,
          failureCount: 0,
          progress: 1,
          data,
          request: {
            uri: '/core/api/v2/participants/vehicles/batch/status',
            method: 'GET',
            queryString: 'batchId=batch-finished',
            body: {},
          },
          fetchedAt: '2026-01-31T12:00:00.000Z',
        },
      },
    },
  });
});

test('without a batchId the upstream picks the batch, and the id is the participant type', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });

  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual({
    status: 200,
    body: { data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } },
  });
  expect(upstream.statusCalls.map((call) => call.target)).toEqual([
    '/core/api/v2/participants/vehicles/batch/status',
  ]);
});

test('a running batch grows to its total in 60 s and is then finished', async () => {
  const clock = new TestClock();
  await using gateway = await startTestGateway({ clock });
  const look = () =>
    gateway.query(
      '{ batchStatus(participantType: "drivers", batchId: "batch-running") { status finished progress successCount totalCount } }',
    );
  const answer = (status: string, finished: boolean, progress: number) => ({
    status: 200,
    body: {
      data: {
        batchStatus: {
          status,
          finished,
          progress,
          successCount: progress * 1_200,
          totalCount: 1_200,
        },
      },
    },
  });

  expect(await look()).toEqual(answer('IN_PROGRESS', false, 0));
  clock.advance(30_000);
  expect(await look()).toEqual(answer('IN_PROGRESS', false, 0.5));
  clock.advance(30_000);
  expect(await look()).toEqual(answer('SUCCESS', true, 1));
});

test('finished statuses are compared without case and can be set', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { FINISHED_STATUSES: 'done, Stopped' },
  });
  upstream.onStatus = ({ target }) => ({ body: { data: { status: target.split('batchId=')[1] } } });

  expect(
    await gateway.query(`{
      done: batchStatus(participantType: "vehicles", batchId: "Done") { finished }
      stopped: batchStatus(participantType: "vehicles", batchId: "STOPPED") { finished }
      success: batchStatus(participantType: "vehicles", batchId: "SUCCESS") { finished }
    }`),
  ).toEqual({
    status: 200,
    body: {
      data: { done: { finished: true }, stopped: { finished: true }, success: { finished: false } },
    },
  });
});

test('dataAt takes a part of the data by JSON Pointer', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  const data = { 'a/b': { 'm~n': [10, 20] }, '': 'empty name', list: [{ x: null }] };
  upstream.onStatus = () => ({ body: { data } });

  expect(
    await gateway.query(`{ batchStatus(participantType: "vehicles") {
      whole: dataAt(pointer: "")
      escaped: dataAt(pointer: "/a~1b/m~0n/1")
      emptyName: dataAt(pointer: "/")
      nothing: dataAt(pointer: "/list/7/x")
      leadingZero: dataAt(pointer: "/list/00")
      inherited: dataAt(pointer: "/constructor")
      length: dataAt(pointer: "/list/length")
    } }`),
  ).toEqual({
    status: 200,
    body: {
      data: {
        batchStatus: {
          whole: data,
          escaped: 20,
          emptyName: 'empty name',
          nothing: null,
          leadingZero: null,
          inherited: null,
          length: null,
        },
      },
    },
  });
});

test('the upstream gets the documented request', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'b 1/ü' });

  const [call] = upstream.statusCalls;
  expect(call?.method).toBe('GET');
  expect(call?.target).toBe(
    '/core/api/v2/participants/vehicles/batch/status?batchId=b%201%2F%C3%BC',
  );
  expect(call?.headers).toEqual({
    accept: 'application/json',
    'content-type': 'application/json',
    connection: 'keep-alive',
    host: upstream.url.host,
    'x-coreos-access': 'token-1',
    'x-coreos-request-id': expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/),
    'x-coreos-tid': 'tenant-1',
  });
});

test('a path in PARTICIPANT_SERVICE_URL is kept as a prefix of both endpoints', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { PARTICIPANT_SERVICE_URL: `${upstream.url.origin}/proxy/` },
  });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });

  expect([...upstream.tokenCalls, ...upstream.statusCalls].map((call) => call.target)).toEqual([
    '/proxy/core/api/v1/aaa/auth/client-credentials',
    '/proxy/core/api/v2/participants/vehicles/batch/status',
  ]);
});
