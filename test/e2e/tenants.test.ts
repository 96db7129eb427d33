import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStream } from '../support/event-stream.ts';
import { ECHO } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import {
  askAs,
  sendWithHost,
  startTenantsGateway,
  startTestTenant,
  type TenantsGateway,
  type TestTenant,
} from '../support/test-tenants.ts';
import { startTraceCollector } from '../support/trace-collector.ts';

let acme: TestTenant;
let globex: TestTenant;

beforeAll(async () => {
  [acme, globex] = await Promise.all([startTestTenant('acme'), startTestTenant('globex')]);
});
afterAll(async () => {
  await Promise.all([acme[Symbol.asyncDispose](), globex[Symbol.asyncDispose]()]);
});

function bearer(token: string) {
  return { authorization: `Bearer ${token}` };
}

function answerOf(name: string, batchId = 'b-1') {
  return {
    status: 200,
    allowedOrigin: undefined,
    body: { data: { batchStatus: { id: `vehicles/${batchId}`, status: name } } },
  };
}

function refusal(status: number, code: string, message: string) {
  const extensions = { code, retryable: false, requestId: 'the-same' };
  return { status, allowedOrigin: undefined, body: { errors: [{ message, extensions }] } };
}

const UNKNOWN = refusal(
  404,
  'UNKNOWN_TENANT',
  'The request means no tenant that is served here: its Host, its access token or a proxy says which.',
);
const DISAGREE = refusal(
  403,
  'FORBIDDEN',
  'The request means two tenants: its Host, its access token and what a proxy says do not agree.',
);
const NOT_VALID = refusal(401, 'UNAUTHENTICATED', 'The access token is not valid.');

test("a token's claim selects the tenant, whose own service is asked with its own credentials", async () => {
  await using gateway = await startTenantsGateway([acme, globex]);
  const before = acme.upstream.statusCalls.length;
  expect(await askAs(gateway, bearer(await acme.issueToken()))).toEqual(answerOf('acme'));
  expect(await askAs(gateway, bearer(await globex.issueToken()))).toEqual(answerOf('globex'));
  expect(acme.upstream.statusCalls.slice(before).map(({ headers }) => headers)).toEqual([
    expect.objectContaining({ 'x-coreos-access': 'token-of-acme', 'x-coreos-tid': 'id-of-acme' }),
  ]);
});

test('what a request says of its tenant only selects: the table of what it comes to', async () => {
  await using gateway = await startTenantsGateway([acme, globex], {
    environment: { TENANT_HEADER: 'x-tenant', TRUSTED_PROXIES: '127.0.0.1' },
  });
  const ofAcme = bearer(await acme.issueToken());
  const forged = bearer(await acme.issueToken({ tenant: 'globex' }));
  const ofNobody = bearer(await acme.issueToken({ tenant: 'initech' }));
  const withoutTenant = bearer(await acme.issueToken({ tenant: undefined }));
  const odd = bearer(await acme.issueToken({ tenant: '__proto__' }));
  const calls = acme.upstream.statusCalls.length + globex.upstream.statusCalls.length;
  const table: [headers: Record<string, string>, answer: unknown][] = [
    [{ ...ofAcme, host: 'acme.example' }, answerOf('acme')],
    [{ ...ofAcme, host: 'ACME.example:8443' }, answerOf('acme')],
    [{ ...ofAcme, host: 'elsewhere.example' }, answerOf('acme')],
    [{ ...ofAcme, 'x-tenant': 'acme' }, answerOf('acme')],
    [{ ...ofAcme, host: 'globex.example' }, DISAGREE],
    [{ ...ofAcme, 'x-tenant': 'globex' }, DISAGREE],
    [{ ...ofAcme, host: 'acme.example', 'x-tenant': 'globex' }, DISAGREE],
    [{ ...ofAcme, 'x-tenant': 'acme, globex' }, DISAGREE],
    [forged, NOT_VALID],
    [{ ...forged, host: 'globex.example' }, NOT_VALID],
    [ofNobody, UNKNOWN],
    [odd, UNKNOWN],
    [withoutTenant, refusal(401, 'UNAUTHENTICATED', 'The access token names no tenant.')],
    [
      { ...withoutTenant, host: 'acme.example' },
      refusal(401, 'UNAUTHENTICATED', 'The access token names no tenant.'),
    ],
    [bearer('no-jwt'), NOT_VALID],
    [
      { host: 'acme.example' },
      refusal(
        401,
        'UNAUTHENTICATED',
        'The request has no access token: send the header "authorization: Bearer …".',
      ),
    ],
  ];
  for (const [headers, answer] of table) expect(await askAs(gateway, headers)).toEqual(answer);
  // One for acme: the rest of what was answered is from its cache.
  expect(acme.upstream.statusCalls.length + globex.upstream.statusCalls.length).toBe(calls + 1);
});

