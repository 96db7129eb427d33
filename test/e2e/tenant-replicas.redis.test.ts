import { afterAll, beforeAll, expect, test } from 'vitest';
import { untilUsed } from '../support/fleet.ts';
import { patientClock } from '../support/patient-clock.ts';
import { type RunningRedis, startRedis } from '../support/redis.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { sendBody } from '../support/test-gateway.ts';
import {
  askAs,
  startTenantsGateway,
  startTestTenant,
  type TenantsGateway,
  type TestTenant,
} from '../support/test-tenants.ts';

let acme: TestTenant;
let globex: TestTenant;

beforeAll(async () => {
  [acme, globex] = await Promise.all([startTestTenant('acme'), startTestTenant('globex')]);
});
afterAll(async () => {
  await Promise.all([acme[Symbol.asyncDispose](), globex[Symbol.asyncDispose]()]);
});

function replica({ url }: RunningRedis, environment: Record<string, string> = {}) {
  return startTenantsGateway([acme, globex], {
    clock: patientClock,
    environment: { REDIS_URL: url.href, STATUS_TTL_MS: '60000', ...environment },
  });
}

const asking = async (tenant: TestTenant) => ({
  authorization: `Bearer ${await tenant.issueToken()}`,
});

function statusOf(status: string, batchId = 'b-1') {
  return { data: { batchStatus: { id: `vehicles/${batchId}`, status } } };
}

test('two replicas ask the service of each of two tenants once for batches of the same id', async () => {
  await using redis = await startRedis();
  await using one = await replica(redis);
  await using two = await replica(redis);
  await untilUsed(redis, 2);
  const before = acme.upstream.statusCalls.length + globex.upstream.statusCalls.length;
  const answers = [];
  for (const gateway of [one, two]) {
    for (const tenant of [acme, globex]) {
      answers.push((await askAs(gateway, await asking(tenant))).body);
    }
  }
  expect(answers).toEqual(['acme', 'globex', 'acme', 'globex'].map((name) => statusOf(name)));
  const calls = acme.upstream.statusCalls.length + globex.upstream.statusCalls.length;
  expect(calls - before).toBe(2);
});

test.each(['PARTICIPANT_SERVICE_URL', 'PARTICIPANT_SERVICE_TENANT_ID', 'TOKEN_CLIENT_ID'])(
  'a status of before %s changed is not served from Redis',
  async (name) => {
    await using redis = await startRedis();
    await using moved = await startScriptedUpstream();
    const answer = () => ({ body: { data: { status: 'NEW' }, request: ECHO } });
    moved.onStatus = answer;
    await using gateway = await replica(redis);
    await untilUsed(redis, 1);
    const headers = await asking(acme);
    expect((await askAs(gateway, headers)).body).toEqual(statusOf('acme'));
    await expect.poll(async () => (await redis.keys()).join()).toContain(':status:');

    const { onStatus } = acme.upstream;
    acme.upstream.onStatus = answer;
    const value = name === 'PARTICIPANT_SERVICE_URL' ? moved.url.origin : 'another';
    await gateway.write('acme', { ...acme.settings, [name]: value });
    await expect
      .poll(() => gateway.logLines.filter((line) => line.includes('a tenant was changed')).length)
      .toBe(1);
    expect((await askAs(gateway, headers)).body).toEqual(statusOf('NEW'));
    acme.upstream.onStatus = onStatus;
  },
);

test('a status of another replica is told as that: explained, counted, and without the id of a call', async () => {
  const environment = { EXPLAIN: 'scope', EXPLAIN_SCOPE: 'explain', METRICS_PORT: '0' };
  await using redis = await startRedis();
  await using one = await replica(redis, environment);
  await using two = await replica(redis, environment);
  await untilUsed(redis, 2);
  const token = await acme.issueToken({ scope: 'explain' });
  const query = '{ batchStatus(participantType: "vehicles") { status } }';
  const headers = { authorization: `Bearer ${token}`, 'x-explain': '1' };
  const sourceAt = async (gateway: TenantsGateway) => {
    const { body } = await sendBody(gateway, JSON.stringify({ query }), headers);
    const [{ source, attempts, steps, curl }] = JSON.parse(body).extensions.explain.batches;
    const calls = steps.filter(({ step }: { step: string }) => step === 'call').length;
    return { source, attempts, calls, curl: typeof curl };
  };
  expect(await sourceAt(one)).toEqual({ source: 'fetched', attempts: 1, calls: 1, curl: 'string' });
  await expect.poll(async () => (await redis.keys()).join()).toContain(':status:');
  const shared = { source: 'shared', attempts: 0, calls: 0, curl: 'undefined' };
  expect(await sourceAt(two)).toEqual(shared);
  const line = two.logLines.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'request');
  expect(line).toMatchObject({ status: 200, upstreamCalls: 0 });
  expect(line).not.toHaveProperty('upstreamRequestIds');
  const metrics = await (await fetch(two.metricsUrl ?? '')).text();
  expect(metrics).toContain('participant_gateway_statuses_total{source="shared"} 1');
  expect(metrics).toContain('participant_gateway_statuses_total{source="fetched"} 0');
});

test('a caller has one rate with a tenant on two replicas, and another one with another tenant', async () => {
  const environment = { RATE_LIMIT_PER_SECOND: '1', RATE_LIMIT_BURST: '3' };
  await using redis = await startRedis();
  await using one = await replica(redis, environment);
  await using two = await replica(redis, environment);
  await untilUsed(redis, 2);
  const refused: Record<string, number> = {};
  for (const tenant of [acme, globex]) {
    const headers = { authorization: `Bearer ${await tenant.issueToken({ sub: 'the-same' })}` };
    const answers = await Promise.all(
      [one, two, one, two, one, two, one, two, one, two].map((gateway) => askAs(gateway, headers)),
    );
    refused[tenant.name] = answers.filter(({ status }) => status === 429).length;
  }
  // Of ten: one and a burst of three, and one more for each second that it takes. By itself, each replica refuses one.
  expect(Math.min(...Object.values(refused))).toBeGreaterThanOrEqual(3);
  expect(Math.max(...Object.values(refused))).toBeLessThanOrEqual(6);
  expect((await redis.keys()).filter((key) => key.includes('the-same'))).toEqual([]);
});

test('batches of any ids are shared', async () => {
  const ids = ['a\u2028b', 'a}b', '{x}', '"', '\\', "'", 'é🚚', '*', '[', ' '];
  await using redis = await startRedis();
  await using one = await replica(redis);
  await using two = await replica(redis);
  await untilUsed(redis, 2);
  const before = acme.upstream.statusCalls.length;
  const headers = await asking(acme);
  for (const id of ids) {
    const answer = {
      data: { batchStatus: { id: `vehicles/${encodeURIComponent(id)}`, status: 'acme' } },
    };
    expect((await askAs(one, headers, id)).body).toEqual(answer);
    expect((await askAs(two, headers, id)).body).toEqual(answer);
  }
  expect(acme.upstream.statusCalls.length - before).toBe(ids.length);
});
