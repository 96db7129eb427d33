import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStream } from '../support/event-stream.ts';
import { TestClock } from '../support/test-clock.ts';
import {
  askAs,
  startTenantsGateway,
  startTestTenant,
  type TenantsGateway,
  type TestTenant,
} from '../support/test-tenants.ts';

const FOLLOW =
  'subscription { batchStatusUpdates(batches: [{ participantType: "vehicles" }]) { batchStatus { status } } }';

let acme: TestTenant;
let globex: TestTenant;
let initech: TestTenant;

beforeAll(async () => {
  acme = await startTestTenant('acme');
  globex = await startTestTenant('globex');
  initech = await startTestTenant('initech');
});
afterAll(async () => {
  for (const tenant of [acme, globex, initech]) await tenant[Symbol.asyncDispose]();
});

function bearer(token: string) {
  return { authorization: `Bearer ${token}` };
}

const changesOf = ({ logLines }: TenantsGateway) =>
  logLines
    .map((line) => JSON.parse(line))
    .filter(({ msg }) => msg === 'a tenant was changed')
    .map(({ tenant }) => tenant);

test.each([
  ['to the one before it', { acme: 'two.example', globex: 'three.example' }],
  ['to the one behind it', { acme: 'three.example', globex: 'one.example' }],
  ['both ways', { acme: 'two.example', globex: 'one.example' }],
])('a Host goes from one tenant to another %s, and means that one from then on', async (_, to) => {
  const [first, second] = [
    { ...acme, settings: { ...acme.settings, TENANT_HOSTS: 'one.example' } },
    { ...globex, settings: { ...globex.settings, TENANT_HOSTS: 'two.example' } },
  ];
  await using gateway = await startTenantsGateway([first, second], {
    environment: { TENANT_CLAIM: '' },
  });
  await Promise.all([
    gateway.write('acme', { ...acme.settings, TENANT_HOSTS: to.acme }),
    gateway.write('globex', { ...globex.settings, TENANT_HOSTS: to.globex }),
  ]);
  await expect.poll(() => changesOf(gateway).toSorted()).toEqual(['acme', 'globex']);
  for (const tenant of [acme, globex]) {
    const headers = bearer(await tenant.issueToken());
    const host = tenant === acme ? to.acme : to.globex;
    expect((await askAs(gateway, { ...headers, host })).body).toEqual({
      data: { batchStatus: { id: 'vehicles/b-1', status: tenant.name } },
    });
  }
});

test('no more tenants than MAX_ACTIVE_TENANTS are served, however many are asked for at once', async () => {
  await using gateway = await startTenantsGateway([acme, globex, initech], {
    environment: { MAX_ACTIVE_TENANTS: '1', METRICS_PORT: '0' },
  });
  const active = async () => {
    const text = await (await fetch(gateway.metricsUrl ?? '')).text();
    return /^participant_gateway_tenants\{state="active"\} (\d+)$/m.exec(text)?.[1];
  };
  const tokens = await Promise.all([acme, globex, initech].map((tenant) => tenant.issueToken()));
  const body = JSON.stringify({ query: '{ batchStatus(participantType: "vehicles") { status } }' });
  const requests = tokens.map(
    (token, index) =>
      `POST /graphql HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer ${token}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n` +
      `connection: ${index === 2 ? 'close' : 'keep-alive'}\r\n\r\n${body}`,
  );
  // Pipelined: all are read at once.
  const socket = connect(Number(gateway.url.port), gateway.url.hostname);
  socket.write(requests.join(''));
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  expect(text.match(/"status":"\w+"/g)).toEqual(
    ['acme', 'globex', 'initech'].map((name) => `"status":"${name}"`),
  );
  expect(await active()).toBe('1');
});

test('a subscription whose tenant changes before it begins is refused, and begins anew as the tenant is now', async () => {
  await using gateway = await startTenantsGateway([acme]);
  const headers = bearer(await acme.issueToken());
  expect((await askAs(gateway, headers)).status).toBe(200);
  const body = JSON.stringify({ query: FOLLOW });
  const sent = request(gateway.endpoint, {
    method: 'POST',
    headers: {
      ...headers,
      'content-type': 'application/json',
      'content-length': body.length,
      accept: 'text/event-stream',
      'x-request-id': 'the-same',
    },
  });
  sent.write(body.slice(0, 10));
  // On another connection, so the head of that one has been read.
  await askAs(gateway, headers, 'b-2');
  await gateway.write('acme', { ...acme.settings, CORS_ORIGINS: 'https://new.example' });
  await expect.poll(() => changesOf(gateway)).toEqual(['acme']);
  sent.end(body.slice(10));
  const [response] = await once(sent, 'response');
  let text = '';
  if (response.statusCode !== 200) for await (const chunk of response) text += chunk;
  sent.destroy();
  expect({ status: response.statusCode, retryAfter: response.headers['retry-after'] }).toEqual({
    status: 503,
    retryAfter: '1',
  });
  expect(JSON.parse(text)).toEqual({
    errors: [
      {
        message: 'Your tenant has other settings as of now: subscribe again.',
        extensions: {
          code: 'OVERLOADED',
          retryable: true,
          retryAfterMs: 1_000,
          requestId: 'the-same',
        },
      },
    ],
  });
  await using again = await openStream(gateway, { query: FOLLOW, headers });
  expect(await again.data()).toEqual({
    data: { batchStatusUpdates: { batchStatus: { status: 'acme' } } },
  });
});

test('one tenant cannot have all streams, however many callers it has', async () => {
  await using gateway = await startTenantsGateway([acme, globex], {
    environment: { MAX_STREAMS: '4' },
  });
  await using stack = new AsyncDisposableStack();
  const follow = async (tenant: TestTenant, sub: string) =>
    stack.use(
      await openStream(gateway, {
        query: FOLLOW,
        headers: bearer(await tenant.issueToken({ sub })),
      }),
    );
  const statuses: number[] = [];
  for (const sub of ['a', 'b', 'c', 'd']) statuses.push((await follow(acme, sub)).status);
  expect(statuses).toEqual([200, 200, 200, 503]);
  expect((await follow(globex, 'a')).status).toBe(200);
});

test('tenants that take turns at a place have so many turns, then who has it keeps it for a while', async () => {
  const clock = new TestClock();
  await using gateway = await startTenantsGateway([acme, globex], {
    clock,
    environment: { MAX_ACTIVE_TENANTS: '1' },
  });
  const ofAcme = bearer(await acme.issueToken());
  const ofGlobex = bearer(await globex.issueToken());
  for (let turn = 0; turn < 8; turn += 1) {
    expect((await askAs(gateway, ofAcme)).status).toBe(200);
    expect((await askAs(gateway, ofGlobex)).status).toBe(200);
  }
  expect((await askAs(gateway, ofAcme)).status).toBe(200);
  expect(await askAs(gateway, ofGlobex)).toMatchObject({
    status: 503,
    body: {
      errors: [{ extensions: { code: 'OVERLOADED', retryable: true, retryAfterMs: 1_000 } }],
    },
  });
  expect((await askAs(gateway, ofAcme)).status).toBe(200);
  clock.advance(11_000);
  expect((await askAs(gateway, ofGlobex)).status).toBe(200);
});
