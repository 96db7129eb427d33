import { expect, test } from 'vitest';
import { watchRequests } from '../support/requests-under-way.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  CLIENT_SECRET,
  STATUS_QUERY,
  sendBody,
  startTestGateway,
} from '../support/test-gateway.ts';
import { type CollectedSpan, startTraceCollector } from '../support/trace-collector.ts';

const B1 = { participantType: 'vehicles', batchId: 'b-1' };
const BODY = JSON.stringify({ query: STATUS_QUERY, variables: B1 });
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const PARENT_ID = 'b7ad6b7169203331';
const traceparent = (flags: string) => `00-${TRACE_ID}-${PARENT_ID}-${flags}`;
const UPSTREAM_SPAN = 'GET /core/api/v2/participants/{participantType}/batch/status';
const BATCH = {
  'participant_gateway.participant_type': 'vehicles',
  'participant_gateway.batch_id': 'b-1',
};

/** An upstream, a collector, and a gateway between them, with what tests ask of all three. */
async function startTraced(environment: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const collector = stack.use(await startTraceCollector());
  const upstream = stack.use(await startScriptedUpstream());
  const gateway = await startTestGateway({
    upstream,
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin, ...environment },
  });
  return {
    collector,
    upstream,
    gateway,
    send: (headers: Record<string, string> = {}, body = BODY) => sendBody(gateway, body, headers),
    /** Ends the gateway, which sends what spans there are. */
    async spans(): Promise<CollectedSpan[]> {
      await gateway[Symbol.asyncDispose]();
      return collector.spans;
    },
    requestLines: () =>
      gateway.logLines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request'),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The names of spans below each other. */
function treeOf(spans: readonly CollectedSpan[], parentSpanId?: string): object {
  const children = spans.filter((span) => span.parentSpanId === parentSpanId);
  return Object.fromEntries(children.map((span) => [span.name, treeOf(spans, span.spanId)]));
}

const named = (spans: readonly CollectedSpan[], name: string) =>
  spans.filter((span) => span.name === name);

test('a query is one trace: the request, its execution, the token call and the upstream call, with what each was', async () => {
  await using traced = await startTraced({
    OTEL_SERVICE_NAME: 'gateway of tenant 1',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test%20bed,team=batch',
  });
  const { collector, upstream } = traced;
  // So that it is the query that needs a token.
  upstream.onToken = () => ({ body: { data: { accessToken: 'token-1', expiresIn: 3600 } } });
  await traced.send();
  const spans = await traced.spans();

  const ofQuery = spans.filter(({ traceId }) => traceId === named(spans, 'query')[0]?.traceId);
  const [request, execution, call] = ['POST /graphql', 'query', UPSTREAM_SPAN].map(
    (name) => named(ofQuery, name)[0],
  );
  expect(request).toEqual({
    traceId: expect.stringMatching(/^[\da-f]{32}$/),
    spanId: expect.stringMatching(/^[\da-f]{16}$/),
    parentSpanId: undefined,
    traceState: undefined,
    name: 'POST /graphql',
    kind: 'SERVER',
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/graphql',
      'url.path': '/graphql',
      'url.scheme': 'http',
      'client.address': '127.0.0.1',
      'participant_gateway.request_id': 'the-same',
      'http.response.status_code': 200,
      'graphql.operation.type': 'query',
      'graphql.operation.name': 'Status',
    },
    events: [],
    links: [],
    status: 'UNSET',
    nanoseconds: expect.any(BigInt),
  });
  expect(execution).toMatchObject({
    parentSpanId: request?.spanId,
    kind: 'INTERNAL',
    attributes: { 'graphql.operation.type': 'query', 'graphql.operation.name': 'Status' },
    events: expect.arrayContaining([
      {
        name: 'status',
        attributes: { ...BATCH, 'participant_gateway.status_source': 'fetched' },
      },
    ]),
    links: [],
    status: 'UNSET',
  });
  expect(call).toMatchObject({
    parentSpanId: execution?.spanId,
    kind: 'CLIENT',
    attributes: {
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'server.address': '127.0.0.1',
      'server.port': Number(upstream.url.port),
      'url.template': '/core/api/v2/participants/{participantType}/batch/status',
      'participant_gateway.upstream_request_id':
        upstream.statusCalls[0]?.headers['x-coreos-request-id'],
      'participant_gateway.outcome': 'ok',
      ...BATCH,
    },
    status: 'UNSET',
  });
  expect(named(spans, 'access token')).toMatchObject([
    { kind: 'CLIENT', attributes: { 'participant_gateway.outcome': 'ok' }, status: 'UNSET' },
  ]);
  expect(collector.resources[0]).toEqual({
    'service.name': 'gateway of tenant 1',
    'service.version': '0.0.0-test',
    'deployment.environment.name': 'test bed',
    team: 'batch',
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'participant-gateway',
    'telemetry.sdk.version': expect.any(String),
  });
  expect(collector.messages[0]?.path).toBe('/v1/traces');
  expect(traced.requestLines()).toMatchObject([{ traceId: request?.traceId }]);
});