test('without a claim the Host selects, or the header of a trusted proxy, and nothing else', async () => {
  await using gateway = await startTenantsGateway([acme, globex], {
    environment: { TENANT_CLAIM: '' },
  });
  const ofAcme = bearer(await acme.issueToken());
  expect(await askAs(gateway, { ...ofAcme, host: 'acme.example' })).toEqual(answerOf('acme'));
  expect(await askAs(gateway, { ...ofAcme, host: 'globex.example' })).toEqual(NOT_VALID);
  expect(await askAs(gateway, ofAcme)).toEqual(UNKNOWN);
  expect(await askAs(gateway, { ...ofAcme, 'x-tenant': 'acme' })).toEqual(UNKNOWN);
});

test('where nobody is checked, what tells the tenant counts from trusted proxies alone', async () => {
  const withoutAuth = (tenant: TestTenant) => ({
    ...tenant,
    settings: Object.fromEntries(
      Object.entries(tenant.settings).filter(([name]) => !name.startsWith('AUTH_')),
    ),
  });
  const environment = { AUTH_MODE: 'none', TENANT_CLAIM: '', TENANT_HEADER: 'x-tenant' };
  for (const [proxies, expected] of [
    ['127.0.0.1', answerOf('acme')],
    ['192.0.2.1', UNKNOWN],
  ] as const) {
    await using gateway = await startTenantsGateway([acme, globex].map(withoutAuth), {
      environment: { ...environment, TRUSTED_PROXIES: proxies },
    });
    expect(await askAs(gateway, { host: 'acme.example' })).toEqual(expected);
    expect(await askAs(gateway, { 'x-tenant': 'acme' })).toEqual(expected);
    expect(await askAs(gateway, {})).toEqual(UNKNOWN);
  }
});

test("CORS: a preflight goes by the Host's tenant, else by all origins; the request by its tenant's", async () => {
  await using gateway = await startTenantsGateway([acme, globex]);
  const preflight = async (host: string, origin: string) => {
    const { headers } = await sendWithHost(gateway.endpoint, {
      method: 'OPTIONS',
      headers: { host, origin, 'access-control-request-method': 'POST' },
    });
    return headers['access-control-allow-origin'];
  };
  expect(await preflight('acme.example', 'https://acme.example')).toBe('https://acme.example');
  expect(await preflight('acme.example', 'https://globex.example')).toBe(undefined);
  expect(await preflight('gateway.example', 'https://globex.example')).toBe(
    'https://globex.example',
  );
  expect(await preflight('gateway.example', 'https://initech.example')).toBe(undefined);
  const ofAcme = bearer(await acme.issueToken());
  const from = async (origin: string, headers: Record<string, string>) =>
    (await askAs(gateway, { ...headers, origin })).allowedOrigin;
  expect(await from('https://acme.example', ofAcme)).toBe('https://acme.example');
  expect(await from('https://globex.example', ofAcme)).toBe(undefined);
  // Pages can read why they are refused.
  expect(await from('https://globex.example', {})).toBe('https://globex.example');
});

