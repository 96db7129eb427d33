import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../support/child-process.ts';
import { countSeries, parseExposition } from '../support/exposition.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import {
  STATUS_QUERY,
  sendBody,
  startTestGateway,
  type TestGateway,
} from '../support/test-gateway.ts';

const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.2';

async function scrape({ metricsUrl }: TestGateway, accept?: string) {
  if (metricsUrl === undefined) throw new Error('there are no metrics');
  const response = await fetch(metricsUrl, accept === undefined ? {} : { headers: { accept } });
  return { type: response.headers.get('content-type'), text: await response.text() };
}

/** The samples of some metrics, without those that are 0. */
async function samplesOf(gateway: TestGateway, ...names: string[]): Promise<object> {
  const metrics = parseExposition((await scrape(gateway)).text);
  const samples = names.flatMap((name) => [
    ...(metrics.get(name)?.samples ?? [[name, Number.NaN]]),
  ]);
  return Object.fromEntries(samples.filter(([, value]) => value !== 0));
}

function answerFrom(url: URL, headers: Record<string, string>, method = 'GET') {
  return new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    const { hostname, port, pathname: path } = url;
    request({ hostname, port, path, headers, method }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode, body }));
    })
      .on('error', reject)
      .end();
  });
}

test('without METRICS_PORT a gateway of a tenant shows no metrics', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  expect(gateway.metricsUrl).toBeUndefined();
  expect((await fetch(new URL('/metrics', gateway.url))).status).toBe(404);
});

test('METRICS_PORT shows metrics and nothing else, and they are nowhere else', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, environment: { METRICS_PORT: '0' } });
  const { metricsUrl = gateway.url } = gateway;
  expect([metricsUrl.hostname, metricsUrl.pathname]).toEqual(['127.0.0.1', '/metrics']);
  expect(metricsUrl.port).not.toBe(gateway.url.port);

  const shown = await fetch(metricsUrl);
  expect([shown.status, shown.headers.get('cache-control')]).toEqual([200, 'no-store']);
  expect(countSeries(parseExposition(await shown.text()))).toBeGreaterThan(100);
  expect(await answerFrom(metricsUrl, {}, 'HEAD')).toEqual({ status: 200, body: '' });
  const nothing = '{"error":"There is nothing here. Metrics are at /metrics."}\n';
  for (const [path, method] of [
    ['/graphql', 'GET'],
    ['/livez', 'GET'],
    ['/', 'GET'],
    ['/metrics', 'POST'],
  ] as const) {
    expect(await answerFrom(new URL(path, metricsUrl), {}, method)).toEqual({
      status: 404,
      body: nothing,
    });
  }
  expect((await fetch(new URL('/metrics', gateway.url))).status).toBe(404);
});

test('with AUTH_MODE not set, metrics are shown under names of their own machine only', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, environment: { METRICS_PORT: '0' } });
  await using sandboxed = await startTestGateway();
  for (const { metricsUrl } of [gateway, sandboxed]) {
    if (metricsUrl === undefined) throw new Error('there are no metrics');
    const statusFor = async (host: string) => (await answerFrom(metricsUrl, { host })).status;
    expect(await statusFor('attacker.example')).toBe(421);
    expect(await statusFor('a b')).toBe(400);
    expect(await statusFor(`localhost:${metricsUrl.port}`)).toBe(200);
  }
});

test('on the sandbox, metrics are at the port of the gateway', async () => {
  await using gateway = await startTestGateway();
  expect(gateway.metricsUrl).toEqual(new URL('/metrics', gateway.url));
  expect(await samplesOf(gateway, 'participant_gateway_build_info')).toEqual({
    [`participant_gateway_build_info{version="0.0.0-test",nodejs_version="${process.versions.node}"}`]: 1,
  });
});

test.each([
  [undefined, 'text/plain; version=0.0.4; charset=utf-8'],
  ['*/*', 'text/plain; version=0.0.4; charset=utf-8'],
  ['text/html', 'text/plain; version=0.0.4; charset=utf-8'],
  [OPEN_METRICS, 'application/openmetrics-text; version=1.0.0; charset=utf-8'],
])('to accept %j the answer is %s', async (accept, type) => {
  await using gateway = await startTestGateway();
  expect((await scrape(gateway, accept)).type).toBe(type);
});

