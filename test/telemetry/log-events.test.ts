import { expect, test } from 'vitest';
import { NOTHING_LOADED } from '../../src/core/answer.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { logEvents } from '../../src/telemetry/log-events.ts';

type RequestEvent = Parameters<NonNullable<ReturnType<typeof logEvents>['request']>>[0];

const ANSWER = {
  ...NOTHING_LOADED,
  operationName: 'Status',
  operationType: 'query',
  errorCodes: [],
  cached: false,
} as const;
const EVENT: RequestEvent = {
  requestId: 'a-request-1',
  method: 'POST',
  address: '192.0.2.1',
  status: 200,
  subject: undefined,
  refusal: undefined,
  durationMs: 12.3456,
  answer: { ...ANSWER, upstreamCalls: 1 },
};

/** The line of an event, its time put in the place of a fixed one. */
function lineOf(event: RequestEvent): string {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  logEvents(createLog('info', destination), destination).request?.(event);
  expect(lines).toHaveLength(1);
  return String(lines[0]).replace(
    /"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/,
    '"time":"then"',
  );
}

test.each<[string, RequestEvent, string]>([
  [
    'an ordinary request',
    EVENT,
    '"method":"POST","address":"192.0.2.1","operationName":"Status","status":200,"codes":[],"upstreamCalls":1,"durationMs":12.3',
  ],
  [
    'one that is answered from the response cache, without a name',
    { ...EVENT, durationMs: 2, answer: { ...ANSWER, operationName: null, cached: true } },
    '"method":"POST","address":"192.0.2.1","cached":true,"operationName":null,"status":200,"codes":[],"upstreamCalls":0,"durationMs":2',
  ],
  [
    'errors, to a client that is gone',
    { ...EVENT, status: undefined, answer: { ...ANSWER, errorCodes: ['NOT_FOUND', 'FORBIDDEN'] } },
    '"method":"POST","address":"192.0.2.1","operationName":"Status","status":"client gone","codes":["NOT_FOUND","FORBIDDEN"],"upstreamCalls":0,"durationMs":12.3',
  ],
])('the log line of %s has its fields in their order', (_, event, fields) => {
  expect(lineOf(event)).toBe(
    `{"level":"info","time":"then","requestId":"a-request-1",${fields},"msg":"request"}\n`,
  );
});

test('texts of the caller, the issuer and the upstream are escaped', () => {
  const line = lineOf({
    ...EVENT,
    subject: 'a "quoted"\nname',
    refusal: 'why: "\u2028"',
    answer: {
      ...ANSWER,
      upstreamRequestIds: ['an id "of" the upstream'],
      staleStatuses: 1,
      staleBecause: [
        { code: 'UPSTREAM_UNAVAILABLE', upstreamStatus: 503, upstreamRequestId: undefined },
      ],
    },
  });
  expect(line.match(/\n/g)).toHaveLength(1);
  expect(JSON.parse(line)).toEqual({
    level: 'info',
    time: 'then',
    requestId: 'a-request-1',
    sub: 'a "quoted"\nname',
    method: 'POST',
    address: '192.0.2.1',
    operationName: 'Status',
    status: 200,
    codes: [],
    refusal: 'why: "\u2028"',
    upstreamCalls: 0,
    upstreamRequestIds: ['an id "of" the upstream'],
    staleStatuses: 1,
    staleBecause: [{ code: 'UPSTREAM_UNAVAILABLE', upstreamStatus: 503 }],
    durationMs: 12.3,
    msg: 'request',
  });
});

test('a line that is written by hand is the one that pino would write', () => {
  const traced: RequestEvent = {
    ...EVENT,
    trace: { id: '0af7651916cd43dd8448eb211c80319c', execute: () => undefined },
    answer: { ...ANSWER, upstreamCalls: 2, upstreamRequestIds: ['one-1', 'two_2'] },
  };
  for (const event of [EVENT, traced]) {
    const rare = lineOf({ ...event, subject: 'x' });
    expect(rare.replace('"sub":"x",', '')).toBe(lineOf(event));
  }
  expect(lineOf(traced)).toContain(
    '"traceId":"0af7651916cd43dd8448eb211c80319c","method":"POST","address":"192.0.2.1"',
  );
});