test('a token call that a request waits for is below its execution, with the wait; one in the background is a trace of its own', async () => {
  await using traced = await startTraced();
  const { upstream } = traced;
  // The token that is asked for at the start is refused: the query brings about the next one.
  upstream.onToken = () => {
    const count = upstream.tokenCalls.length;
    return { body: { data: { accessToken: `token-${count}`, expiresIn: 3600 } } };
  };
  upstream.onStatus = ({ headers }) =>
    headers['x-coreos-access'] === 'token-1'
      ? { status: 401, body: { error: { code: '1', description: 'No.' } } }
      : { body: { data: { status: 'DONE' } } };
  await upstream.tokenCallCount(1);
  await traced.send();
  const spans = await traced.spans();

  const calls = named(spans, UPSTREAM_SPAN);
  expect(calls.map(({ attributes }) => attributes['http.response.status_code'])).toEqual([
    401, 200,
  ]);
  expect(calls.map(({ status }) => status)).toEqual(['ERROR', 'UNSET']);
  expect(treeOf(spans)).toEqual({
    'access token': {},
    'POST /graphql': { query: { [UPSTREAM_SPAN]: {}, 'access token': {} } },
  });
  expect(
    named(spans, 'query')[0]?.events.map(({ name, attributes }) => [name, attributes]),
  ).toEqual([
    [
      'waited',
      {
        ...BATCH,
        'participant_gateway.wait_reason': 'token',
        'participant_gateway.wait_ms': expect.any(Number),
      },
    ],
    ['status', { ...BATCH, 'participant_gateway.status_source': 'fetched' }],
  ]);
});

test("the caller's trace goes on, and with TRACE_UPSTREAM=on to the upstream", async () => {
  await using traced = await startTraced({ TRACE_UPSTREAM: 'on' });
  const { upstream } = traced;
  await traced.send({ traceparent: traceparent('01'), tracestate: 'router=a,other=b' });
  const spans = await traced.spans();

  const [request] = named(spans, 'POST /graphql');
  const [call] = named(spans, UPSTREAM_SPAN);
  expect(request).toMatchObject({
    traceId: TRACE_ID,
    parentSpanId: PARENT_ID,
    traceState: 'router=a,other=b',
  });
  expect(upstream.statusCalls[0]?.headers).toMatchObject({
    traceparent: `00-${TRACE_ID}-${call?.spanId}-01`,
    tracestate: 'router=a,other=b',
  });
  expect(traced.requestLines()).toMatchObject([{ traceId: TRACE_ID }]);
});

test('without TRACE_UPSTREAM the upstream is told of no trace', async () => {
  await using traced = await startTraced();
  await traced.send({ traceparent: traceparent('01'), tracestate: 'router=a' });
  await traced.spans();
  const { headers } = traced.upstream.statusCalls[0] ?? {};
  expect(Object.keys(headers ?? {}).filter((name) => name.startsWith('trace'))).toEqual([]);
});

test('a trace that the caller does not record is not recorded, goes on all the same, and is in the log line', async () => {
  await using traced = await startTraced({ TRACE_UPSTREAM: 'on' });
  await traced.send({ traceparent: traceparent('00') });
  const spans = await traced.spans();
  expect(spans.filter(({ traceId }) => traceId === TRACE_ID)).toEqual([]);
  expect(traced.upstream.statusCalls[0]?.headers['traceparent']).toMatch(
    new RegExp(`^00-${TRACE_ID}-[\\da-f]{16}-00$`),
  );
  expect(traced.requestLines()).toMatchObject([{ traceId: TRACE_ID }]);
});