test('OpenMetrics has the request ids of durations as exemplars, and both formats the same names, in any order', async () => {
  await using gateway = await startTestGateway();
  await sendBody(gateway, JSON.stringify({ query: '{ __typename }' }));
  const exemplar =
    /^http_server_request_duration_seconds_bucket\{le="[\d.]+",graphql_operation_type="query"\} 1 # \{request_id="the-same"\} [\d.e-]+ [\d.]+$/m;
  await expect.poll(async () => (await scrape(gateway, OPEN_METRICS)).text).toMatch(exemplar);
  const { text: openMetrics } = await scrape(gateway, OPEN_METRICS);
  expect(openMetrics).toMatch(/\n# EOF\n$/);
  expect(openMetrics).toContain('# TYPE participant_gateway_request_outcomes counter\n');

  const { text } = await scrape(gateway);
  expect(text).not.toContain('the-same');
  expect(text).toContain('# TYPE participant_gateway_request_outcomes_total counter\n');
  const namesIn = (shown: string) => new Set(shown.match(/^[a-z]\w+/gm));
  expect(namesIn(text)).toEqual(namesIn(openMetrics));
});

test('requests are counted by outcome, and those that were refused by reason', async () => {
  await using gateway = await startTestGateway({ environment: { QUERY_MAX_DEPTH: '3' } });
  for (const query of [
    '{ __typename }',
    '{ batchStatus(participantType: "nobody") { id } }',
    `{ a: batchStatus(participantType: "nobody") { id } b: batchStatus(participantType: "/") { id } c: batchStatus(participantType: "nothing") { id } }`,
    '{ a { a { a { a } } } }',
    '{ nothing }',
    'mutation { a }',
  ]) {
    await gateway.query(query);
  }
  const names = [
    'participant_gateway_request_outcomes_total',
    'participant_gateway_requests_refused_total',
  ];
  await expect
    .poll(() => samplesOf(gateway, ...names))
    .toEqual({
      'participant_gateway_request_outcomes_total{code="OK"}': 1,
      'participant_gateway_request_outcomes_total{code="NOT_FOUND"}': 2,
      'participant_gateway_request_outcomes_total{code="BAD_USER_INPUT"}': 3,
      'participant_gateway_request_outcomes_total{code="OPERATION_TOO_COMPLEX"}': 1,
      'participant_gateway_requests_refused_total{reason="BAD_USER_INPUT"}': 2,
      'participant_gateway_requests_refused_total{reason="OPERATION_TOO_COMPLEX"}': 1,
    });
  const durations = await samplesOf(gateway, 'http_server_request_duration_seconds');
  expect(durations).toMatchObject({
    'http_server_request_duration_seconds_count{graphql_operation_type="query"}': 3,
    'http_server_request_duration_seconds_count{graphql_operation_type="none"}': 3,
  });
});

test('statuses are counted by source, calls by what they came to, and circuits, token and caches are told', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: { METRICS_PORT: '0' },
  });
  const ask = (participantType: string, batchId: string) =>
    clock.elapse(gateway.query(STATUS_QUERY, { participantType, batchId }));
  await ask('vehicles', 'b-1');
  await ask('vehicles', 'b-1');
  await ask('vehicles', 'b-1');
  await Promise.all([ask('vehicles', 'b-2'), ask('vehicles', 'b-2')]);
  upstream.onStatus = () => ({ status: 404, body: { error: {}, request: ECHO } });
  await ask('made-up', 'b-1');
  clock.advance(2_000);
  upstream.onStatus = () => ({ status: 503 });
  await ask('vehicles', 'b-1');

  const calls = 'participant_gateway_upstream_calls_total';
  expect(
    await samplesOf(
      gateway,
      'participant_gateway_statuses_total',
      calls,
      'participant_gateway_upstream_retries_total',
      'participant_gateway_circuit_state',
      'participant_gateway_token_renewals_total',
      'participant_gateway_token_failures_total',
      'participant_gateway_cache_lookups_total',
      'participant_gateway_cache_entries',
      'http_client_open_connections',
    ),
  ).toEqual({
    'participant_gateway_statuses_total{source="fetched"}': 2,
    'participant_gateway_statuses_total{source="joined"}': 1,
    'participant_gateway_statuses_total{source="cached"}': 1,
    'participant_gateway_statuses_total{source="stale"}': 1,
    [`${calls}{outcome="ok",participant_type="vehicles"}`]: 2,
    [`${calls}{outcome="refused",participant_type="other"}`]: 1,
    [`${calls}{outcome="transient",participant_type="vehicles"}`]: 2,
    'participant_gateway_upstream_retries_total{participant_type="vehicles"}': 1,
    participant_gateway_token_renewals_total: 1,
    'participant_gateway_cache_lookups_total{cache="statuses",result="hit"}': 1,
    'participant_gateway_cache_lookups_total{cache="statuses",result="miss"}': 5,
    'participant_gateway_cache_lookups_total{cache="responses",result="hit"}': 1,
    'participant_gateway_cache_lookups_total{cache="responses",result="miss"}': 6,
    'participant_gateway_cache_lookups_total{cache="documents",result="hit"}': 4,
    'participant_gateway_cache_lookups_total{cache="documents",result="miss"}': 2,
    'participant_gateway_cache_entries{cache="statuses"}': 2,
    'participant_gateway_cache_entries{cache="responses"}': 1,
    'participant_gateway_cache_entries{cache="documents"}': 1,
    'http_client_open_connections{http_connection_state="idle"}': expect.any(Number),
  });

  for (let batch = 0; batch < 10; batch += 1) await ask('vehicles', `b-${batch}`);
  const [[, remainingSeconds] = []] = Object.entries(
    await samplesOf(gateway, 'participant_gateway_token_remaining_seconds'),
  );
  expect(remainingSeconds).toBeGreaterThan(3_500);
  expect(remainingSeconds).toBeLessThan(3_600);
  expect(await samplesOf(gateway, 'participant_gateway_circuit_state')).toEqual({
    'participant_gateway_circuit_state{circuit="participant_type",participant_type="vehicles"}': 2,
  });
});

