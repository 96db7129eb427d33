import { request } from 'node:http';
import { expect, test } from 'vitest';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { STATUS_QUERY, startTestGateway, type TestGateway } from '../support/test-gateway.ts';

async function get(gateway: TestGateway, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(new URL(path, gateway.url), { headers, redirect: 'manual' });
  const text = await response.text();
  return { status: response.status, type: response.headers.get('content-type'), text, response };
}

async function probe(gateway: TestGateway, path: string) {
  const { status, text } = await get(gateway, path);
  return { status, body: JSON.parse(text) };
}

test('/livez answers while the process lives', async () => {
  await using gateway = await startTestGateway();
  expect(await probe(gateway, '/livez')).toEqual({ status: 200, body: { status: 'alive' } });
});

test('/readyz is 503 until there is a first token, names what is missing, and asks for it', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  const issue = upstream.onToken;
  upstream.onToken = () => ({ status: 503 });
  await using gateway = await startTestGateway({ upstream, clock });
  await upstream.tokenCallCount(1);
  const notReady = {
    status: 503,
    body: { status: 'not ready', notReady: { token: 'no access token yet' }, degraded: {} },
  };
  expect(await probe(gateway, '/readyz')).toEqual(notReady);

  await expect.poll(() => gateway.logLines.join('')).toContain('no access token');
  upstream.onToken = issue;
  clock.advance(1_000);
  expect(await probe(gateway, '/readyz')).toEqual(notReady);
  await upstream.tokenCallCount(2);
  await expect
    .poll(() => probe(gateway, '/readyz'))
    .toEqual({ status: 200, body: { status: 'ready', notReady: {}, degraded: {} } });
});

test('/readyz stays 200 when the token endpoint fails later: callers are told by their errors', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  upstream.onToken = () => ({ status: 503 });
  clock.advance(3_600_000);
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  expect(await probe(gateway, '/readyz')).toEqual({
    status: 200,
    body: { status: 'ready', notReady: {}, degraded: {} },
  });
});

test('61: what has not finished 9 s after the signal is cut off', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  const gateway = await startTestGateway({
    upstream,
    clock,
    environment: { UPSTREAM_TIMEOUT_MS: '600000', REQUEST_DEADLINE_MS: '600000' },
  });
  upstream.onStatus = () => undefined;
  const hanging = gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  await upstream.statusCallCount(1);
  const closed = gateway[Symbol.asyncDispose]();
  clock.advance(8_999);
  expect(gateway.logLines.join('')).not.toContain('cut off');
  clock.advance(1);

  await expect(hanging).rejects.toThrow('fetch failed');
  await closed;
  expect(gateway.logLines.join('')).toContain('requests cut off: they did not finish in time');
});

test('a path that does not exist says where things are', async () => {
  await using gateway = await startTestGateway();
  expect(await probe(gateway, '/graphq')).toEqual({
    status: 404,
    body: {
      error: 'There is nothing here. GraphQL is at /graphql, probes are at /livez and /readyz.',
    },
  });
});

test('a malformed Host header is 400', async () => {
  await using gateway = await startTestGateway();
  const status = await new Promise((resolve, reject) => {
    const headers = { host: '[', accept: 'application/json' };
    request(gateway.endpoint, { headers }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end();
  });
  expect(status).toBe(400);
});

test('a browser at / is sent to GraphiQL', async () => {
  await using gateway = await startTestGateway();
  const { status, response } = await get(gateway, '/');
  expect([status, response.headers.get('location')]).toEqual([302, '/graphql']);
});

test('GraphiQL is a page whose every file comes from the gateway', async () => {
  await using gateway = await startTestGateway();
  const page = await get(gateway, '/graphql', { accept: 'text/html' });
  expect([page.status, page.type]).toEqual([200, 'text/html; charset=utf-8']);
  const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
  expect(links).toEqual([
    'data:,',
    '/graphiql/graphiql.css',
    '/graphiql/graphiql.js',
    '/graphiql/start.js',
  ]);
  expect(page.text).not.toMatch(/https?:\/\//);

  const files = [
    ...links.slice(1),
    ...['editorWorkerService', 'json', 'graphql'].map((label) => `/graphiql/worker-${label}.js`),
  ];
  const served = await Promise.all(files.map((file) => get(gateway, String(file))));
  expect(served.map(({ status, type }) => [status, type])).toEqual(
    files.map((file) => [
      200,
      file?.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8',
    ]),
  );
  expect(served.every(({ text }) => text.length > 100)).toBe(true);
});

test('GraphiQL opens with five tabs: a running batch, the same followed, several batches, an error, an explanation', async () => {
  await using gateway = await startTestGateway();
  const { text } = await get(gateway, '/graphql', { accept: 'text/html' });
  const [, json = ''] =
    /<script id="options" type="application\/json">(.*?)<\/script>/s.exec(text) ?? [];
  expect(JSON.parse(json)).toMatchObject({
    endpoint: '/graphql',
    method: 'POST',
    defaultTabs: [
      { query: expect.stringContaining('query RunningBatch') },
      { query: expect.stringContaining('subscription FollowBatches') },
      { query: expect.stringContaining('query SeveralBatches') },
      { query: expect.stringContaining('query Fault') },
      {
        query: expect.stringContaining('query Explain'),
        headers: '{\n  "x-explain": "1"\n}',
      },
    ],
  });
});

test("GraphiQL's files are not sent again when they did not change", async () => {
  await using gateway = await startTestGateway();
  const first = await get(gateway, '/graphiql/start.js');
  const etag = first.response.headers.get('etag') ?? '';
  const second = await get(gateway, '/graphiql/start.js', { 'if-none-match': etag });
  expect([second.status, second.text]).toEqual([304, '']);
});

test('GRAPHIQL=off serves neither the page nor its files', async () => {
  await using gateway = await startTestGateway({ environment: { GRAPHIQL: 'off' } });
  const answers = await Promise.all([
    get(gateway, '/graphql', { accept: 'text/html' }),
    get(gateway, '/graphiql/graphiql.js'),
    get(gateway, '/'),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([403, 404, 404]);
});