const malformed: [what: string, header: string][] = [
  ['no header at all', ''],
  ['another text', 'canary'],
  ['capitals', traceparent('01').toUpperCase()],
  ['version ff', traceparent('01').replace(/^00/, 'ff')],
  ['more than version 00 has', `${traceparent('01')}-x`],
  ['a trace id of zeros', traceparent('01').replace(TRACE_ID, '0'.repeat(32))],
  ['a parent id of zeros', traceparent('01').replace(PARENT_ID, '0'.repeat(16))],
  ['a short trace id', traceparent('01').replace(TRACE_ID, TRACE_ID.slice(1))],
  ['two of them', `${traceparent('01')}, ${traceparent('01')}`],
  ['10,000 characters', `${traceparent('01')}${'0'.repeat(10_000)}`],
];

test.each(malformed)(
  'a traceparent that is malformed begins a new trace: %s',
  async (_, header) => {
    await using traced = await startTraced();
    await traced.send({ traceparent: header, tracestate: 'router=a' });
    const [request] = named(await traced.spans(), 'POST /graphql');
    expect(request).toMatchObject({ parentSpanId: undefined, traceState: undefined });
    expect(request?.traceId).not.toBe(TRACE_ID);
  },
);

test('a traceparent of a later version is read as far as it is known', async () => {
  await using traced = await startTraced();
  await traced.send({ traceparent: `cc-${TRACE_ID}-${PARENT_ID}-09-what-comes-later` });
  const [request] = named(await traced.spans(), 'POST /graphql');
  expect(request).toMatchObject({ traceId: TRACE_ID, parentSpanId: PARENT_ID });
});

test('who joins the call of another has a link to who makes it, and no call of its own', async () => {
  await using traced = await startTraced();
  const { upstream } = traced;
  const held = Promise.withResolvers<void>();
  upstream.onStatus = () => held.promise.then(() => ({ body: { data: { status: 'DONE' } } }));
  using underWay = watchRequests(traced.gateway.url);
  const first = traced.send();
  await upstream.statusCallCount(1);
  const second = traced.send({ traceparent: traceparent('01') });
  await underWay.count(2);
  held.resolve();
  await Promise.all([first, second]);
  const spans = await traced.spans();

  const [call] = named(spans, UPSTREAM_SPAN);
  expect(named(spans, UPSTREAM_SPAN)).toHaveLength(1);
  const joiner = spans.find(({ name, traceId }) => name === 'query' && traceId === TRACE_ID);
  expect(joiner?.links).toEqual([
    { traceId: call?.traceId, spanId: call?.parentSpanId, attributes: BATCH },
  ]);
  expect(
    joiner?.events.map(({ attributes }) => attributes['participant_gateway.status_source']),
  ).toEqual(['joined']);
});

test('an answer from the response cache is a request and no execution', async () => {
  await using traced = await startTraced({ STATUS_TTL_MS: '60000' });
  for (let count = 0; count < 3; count += 1) await traced.send();
  const requests = named(await traced.spans(), 'POST /graphql');
  expect(requests.map(({ attributes }) => attributes['participant_gateway.cached'])).toEqual([
    undefined,
    undefined,
    true,
  ]);
});

test('what fails is an error at each span that it is one of', async () => {
  await using traced = await startTraced();
  traced.upstream.onStatus = () => ({ status: 500, body: {} });
  await traced.send();
  await traced.send({}, '{');
  const spans = await traced.spans();
  expect(
    [UPSTREAM_SPAN, 'query', 'POST /graphql'].flatMap((name) =>
      named(spans, name).map(({ attributes, status }) => [
        name,
        attributes['error.type'],
        attributes['http.response.status_code'],
        status,
      ]),
    ),
  ).toEqual([
    [UPSTREAM_SPAN, 'fault', 500, 'ERROR'],
    ['query', 'UPSTREAM_UNAVAILABLE', undefined, 'UNSET'],
    ['POST /graphql', 'UPSTREAM_UNAVAILABLE', 200, 'UNSET'],
    ['POST /graphql', 'BAD_USER_INPUT', 400, 'UNSET'],
  ]);
});