test('what is under way is told while it is', async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = () => undefined;
  await using gateway = await startTestGateway({
    upstream,
    environment: { METRICS_PORT: '0', UPSTREAM_MAX_CONNECTIONS: '2' },
  });
  const leave = new AbortController();
  const asked = ['b-1', 'b-2', 'b-3'].map((batchId) =>
    gateway
      .query(STATUS_QUERY, { participantType: 'vehicles', batchId }, leave.signal)
      .catch(() => 'gone'),
  );
  await upstream.statusCallCount(2);
  const names = [
    'http_server_active_requests',
    'http_client_active_requests',
    'participant_gateway_upstream_queue_calls',
  ];
  await expect
    .poll(() => samplesOf(gateway, ...names))
    .toEqual({
      http_server_active_requests: 3,
      http_client_active_requests: 2,
      participant_gateway_upstream_queue_calls: 1,
    });
  expect(await samplesOf(gateway, 'participant_gateway_connections')).toEqual({
    participant_gateway_connections: 3,
  });
  expect(await samplesOf(gateway, 'participant_gateway_saturation_ratio')).toMatchObject({
    'participant_gateway_saturation_ratio{resource="upstream_calls"}': 1,
    'participant_gateway_saturation_ratio{resource="intake_requests"}': 3 / 4_096,
  });
  leave.abort();
  expect(await Promise.all(asked)).toEqual(['gone', 'gone', 'gone']);
  await expect
    .poll(() => samplesOf(gateway, 'participant_gateway_request_outcomes_total', ...names))
    .toEqual({ 'participant_gateway_request_outcomes_total{code="CLIENT_GONE"}': 3 });
});

test('connections beyond MAX_SOCKETS are counted', async () => {
  await using gateway = await startTestGateway({
    environment: { METRICS_PORT: '0', MAX_SOCKETS: '2' },
  });
  const sockets = [1, 2, 3].map(() => connect(Number(gateway.url.port), '127.0.0.1'));
  const name = 'participant_gateway_connections_refused_total';
  await expect.poll(() => samplesOf(gateway, name)).toEqual({ [name]: 1 });
  expect(await samplesOf(gateway, 'participant_gateway_connections')).toEqual({
    participant_gateway_connections: 2,
  });
  for (const socket of sockets) socket.destroy();
});