test('unknown tenants are limited by address, and cost no call to anybody', async () => {
  await using gateway = await startTenantsGateway([acme], {
    environment: { RATE_LIMIT_PER_SECOND: '1', RATE_LIMIT_BURST: '2' },
  });
  const calls = acme.issuerRequests() + acme.upstream.tokenCalls.length;
  const ofNobody = bearer(await acme.issueToken({ tenant: 'initech' }));
  const statuses: number[] = [];
  for (let index = 0; index < 5; index += 1) statuses.push((await askAs(gateway, ofNobody)).status);
  expect(statuses).toEqual([404, 404, 404, 429, 429]);
  expect(acme.issuerRequests() + acme.upstream.tokenCalls.length).toBe(calls);
});

test('what serves a tenant is let go when nobody asked for it for an hour, and made again', async () => {
  const clock = new TestClock();
  await using gateway = await startTenantsGateway([acme], {
    clock,
    environment: { METRICS_PORT: '0' },
  });
  const ofAcme = bearer(await acme.issueToken());
  const active = async () => {
    const text = await (await fetch(gateway.metricsUrl ?? '')).text();
    return /^participant_gateway_tenants\{state="active"\} (\d+)$/m.exec(text)?.[1];
  };
  expect(await active()).toBe('0');
  expect((await askAs(gateway, ofAcme)).status).toBe(200);
  expect(await active()).toBe('1');
  clock.advance(3_600_000);
  expect(await active()).toBe('0');
});

async function untilEqual(read: () => Promise<unknown>, expected: unknown): Promise<void> {
  await expect.poll(read, { timeout: 5_000, interval: 20 }).toEqual(expected);
}

test('a tenant is added, changed, broken, repaired and removed while another is served', async () => {
  await using gateway: TenantsGateway = await startTenantsGateway([acme]);
  const ofAcme = bearer(await acme.issueToken());
  const ofGlobex = bearer(await globex.issueToken());
  let stopped = false;
  const failures: unknown[] = [];
  let requests = 0;
  const load = (async () => {
    while (!stopped) {
      const answer = await askAs(gateway, ofAcme, `b-${requests}`);
      requests += 1;
      if (answer.status !== 200) failures.push(answer);
    }
  })();
  const asGlobex = () => askAs(gateway, { ...ofGlobex, origin: 'https://new.example' });

  await gateway.write('globex', globex.settings);
  await untilEqual(asGlobex, answerOf('globex'));
  await gateway.write('globex', { ...globex.settings, CORS_ORIGINS: 'https://new.example' });
  const changed = { ...answerOf('globex'), allowedOrigin: 'https://new.example' };
  await untilEqual(asGlobex, changed);
  await gateway.write('globex', '{');
  const readiness = async () => (await fetch(new URL('/readyz', gateway.url))).json();
  const degraded = {
    status: 'degraded',
    notReady: {},
    degraded: { tenants: 'globex: its file is faulty' },
  };
  await untilEqual(readiness, degraded);
  expect(await asGlobex()).toEqual(changed);
  await gateway.write('globex', globex.settings);
  await untilEqual(readiness, { status: 'ready', notReady: {}, degraded: {} });
  await gateway.remove('globex');
  await untilEqual(() => askAs(gateway, ofGlobex), UNKNOWN);
  stopped = true;
  await load;
  expect(failures).toEqual([]);
  expect(requests).toBeGreaterThan(20);
  const told = gateway.logLines
    .map((line): Record<string, unknown> => JSON.parse(line))
    .filter(({ msg }) => /tenant/.test(String(msg)))
    .map(({ level, tenant, change, msg }) => ({ level, tenant, change, msg }));
  const change = (name: string) => ({
    level: 'info',
    tenant: 'globex',
    change: name,
    msg: 'a tenant was changed',
  });
  expect(told).toEqual([
    change('added'),
    change('changed'),
    {
      level: 'error',
      tenant: 'globex',
      msg: 'the file of a tenant is faulty: it stays as it was',
    },
    change('changed'),
    { level: 'info', tenant: 'globex', msg: 'the file of a tenant is good again' },
    change('removed'),
  ]);
});

