import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStream } from '../support/event-stream.ts';
import type { UpstreamCall } from '../support/scripted-upstream.ts';
import { ECHO } from '../support/scripted-upstream.ts';
import {
  sendWithHost,
  startTenantsGateway,
  startTestTenant,
  type TenantsGateway,
  type TestTenant,
} from '../support/test-tenants.ts';
import { turns } from '../support/turns.ts';

const NAMES = ['acme', 'globex', 'initech'] as const;
type Name = (typeof NAMES)[number];

/** What a tenant's service does for a while. */
const FAULTS = ['none', 'slow', '401', '404', '500', 'reset', 'odd'] as const;

let tenants: Record<Name, TestTenant>;
let gateway: TenantsGateway;

/** The tenants whose texts are in a text: each has its own in all that it says. */
function namesIn(text: string): Name[] {
  return NAMES.filter((name) => text.includes(name));
}

function script(tenant: TestTenant, fault: (typeof FAULTS)[number]): void {
  const { name } = tenant;
  const additionalInfo = [`only for ${name}`];
  const failure = (code: number) => ({
    status: code,
    body: { error: { code, description: `an error of ${name}`, additionalInfo }, request: ECHO },
  });
  tenant.upstream.onStatus = async ({ target }: UpstreamCall, response) => {
    const body = { data: { status: name, seen: target }, request: ECHO };
    if (fault === 'slow') await turns(50);
    if (fault === '401') return failure(401);
    if (fault === '404') return failure(404);
    if (fault === '500') return failure(500);
    if (fault === 'odd') return { body: `<p>${name}</p>` };
    if (fault !== 'reset') return { body };
    response.destroy();
    return undefined;
  };
}

beforeAll(async () => {
  const [acme, globex, initech] = await Promise.all(NAMES.map((name) => startTestTenant(name)));
  if (!acme || !globex || !initech) throw new Error('a tenant is missing');
  tenants = { acme, globex, initech };
  gateway = await startTenantsGateway(Object.values(tenants), {
    environment: {
      TENANT_HEADER: 'x-tenant',
      TRUSTED_PROXIES: '127.0.0.1',
      STATUS_TTL_MS: '150',
      STATUS_STALE_MS: '1000',
      FORWARD_USER_INFO: 'on',
    },
  });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await Promise.all(NAMES.map((name) => tenants[name][Symbol.asyncDispose]()));
});

const request = fc.record({
  /** Whose issuer made the token, and whom it names. */
  issuer: fc.constantFrom(...NAMES),
  claim: fc.option(fc.constantFrom(...NAMES), { nil: undefined, freq: 2 }),
  host: fc.option(fc.constantFrom(...NAMES), { nil: undefined, freq: 2 }),
  header: fc.option(fc.constantFrom(...NAMES), { nil: undefined, freq: 2 }),
  /** All have batches of these ids. */
  batchId: fc.constantFrom('b-1', 'b-2', 'b-3'),
  /** Answers to equal texts are kept. */
  query: fc.constantFrom(
    '{ status data }',
    '{ id status data }',
    '{ status dataAt(pointer: "/seen") }',
  ),
  subject: fc.constantFrom('one', 'another'),
});

const round = fc.record({
  faults: fc.record({
    acme: fc.constantFrom(...FAULTS),
    globex: fc.constantFrom(...FAULTS),
    initech: fc.constantFrom(...FAULTS),
  }),
  requests: fc.array(request, { minLength: 20, maxLength: 60 }),
});

const counts = { requests: 0, answers: 0, refused: 0, streams: 0 };

type Asked = typeof request extends fc.Arbitrary<infer T> ? T : never;

/** The tenant that is to answer; undefined: none may. */
function meant({ issuer, claim = issuer, host, header }: Asked): Name | undefined {
  const isOne = (host ?? claim) === claim && (header ?? claim) === claim;
  return isOne && claim === issuer ? claim : undefined;
}

async function ask(asked: Asked, id: string): Promise<void> {
  const { issuer, claim = issuer, host, header, batchId, query, subject } = asked;
  const token = await tenants[issuer].issueToken({
    tenant: claim,
    sub: subject,
  });
  const answer = await sendWithHost(gateway.endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'x-request-id': id,
      ...(host && { host: `${host}.example` }),
      ...(header && { 'x-tenant': header }),
    },
    body: JSON.stringify({
      query: `query($id: ID) { batchStatus(participantType: "vehicles", batchId: $id) ${query} }`,
      variables: { id: batchId },
    }),
  });
  counts.requests += 1;
  const tenant = meant(asked);
  if (tenant === undefined) {
    counts.refused += 1;
    expect([401, 403]).toContain(answer.status);
    expect(namesIn(answer.body)).toEqual([]);
  } else {
    expect(answer.status).toBe(200);
    expect([[], [tenant]]).toContainEqual(namesIn(answer.body));
    counts.answers += namesIn(answer.body).length;
  }
}

/** The subscription's first event, then it is left. */
async function follow(asked: Asked): Promise<void> {
  const { issuer, claim = issuer, batchId } = asked;
  if (issuer !== claim) return;
  const token = await tenants[issuer].issueToken();
  await using stream = await openStream(gateway, {
    query:
      'subscription($id: ID) { batchStatusUpdates(batches: [{ participantType: "vehicles", batchId: $id }]) { batchStatus { status data } } }',
    variables: { id: batchId },
    headers: { authorization: `Bearer ${token}` },
  });
  expect(stream.status).toBe(200);
  const event = JSON.stringify(await stream.data());
  expect([[], [issuer]]).toContainEqual(namesIn(event));
  counts.streams += namesIn(event).length;
}

test('no answer, event, token or log line of a tenant comes to another, whatever is asked and fails', async () => {
  let rounds = 0;
  await fc.assert(
    fc.asyncProperty(round, async ({ faults, requests }) => {
      rounds += 1;
      const logged = gateway.logLines.length;
      for (const name of NAMES) script(tenants[name], faults[name]);
      // In waves, so that what one tenant was answered is kept when another asks.
      for (let from = 0; from < requests.length; from += 20) {
        const wave = requests.slice(from, from + 20);
        await Promise.all([
          ...wave.map((asked, index) => ask(asked, `r-${rounds}-${from + index}`)),
          ...wave.slice(0, 4).map(follow),
        ]);
      }
      for (const line of gateway.logLines.slice(logged)) {
        const { tenant }: { tenant?: unknown } = JSON.parse(line);
        const others = namesIn(line).filter((name) => name !== tenant);
        expect({ line, others }).toEqual({ line, others: [] });
      }
    }),
    { numRuns: 40 },
  );
  for (const name of NAMES) {
    const { statusCalls, tokenCalls } = tenants[name].upstream;
    const others = [...statusCalls, ...tokenCalls].filter(({ headers, body, target }) =>
      namesIn(JSON.stringify({ ...headers, host: '', body, target })).some((it) => it !== name),
    );
    expect(others).toEqual([]);
    expect(statusCalls.length).toBeGreaterThan(50);
  }
  expect(counts.answers).toBeGreaterThan(200);
  expect(counts.refused).toBeGreaterThan(200);
  expect(counts.streams).toBeGreaterThan(50);
});