test('whatever clients make up, there are no more series, and nothing of it is in a label', async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = ({ target }) =>
    target.includes('vehicles')
      ? { body: { data: { status: 'IN_PROGRESS' }, request: ECHO } }
      : { status: 404, body: { error: { code: 'made-up' }, request: ECHO } };
  await using gateway = await startTestGateway({
    upstream,
    environment: { METRICS_PORT: '0', UPSTREAM_TIMEOUT_MS: '30000', REQUEST_DEADLINE_MS: '60000' },
  });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  const floodOf = (count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        fetch(gateway.endpoint, {
          method: index % 3 === 0 ? 'PUT' : 'POST',
          headers: { 'content-type': 'application/json', 'x-request-id': `made-up-${index}` },
          body: JSON.stringify({
            query: `query MadeUp${index}($a: String!) { made_up${index}: batchStatus(participantType: $a) { id } }`,
            variables: { a: `made-up "${index}"|ok` },
            operationName: index % 2 === 0 ? `MadeUp${index}` : `made_up_${index}`,
          }),
        }).then((response) => response.text()),
      ),
    );
  await floodOf(20);
  const before = parseExposition((await scrape(gateway)).text);
  await floodOf(200);
  const { text } = await scrape(gateway);
  expect(countSeries(parseExposition(text))).toBe(countSeries(before));
  expect(text.toLowerCase()).not.toMatch(/made.?up/);
});

test('operations are counted by name where clients can run trusted documents only', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'metrics-'));
  const file = join(folder, 'documents.json');
  const documents = {
    one: 'query Mine { batchStatus(participantType: "vehicles", batchId: "batch-finished") { id } }',
    two: 'query Missing { batchStatus(participantType: "vehicles", batchId: "fault-404") { id } }',
    three: '{ __typename }',
  };
  await writeFile(file, JSON.stringify(documents));
  await using gateway = await startTestGateway({ environment: { TRUSTED_DOCUMENTS: file } });
  for (const body of [
    { documentId: 'one' },
    { documentId: 'one' },
    { documentId: 'two' },
    { documentId: 'three' },
    { documentId: 'one', operationName: 'MadeUp' },
    { documentId: 'MadeUp' },
    { query: 'query MadeUp { __typename }' },
  ]) {
    await sendBody(gateway, JSON.stringify(body));
  }
  await rm(folder, { recursive: true });
  const name = 'participant_gateway_operations_total';
  await expect
    .poll(() => samplesOf(gateway, name))
    .toEqual({
      [`${name}{outcome="ok",graphql_operation_name="Mine"}`]: 2,
      [`${name}{outcome="error",graphql_operation_name="Missing"}`]: 1,
      [`${name}{outcome="ok",graphql_operation_name="anonymous"}`]: 1,
    });
});

test('a METRICS_PORT that is taken is told by its name, and the gateway does not start', async () => {
  await using upstream = await startScriptedUpstream();
  const { port } = upstream.url;
  await using program = runProgram('bin/participant-gateway.js', {
    PORT: '0',
    METRICS_PORT: port,
    LOG_FORMAT: 'json',
  });
  expect(await program.exited).toBe(1);
  expect(program.output()).toBe(
    `Cannot listen on METRICS_HOST 127.0.0.1, METRICS_PORT ${port} (EADDRINUSE): take another.\n`,
  );
});

test('the log says where metrics are, and they tell of the process: its versions, and what it has open', async () => {
  await using program = runProgram('bin/participant-gateway.js', {
    PORT: '0',
    METRICS_PORT: '0',
    LOG_FORMAT: 'json',
  });
  const [, url = ''] = await program.printed(/"metrics":"(http:[^"]+)"/);
  const shown = parseExposition(await (await fetch(url)).text());
  const readingOf = (name: string) => [...(shown.get(name)?.samples.values() ?? [])].at(-1) ?? NaN;
  const { version } = JSON.parse(await readFile('package.json', 'utf8'));
  expect([...(shown.get('participant_gateway_build_info')?.samples ?? [])]).toEqual([
    [
      `participant_gateway_build_info{version="${version}",nodejs_version="${process.versions.node}"}`,
      1,
    ],
  ]);
  expect(readingOf('process_open_fds')).toBeGreaterThan(5);
  expect(readingOf('process_max_fds')).toBeGreaterThan(readingOf('process_open_fds'));
  expect(readingOf('process_memory_usage_bytes')).toBeGreaterThan(20e6);
  expect(readingOf('participant_gateway_heap_limit_bytes')).toBeGreaterThan(100e6);
  expect(readingOf('process_uptime_seconds')).toBeGreaterThan(0);
  expect(readingOf('nodejs_eventloop_utilization_ratio')).toBeLessThanOrEqual(1);
  program.process.kill('SIGTERM');
  expect(await program.exited).toBe(0);
});