test('65: no secret and no token is in a trace, and no text is longer than 256 characters', async () => {
  await using traced = await startTraced({ TRACE_UPSTREAM: 'on' });
  const { collector, upstream } = traced;
  upstream.onStatus = () => ({
    status: 400,
    body: { error: { description: 'token-1 is no good' } },
  });
  const name = `Q${'q'.repeat(1_000)}`;
  const query = `query ${name} { batchStatus(participantType: "${'v'.repeat(128)}", batchId: "${'b'.repeat(256)}") { id } }`;
  await traced.send({ authorization: 'Bearer canary-token' }, JSON.stringify({ query }));
  const spans = await traced.spans();
  const all = collector.messages.map(({ body }) => body).join('');
  for (const secret of [CLIENT_SECRET, 'token-1', 'canary-token'])
    expect(all).not.toContain(secret);
  expect(named(spans, 'query')[0]?.attributes['graphql.operation.name']).toBe(name.slice(0, 256));
  expect(all.match(/[\w-]{257,}/)).toBeNull();
});

test('parentbased_traceidratio: callers cannot have more than that share recorded, whatever flags and ids they send', async () => {
  await using traced = await startTraced({
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.01',
  });
  const { collector } = traced;
  for (let count = 0; count < 400; count += 1)
    await traced.send({ traceparent: traceparent('01') });
  const recorded = named(await traced.spans(), 'POST /graphql');
  // A hundred at once are let through, then one in a hundred.
  expect(recorded.length).toBeGreaterThanOrEqual(100);
  expect(recorded.length).toBeLessThanOrEqual(104);
  expect(collector.messages.length).toBeGreaterThan(0);
});

test('always_off records nothing, and there is no trace in the log line', async () => {
  await using traced = await startTraced({ OTEL_TRACES_SAMPLER: 'always_off' });
  await traced.send();
  expect(await traced.spans()).toEqual([]);
  expect(traced.collector.messages).toEqual([]);
  expect(traced.requestLines().map((line) => 'traceId' in line)).toEqual([false]);
});

test('the collector gets the headers that are set, and they are in no log entry', async () => {
  await using traced = await startTraced({
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=canary%20key,x-scope=a',
  });
  await traced.send();
  await traced.spans();
  expect(traced.collector.messages[0]?.headers).toMatchObject({
    'api-key': 'canary key',
    'x-scope': 'a',
    'content-type': 'application/json',
  });
  expect(traced.gateway.logLines.join('')).not.toContain('canary');
});

test('a collector that refuses costs no request anything, and is told once, and once more when it is back', async () => {
  await using traced = await startTraced();
  const { collector, gateway } = traced;
  collector.answer = 503;
  const told = () =>
    gateway.logLines
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => /^traces /.test(msg))
      .map(({ level, msg, reason }) => ({ level, msg, reason }));
  const failed = {
    level: 'warn',
    msg: 'traces cannot be sent to the collector',
    reason: 'the collector answered 503',
  };
  for (const messages of [1, 2]) {
    expect(await traced.send()).toMatchObject({ status: 200 });
    await expect.poll(() => collector.messages.length, { timeout: 10_000 }).toBe(messages);
  }
  await expect.poll(told).toEqual([failed]);
  collector.answer = 200;
  expect(await traced.send()).toMatchObject({ status: 200 });
  await traced.spans();
  expect(told()).toEqual([
    failed,
    { level: 'info', msg: 'traces are sent to the collector again', reason: undefined },
  ]);
});

test('a collector that hangs holds up neither requests nor the end', async () => {
  await using traced = await startTraced();
  traced.collector.answer = undefined;
  expect(await traced.send()).toMatchObject({ status: 200 });
  const begunAt = performance.now();
  await traced.gateway[Symbol.asyncDispose]();
  expect(performance.now() - begunAt).toBeLessThan(3_000);
  expect(traced.collector.messages).toHaveLength(1);
});
