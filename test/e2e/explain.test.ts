import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { watchRequests } from '../support/requests-under-way.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { STATUS_QUERY, sendBody, startTestGateway, UUID } from '../support/test-gateway.ts';

const EXPLAIN = { 'x-explain': '1' };
const B1 = { participantType: 'vehicles', batchId: 'b-1' };
const bodyFor = (variables: object) => JSON.stringify({ query: STATUS_QUERY, variables });
const MS = expect.any(Number);

/** The whole answer, and of it what is explained of each batch. */
async function explain(
  gateway: Parameters<typeof sendBody>[0],
  body: string,
  headers: Record<string, string> = {},
) {
  const { status, body: text } = await sendBody(gateway, body, { ...EXPLAIN, ...headers });
  const answer = JSON.parse(text);
  return { status, text, answer, batches: answer.extensions?.explain?.batches };
}

test('an answer on the sandbox explains itself: calls, retries, ages and times, and each call as a curl line', async () => {
  await using gateway = await startTestGateway();
  await gateway.query('{ batchStatus(participantType: "vehicles") { id } }');
  const { answer } = await explain(
    gateway,
    JSON.stringify({
      query: `query Explain {
        finished: batchStatus(participantType: "vehicles", batchId: "batch-finished") { id status }
        fault: batchStatus(participantType: "drivers", batchId: "fault-404") { id status }
      }`,
    }),
  );
  const curl = (target: string) =>
    expect.stringMatching(
      new RegExp(
        `^curl -sS 'http://127\\.0\\.0\\.1:\\d+/core/api/v2/participants/${target}' -H 'accept: application/json' -H 'content-type: application/json' -H 'X-COREOS-TID: [\\w-]+' -H 'X-COREOS-REQUEST-ID: [\\da-f-]{36}' -H 'X-COREOS-ACCESS: '"\\$TOKEN"$`,
      ),
    );
  const call = (status: number, outcome: string) => ({
    step: 'call',
    ms: MS,
    status,
    outcome,
    upstreamRequestId: UUID,
  });
  expect(answer).toEqual({
    errors: [expect.objectContaining({ path: ['fault'] })],
    data: { finished: { id: 'vehicles/batch-finished', status: 'SUCCESS' }, fault: null },
    extensions: {
      explain: {
        requestId: 'the-same',
        executionMs: MS,
        batches: [
          {
            participantType: 'vehicles',
            batchId: 'batch-finished',
            source: 'fetched',
            ageMs: MS,
            attempts: 1,
            tokenAgeMs: MS,
            steps: [call(200, 'ok')],
            curl: curl('vehicles/batch/status\\?batchId=batch-finished'),
          },
          {
            participantType: 'drivers',
            batchId: 'fault-404',
            source: 'failed',
            code: 'NOT_FOUND',
            attempts: 1,
            tokenAgeMs: MS,
            steps: [call(404, 'refused')],
            curl: curl('drivers/batch/status\\?batchId=fault-404'),
          },
        ],
      },
    },
  });
  expect(answer.errors[0].extensions.requestId).toBe(
    answer.extensions.explain.batches[1].steps[0].upstreamRequestId,
  );
});