test("streams end when their tenant's file changes, and go on when another's does", async () => {
  await using gateway = await startTenantsGateway([acme, globex]);
  const follow = async (tenant: TestTenant) =>
    openStream(gateway, {
      query:
        'subscription { batchStatusUpdates(batches: [{ participantType: "vehicles" }]) { batchStatus { status } } }',
      headers: bearer(await tenant.issueToken()),
    });
  await using ofAcme = await follow(acme);
  await using ofGlobex = await follow(globex);
  const update = (status: string) => ({
    data: { batchStatusUpdates: { batchStatus: { status } } },
  });
  expect(await ofAcme.data()).toEqual(update('acme'));
  expect(await ofGlobex.data()).toEqual(update('globex'));
  await gateway.write('globex', { ...globex.settings, CORS_ORIGINS: 'https://new.example' });
  expect(await ofGlobex.rest()).toMatch(/^retry: \d+\n\n$/);
  acme.upstream.onStatus = () => ({ body: { data: { status: 'SUCCESS' }, request: ECHO } });
  expect(await ofAcme.data()).toEqual(update('SUCCESS'));
  acme.upstream.onStatus = () => ({ body: { data: { status: 'acme' }, request: ECHO } });
});

test('a secret that is rotated is used without a restart', async () => {
  await using gateway = await startTenantsGateway([globex]);
  const ofGlobex = bearer(await globex.issueToken());
  expect(await askAs(gateway, ofGlobex)).toEqual(answerOf('globex'));
  const [first] = globex.upstream.tokenCalls.slice(-1);
  expect(first?.body).toContain('canary-secret-of-globex');
  await gateway.rotateSecret('globex', 'another-secret');
  const rotated = async () => {
    await askAs(gateway, ofGlobex, 'b-2');
    return globex.upstream.tokenCalls.at(-1)?.body.includes('another-secret');
  };
  await untilEqual(rotated, true);
});

test('the audit, the lines of requests and streams, and spans say whose they are', async () => {
  await using collector = await startTraceCollector();
  const gateway = await startTenantsGateway([acme, globex], {
    environment: { AUDIT: 'on', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin },
  });
  const follow = {
    query:
      'subscription { batchStatusUpdates(batches: [{ participantType: "drivers" }]) { batchStatus { id } } }',
  };
  for (const tenant of [acme, globex]) {
    const headers = bearer(await tenant.issueToken());
    expect(await askAs(gateway, headers)).toEqual(answerOf(tenant.name));
    const stream = await openStream(gateway, { ...follow, headers });
    await stream.data();
    await stream[Symbol.asyncDispose]();
    await expect.poll(() => told(gateway, 'stream ended').at(-1)?.tenant).toBe(tenant.name);
  }
  await gateway[Symbol.asyncDispose]();

  const ofBoth = (lines: number) => ['acme', 'globex'].flatMap((name) => Array(lines).fill(name));
  const tenantsOf = (message: string) => told(gateway, message).map(({ tenant }) => tenant);
  expect(tenantsOf('audit')).toEqual(ofBoth(2));
  expect(tenantsOf('request')).toEqual(ofBoth(2));
  expect(tenantsOf('stream ended')).toEqual(ofBoth(1));
  const named = (name: string) =>
    collector.spans
      .filter((span) => span.name === name)
      .map(({ attributes }) => attributes['participant_gateway.tenant']);
  expect(named('POST /graphql')).toEqual(ofBoth(2));
  expect(named('access token')).toEqual(ofBoth(1));
});

function told({ logLines }: TenantsGateway, message: string): { tenant?: unknown }[] {
  return logLines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === message);
}