/** A gateway before a scripted upstream, which explains its answers to whose token has the scope `explain`. */
async function startScoped(environment: Record<string, string> = {}) {
  const clock = new TestClock();
  const stack = new AsyncDisposableStack();
  const sandbox = await startSandbox({ clock, port: 0 });
  stack.defer(() => sandbox.close());
  const upstream = stack.use(await startScriptedUpstream());
  const gateway = stack.use(
    await startTestGateway({
      upstream,
      clock,
      environment: {
        AUTH_MODE: 'jwt',
        AUTH_ISSUER: sandbox.url.origin,
        AUTH_AUDIENCE: sandbox.issuer.audience,
        EXPLAIN: 'scope',
        EXPLAIN_SCOPE: 'explain',
        ...environment,
      },
    }),
  );
  const bearer = async (claims: object) => ({
    authorization: `Bearer ${await sandbox.issuer.issueToken({ ...claims })}`,
  });
  await upstream.tokenCallCount(1);
  return {
    clock,
    upstream,
    gateway,
    bearer,
    allowed: await bearer({ scope: 'explain' }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test('fetched, joined, cached, tried again, stale: each is told, with its age, its times and its failure', async () => {
  await using scoped = await startScoped();
  const { clock, upstream, gateway, allowed } = scoped;
  const told = async () => {
    const { batches } = await explain(gateway, bodyFor(B1), allowed);
    const [{ curl: _, participantType, batchId, ...rest }] = batches;
    expect({ participantType, batchId }).toEqual(B1);
    return rest;
  };
  const call = (ms: number, status: number, outcome: string) => ({
    step: 'call',
    ms,
    status,
    outcome,
    upstreamRequestId: UUID,
  });
  // So that the token is there.
  await sendBody(gateway, bodyFor({ participantType: 'vehicles', batchId: 'b-0' }), allowed);
  using underWay = watchRequests(gateway.url);
  const held = Promise.withResolvers<void>();
  upstream.onStatus = () => held.promise.then(() => ({ body: { data: { status: 'RUNNING' } } }));
  clock.advance(60_000);
  const first = told();
  await upstream.statusCallCount(2);
  clock.advance(20);
  const second = told();
  await underWay.count(2);
  clock.advance(30);
  held.resolve();
  expect(await Promise.all([first, second])).toEqual([
    { source: 'fetched', ageMs: 0, attempts: 1, tokenAgeMs: 60_000, steps: [call(50, 200, 'ok')] },
    { source: 'joined', ageMs: 0, attempts: 0, steps: [{ step: 'joined', ms: 30 }] },
  ]);

  clock.advance(400);
  expect(await told()).toEqual({ source: 'cached', ageMs: 400, attempts: 0, steps: [] });

  clock.advance(600);
  upstream.onStatus = () =>
    upstream.statusCalls.length === 3
      ? { status: 503, body: {} }
      : { body: { data: { status: 'RUNNING' } } };
  expect(await clock.elapse(told())).toEqual({
    source: 'fetched',
    ageMs: expect.any(Number),
    attempts: 2,
    tokenAgeMs: expect.any(Number),
    steps: [
      call(expect.any(Number), 503, 'transient'),
      { step: 'retry', ms: expect.any(Number) },
      call(expect.any(Number), 200, 'ok'),
    ],
  });

  clock.advance(2_000);
  upstream.onStatus = () => ({ status: 500, body: {} });
  expect(await told()).toEqual({
    source: 'stale',
    code: 'UPSTREAM_UNAVAILABLE',
    ageMs: expect.any(Number),
    attempts: 1,
    tokenAgeMs: expect.any(Number),
    steps: [call(0, 500, 'fault')],
  });
});

test('an answer that is explained is neither kept nor taken from what is kept', async () => {
  await using scoped = await startScoped({ STATUS_TTL_MS: '60000' });
  const { gateway, allowed } = scoped;
  const plain = async () => JSON.parse((await sendBody(gateway, bodyFor(B1), allowed)).body);
  const answer = { data: { batchStatus: { id: 'vehicles/b-1', status: 'IN_PROGRESS' } } };
  const sources: string[] = [];
  for (let count = 0; count < 4; count += 1) {
    const { batches } = await explain(gateway, bodyFor(B1), allowed);
    sources.push(batches[0].source);
    expect(await plain()).toEqual(answer);
  }
  expect(sources).toEqual(['fetched', 'cached', 'cached', 'cached']);
  const cached = gateway.logLines.map((line) => JSON.parse(line)).filter((line) => line.cached);
  expect(cached.length).toBeGreaterThan(0);
});

test('with EXPLAIN=scope, who lacks the scope is refused, before any call; who does not ask is answered', async () => {
  await using scoped = await startScoped();
  const { gateway, upstream, bearer } = scoped;
  const headers = await bearer({ scope: 'read' });
  expect(await explain(gateway, bodyFor(B1), headers)).toMatchObject({
    status: 403,
    answer: {
      errors: [
        {
          message:
            'To have answers explained (x-explain), the access token needs the scope explain.',
          extensions: { code: 'FORBIDDEN', retryable: false, requestId: 'the-same' },
        },
      ],
    },
  });
  expect(upstream.statusCalls).toEqual([]);
  expect(await sendBody(gateway, bodyFor(B1), headers)).toMatchObject({ status: 200 });
});

test.each<[string, Record<string, string>, string]>([
  ['EXPLAIN=off on the sandbox', { EXPLAIN: 'off' }, '1'],
  ['another value', {}, 'true'],
  ['two of them', {}, '1, 1'],
])('the header is ignored: %s', async (_, environment, value) => {
  await using gateway = await startTestGateway({ environment });
  const { body } = await sendBody(gateway, bodyFor(B1), { 'x-explain': value });
  expect(Object.keys(JSON.parse(body))).not.toContain('extensions');
});

test('for a tenant nothing is explained unless that is set', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  expect(await explain(gateway, bodyFor(B1))).toMatchObject({
    text: '{"data":{"batchStatus":{"id":"vehicles/b-1","status":"IN_PROGRESS"}}}',
  });
});

test('an explanation that would make the answer too long is left out, and the answer is whole', async () => {
  await using gateway = await startTestGateway({
    environment: { RESPONSE_MAX_BYTES: '16384', ERROR_DETAIL: 'public' },
  });
  const fieldOf = (index: number) =>
    `b${index}: batchStatus(participantType: "vehicles", batchId: "${'é'.repeat(100)}${index}") { id }`;
  const queryOf = (count: number) =>
    JSON.stringify({
      query: `{ ${Array.from({ length: count }, (_, index) => fieldOf(index)).join(' ')} }`,
    });
  const few = await explain(gateway, queryOf(3));
  expect(few.batches).toHaveLength(3);
  expect(Buffer.byteLength(few.text)).toBeLessThan(16_384);
  const many = await explain(gateway, queryOf(15));
  expect(Object.keys(many.answer)).toEqual(['errors', 'data']);
  expect(many.answer.errors).toHaveLength(15);
  expect(Buffer.byteLength(many.text)).toBeLessThan(16_384);
});

/** What the variable TOKEN holds where a line is run. */
const TOKEN = `a 'token' "$HOME"`;

/** The arguments that a shell gives to curl. */
function argumentsOf(line: string): string[] {
  const script = `curl() { printf '%s\\0' "$@"; }\n${line}\n`;
  const env = { PATH: process.env['PATH'], TOKEN };
  return execFileSync('sh', ['-euc', script], { env, encoding: 'utf8' }).split('\0').slice(0, -1);
}

const HOSTILE = [
  `'; touch /tmp/hacked; '`,
  `'`,
  `''''`,
  '$(touch /tmp/hacked)',
  '`touch /tmp/hacked`',
  '"; exit 1 #',
  '\\',
  `\\'`,
  `a'\\''b`,
  '$TOKEN',
  `'"$TOKEN"'`,
  '!!',
  '*?[a]{b,c}~',
  '&& exit 1',
  '%27;exit',
  'é🚚',
];

test('the curl line is the call that was made, whatever is in batch, tenant and user: a shell runs nothing of it', async () => {
  await using scoped = await startScoped({
    PARTICIPANT_SERVICE_TENANT_ID: `t'; exit 1; '`,
    FORWARD_USER_INFO: 'on',
    RATE_LIMIT_PER_SECOND: '0',
    STATUS_TTL_MS: '0',
  });
  const { gateway, upstream, bearer } = scoped;
  const sub = `s'"$(exit 1)\`exit 1\`\\ $TOKEN`;
  const headers = await bearer({ scope: 'explain', sub, name: `O'Neil $TOKEN` });
  const odd = fc.string({
    unit: fc.constantFrom(...`'"\\$\`;&|<>(){}[]*?!#~=% a-é`),
    minLength: 1,
    maxLength: 30,
  });
  const property = fc.asyncProperty(fc.oneof(fc.constantFrom(...HOSTILE), odd), async (batchId) => {
    const participantType = batchId.replaceAll(/[\\/]/g, 'x');
    const body = bodyFor({ participantType, batchId });
    const { batches } = await explain(gateway, body, headers);
    const call = upstream.statusCalls.at(-1);
    const [silent, url, ...rest] = argumentsOf(batches[0].curl);
    expect([silent, url]).toEqual(['-sS', `${upstream.url.origin}${call?.target}`]);
    const given = rest.filter((_, index) => index % 2 === 1);
    expect(rest).toEqual(given.flatMap((header) => ['-H', header]));
    const sent = { ...call?.headers, 'x-coreos-access': TOKEN };
    const names = [
      'accept',
      'content-type',
      'X-COREOS-TID',
      'X-COREOS-REQUEST-ID',
      'X-COREOS-ACCESS',
      'X-COREOS-USERINFO',
    ];
    const headerOf = new Map(Object.entries(sent));
    expect(given).toEqual(names.map((name) => `${name}: ${headerOf.get(name.toLowerCase())}`));
  });
  await fc.assert(property, { numRuns: 60, examples: HOSTILE.map((text): [string] => [text]) });
}, 60_000);

test('65: the token is not in an explanation', async () => {
  await using scoped = await startScoped({ TOKEN_HEADER: 'Authorization' });
  const { text, batches } = await explain(scoped.gateway, bodyFor(B1), scoped.allowed);
  expect(scoped.upstream.statusCalls[0]?.headers.authorization).toBe('Bearer token-1');
  expect(batches[0].curl).toContain(`-H 'Authorization: Bearer '"$TOKEN"`);
  expect(text).not.toContain('token-1');
});
