import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { runProgram } from '../support/child-process.ts';
import { GATEWAY_AUDIENCE, startOpenIdProvider } from '../support/openid-provider.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import {
  type GraphQLAnswer,
  STATUS_QUERY,
  startTestGateway,
  type TestGateway,
  UUID,
} from '../support/test-gateway.ts';

const VEHICLES = { query: STATUS_QUERY, variables: { participantType: 'vehicles' } };
const SUCCESS = {
  status: 200,
  challenge: null,
  body: { data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } },
};

interface Answer extends GraphQLAnswer {
  /** `www-authenticate`. */
  challenge: string | null;
}

async function send(
  gateway: TestGateway,
  body: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return {
    status: response.status,
    challenge: response.headers.get('www-authenticate'),
    body: await response.json(),
  };
}

function bearer(token: string) {
  return { authorization: `Bearer ${token}` };
}

function unauthenticated(message: string, challenge: string): Answer {
  const extensions = { code: 'UNAUTHENTICATED', retryable: false, requestId: UUID };
  return { status: 401, challenge, body: { errors: [{ message, extensions }] } };
}

const NO_TOKEN = unauthenticated(
  'The request has no access token: send the header "authorization: Bearer …".',
  'Bearer',
);
const BAD_TOKEN = unauthenticated(
  'The access token is not valid.',
  'Bearer error="invalid_token", error_description="The access token is not valid"',
);

/** A gateway before a scripted upstream that takes the tokens of a sandbox, which may say anything. */
interface Guarded extends AsyncDisposable {
  gateway: TestGateway;
  upstream: ScriptedUpstream;
  issueToken: Sandbox['issuer']['issueToken'];
}

async function startGuarded(environment: Record<string, string> = {}): Promise<Guarded> {
  const sandbox = await startSandbox({ clock: systemClock, port: 0 });
  const upstream = await startScriptedUpstream();
  const gateway = await startTestGateway({
    upstream,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: sandbox.url.origin,
      AUTH_AUDIENCE: sandbox.issuer.audience,
      ...environment,
    },
  });
  return {
    gateway,
    upstream,
    issueToken: sandbox.issuer.issueToken,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
      await sandbox.close();
    },
  };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

test('a token of an OpenID provider lets a caller in; its subject alone is logged', async () => {
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: provider.issuer.origin,
      AUTH_AUDIENCE: GATEWAY_AUDIENCE,
      AUTH_REQUIRED_SCOPES: 'batch:read',
    },
  });
  const token = await provider.issueToken();
  for (let round = 0; round < 3; round += 1) {
    expect(await send(gateway, VEHICLES, bearer(token))).toEqual(SUCCESS);
  }
  const lines = gateway.logLines.map((line) => JSON.parse(line));
  expect(lines.filter(({ msg }) => msg === 'request')).toEqual(
    Array.from({ length: 3 }, () =>
      expect.objectContaining({ sub: 'gateway-client_secret_post', codes: [] }),
    ),
  );
  expect(gateway.logLines.join('')).not.toContain(token.split('.')[2]);
  expect(provider.requests.toSorted()).toEqual([
    'GET /.well-known/openid-configuration',
    'GET /jwks',
    'POST /token',
  ]);
});

test('17: without a token, and with a bad one: 401, a challenge, no upstream call (API2:2023)', async () => {
  await using guarded = await startGuarded();
  const { gateway, upstream } = guarded;
  const good = await guarded.issueToken({});
  const [header = '', claims = '', signature = ''] = good.split('.');
  const none = `${encode({ alg: 'none', typ: 'at+jwt' })}.${claims}.`;
  const signedWithText = `${encode({ alg: 'HS256', typ: 'at+jwt', kid: 'sandbox' })}.${claims}`;
  const hmac = createHmac('sha256', 'public key').update(signedWithText).digest('base64url');

  const absent: Record<string, string>[] = [{}, { authorization: 'Basic YTpi' }];
  for (const headers of absent) {
    expect(await send(gateway, VEHICLES, headers)).toEqual(NO_TOKEN);
  }
  const bad = [
    '',
    'a b',
    'garbage',
    'a.b.c',
    'a.b.c.d.e',
    none,
    `${signedWithText}.${hmac}`,
    `${header}.${claims}.${signature.slice(0, -4)}`,
    `${header}.${encode({ ...JSON.parse(Buffer.from(claims, 'base64url').toString()), sub: 'admin' })}.${signature}`,
    await guarded.issueToken({ aud: 'another' }).then((token) => `${token}x`),
  ];
  for (const token of bad) {
    expect(await send(gateway, VEHICLES, bearer(token))).toEqual(BAD_TOKEN);
  }
  const query = new URL(`?access_token=${good}`, gateway.endpoint);
  const inQuery = await fetch(query, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(VEHICLES),
  });
  expect([inQuery.status, inQuery.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  expect(upstream.statusCalls).toEqual([]);
  expect(JSON.stringify(gateway.logLines)).not.toContain(signature);
});

test('18: a token without a required scope is 403 (API5:2023)', async () => {
  await using guarded = await startGuarded({ AUTH_REQUIRED_SCOPES: 'batch:read,tenant' });
  const { gateway, upstream } = guarded;
  const refused: Answer = {
    status: 403,
    challenge: 'Bearer error="insufficient_scope", scope="batch:read tenant"',
    body: {
      errors: [
        {
          message: 'The access token needs the scopes batch:read, tenant.',
          extensions: { code: 'FORBIDDEN', retryable: false, requestId: UUID },
        },
      ],
    },
  };
  for (const claims of [{}, { scope: 'batch:read' }, { scp: ['tenant'] }, { scope: 7 }]) {
    const token = await guarded.issueToken(claims);
    // The second time, the token is known.
    for (let round = 0; round < 2; round += 1) {
      expect(await send(gateway, VEHICLES, bearer(token))).toEqual(refused);
    }
  }
  expect(upstream.statusCalls).toEqual([]);
  for (const claims of [{ scope: 'tenant x batch:read' }, { scp: ['batch:read', 'tenant'] }]) {
    const token = await guarded.issueToken(claims);
    expect(await send(gateway, VEHICLES, bearer(token))).toEqual(SUCCESS);
  }
});

test('18: a participant type that the caller may not see is FORBIDDEN at its path, its siblings are intact (API1:2023)', async () => {
  await using guarded = await startGuarded({ AUTH_PARTICIPANT_TYPES_CLAIM: 'access.types' });
  const { gateway, upstream } = guarded;
  const query = `query ($them: [_Any!]!) {
    a: batchStatus(participantType: "vehicles") { id }
    b: batchStatus(participantType: "drivers") { id }
    _entities(representations: $them) { ... on BatchStatus { id } }
  }`;
  const them = ['vehicles/1', 'drivers/1'].map((id) => ({ __typename: 'BatchStatus', id }));
  const token = await guarded.issueToken({ access: { types: ['vehicles'] } });
  const answer = await send(gateway, { query, variables: { them } }, bearer(token));
  const forbidden = (path: (string | number)[], locations: object[]) => ({
    message: 'You may not see batches of this participant type.',
    path,
    locations,
    extensions: { code: 'FORBIDDEN', retryable: false, requestId: UUID },
  });
  expect(answer).toEqual({
    status: 200,
    challenge: null,
    body: {
      data: { a: { id: 'vehicles' }, b: null, _entities: [{ id: 'vehicles/1' }, null] },
      errors: [
        forbidden(['b'], [{ line: 3, column: 5 }]),
        forbidden(['_entities', 1], [{ line: 4, column: 5 }]),
      ],
    },
  });
  expect(upstream.statusCalls.map(({ target }) => target)).toEqual([
    '/core/api/v2/participants/vehicles/batch/status',
    '/core/api/v2/participants/vehicles/batch/status?batchId=1',
  ]);
});

test('18: of the participant types that are served, a caller is told only those that it may see (API1:2023)', async () => {
  await using guarded = await startGuarded({
    PARTICIPANT_TYPES: 'vehicles,drivers,operators',
    AUTH_PARTICIPANT_TYPES_CLAIM: 'types',
  });
  const { gateway, upstream } = guarded;
  const query = `query ($them: [_Any!]!) {
    batchStatus(participantType: "lorries") { id }
    _entities(representations: $them) { ... on BatchStatus { id } }
  }`;
  const them = [
    { __typename: 'BatchStatus', id: 'lorries' },
    { __typename: 'BatchStatus', participantType: 'lorries' },
  ];
  const messagesFor = async (types: string[]) => {
    const token = await guarded.issueToken({ types });
    const { body } = await send(gateway, { query, variables: { them } }, bearer(token));
    return JSON.stringify(body).match(/(?<="message":")[^"]*/g);
  };
  const thrice = (message: string) => [message, message, message];
  // Whether it is served is not told either.
  const hidden = thrice('You may not see batches of this participant type.');
  expect(await messagesFor(['drivers'])).toEqual(hidden);
  expect(await messagesFor([])).toEqual(hidden);
  expect(await messagesFor(['lorries', 'drivers'])).toEqual(
    thrice('participantType accepts one of: drivers.'),
  );
  expect(await messagesFor(['lorries'])).toEqual(
    thrice('The gateway serves none of the participant types that you may see.'),
  );
  expect(upstream.statusCalls).toEqual([]);
});

test('18: what is kept of one caller is not given to another (API1:2023)', async () => {
  await using guarded = await startGuarded({ AUTH_PARTICIPANT_TYPES_CLAIM: 'types' });
  const { gateway, upstream } = guarded;
  const one = bearer(await guarded.issueToken({ types: 'vehicles drivers' }));
  const same = bearer(await guarded.issueToken({ types: ['drivers', 'vehicles'] }));
  const without = [{ types: ['drivers'] }, { types: [] }, {}, { types: { vehicles: true } }];
  for (const headers of [one, one, one, same]) {
    expect(await send(gateway, VEHICLES, headers)).toEqual(SUCCESS);
  }
  for (const claims of without) {
    expect(await send(gateway, VEHICLES, bearer(await guarded.issueToken(claims)))).toMatchObject({
      status: 200,
      body: { data: { batchStatus: null }, errors: [{ extensions: { code: 'FORBIDDEN' } }] },
    });
  }
  expect(upstream.statusCalls).toHaveLength(1);
  expect(gateway.logLines.filter((line) => line.includes('"cached":true'))).not.toEqual([]);
});

test('92: a stale copy is for who may see its participant type alone (API1:2023)', async () => {
  await using guarded = await startGuarded({
    AUTH_PARTICIPANT_TYPES_CLAIM: 'types',
    STATUS_TTL_MS: '0',
  });
  const { gateway, upstream } = guarded;
  const permitted = bearer(await guarded.issueToken({ types: ['vehicles'] }));
  const other = bearer(await guarded.issueToken({ types: ['drivers'] }));
  const query = { query: '{ batchStatus(participantType: "vehicles") { stale } }' };
  const seen = (stale: boolean) => ({ status: 200, body: { data: { batchStatus: { stale } } } });
  expect(await send(gateway, query, permitted)).toMatchObject(seen(false));
  upstream.onStatus = () => ({ status: 500 });
  expect(await send(gateway, query, permitted)).toMatchObject(seen(true));
  expect(await send(gateway, query, other)).toMatchObject({
    body: { data: { batchStatus: null }, errors: [{ extensions: { code: 'FORBIDDEN' } }] },
  });
  expect(upstream.statusCalls).toHaveLength(2);
});

const ENTITIES = {
  query:
    '{ _entities(representations: [{ __typename: "BatchStatus", id: "vehicles" }]) { __typename } }',
};
const SDL = { query: '{ _service { sdl } }' };

function forRoutersOnly(field: string) {
  return {
    status: 403,
    challenge: null,
    body: {
      errors: [
        {
          message: `${field} is for routers only.`,
          extensions: { code: 'FORBIDDEN', retryable: false, requestId: UUID },
        },
      ],
    },
  };
}

test('8: with FEDERATION_SECRET, _entities and _service are for who sends it (API5:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  const secret = 'canary-router-secret';
  await using gateway = await startTestGateway({
    upstream,
    environment: { FEDERATION_SECRET: secret, AUTH_MODE: 'none' },
  });
  const router = { 'router-authorization': secret };
  const taken = { status: 200, body: { data: { _entities: [{ __typename: 'BatchStatus' }] } } };
  expect(await send(gateway, ENTITIES, router)).toMatchObject(taken);
  expect(await send(gateway, SDL, router)).toMatchObject({
    status: 200,
    body: { data: { _service: { sdl: expect.stringContaining('type BatchStatus') } } },
  });
  // Also after the router's answer is kept.
  const others: Record<string, string>[] = [
    {},
    { 'router-authorization': `${secret}x` },
    { 'router-authorization': '' },
  ];
  for (const headers of others) {
    expect(await send(gateway, ENTITIES, headers)).toEqual(forRoutersOnly('_entities'));
    expect(await send(gateway, SDL, headers)).toEqual(forRoutersOnly('_service'));
  }
  expect(await send(gateway, VEHICLES, {})).toEqual(SUCCESS);
  expect(gateway.logLines.join('')).not.toContain(secret);
});

test('8: with FEDERATION_SCOPE, _entities is for callers with that scope (API5:2023)', async () => {
  await using guarded = await startGuarded({ FEDERATION_SCOPE: 'router' });
  const router = bearer(await guarded.issueToken({ scope: 'router' }));
  const user = bearer(await guarded.issueToken({ scope: 'batch:read' }));
  for (let round = 0; round < 2; round += 1) {
    expect(await send(guarded.gateway, ENTITIES, router)).toMatchObject({
      body: { data: { _entities: [{ __typename: 'BatchStatus' }] } },
    });
    expect(await send(guarded.gateway, ENTITIES, user)).toEqual(forRoutersOnly('_entities'));
  }
});

const FOR_THE_ROUTER: Answer = {
  status: 403,
  challenge: null,
  body: {
    errors: [
      {
        message: 'The gateway is for its router only.',
        extensions: { code: 'FORBIDDEN', retryable: false, requestId: UUID },
      },
    ],
  },
};

/** The members of the log's entries with that text. */
function entriesOf(gateway: TestGateway, msg: string): object[] {
  return gateway.logLines.map((line) => JSON.parse(line)).filter((entry) => entry.msg === msg);
}

test('8: with CALLERS=router, all of the endpoint is for who sends FEDERATION_SECRET (API5:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  const secret = 'canary-router-secret';
  await using gateway = await startTestGateway({
    upstream,
    environment: { CALLERS: 'router', FEDERATION_SECRET: secret, AUTH_MODE: 'none' },
  });
  const introspection = { query: '{ __schema { queryType { name } } }' };
  const malformed = { query: '{' };
  for (const body of [VEHICLES, ENTITIES, SDL, introspection, malformed]) {
    expect(await send(gateway, body)).toEqual(FOR_THE_ROUTER);
    const wrong = { 'router-authorization': `${secret}x` };
    expect(await send(gateway, body, wrong)).toEqual(FOR_THE_ROUTER);
  }
  const page = await fetch(gateway.endpoint, { headers: { accept: 'text/html' } });
  expect(page.status).toBe(403);
  const ready = await fetch(new URL('/livez', gateway.url));
  expect(ready.status).toBe(200);
  expect(upstream.statusCalls).toEqual([]);
  expect(await send(gateway, VEHICLES, { 'router-authorization': secret })).toEqual(SUCCESS);
  // Also after the router's answer is kept.
  expect(await send(gateway, VEHICLES)).toEqual(FOR_THE_ROUTER);
  expect(entriesOf(gateway, 'request')[0]).toMatchObject({
    status: 403,
    codes: ['FORBIDDEN'],
    refusal:
      'CALLERS is router, and this is none: it shows neither FEDERATION_SECRET nor FEDERATION_SCOPE',
  });
  expect(gateway.logLines.join('')).not.toContain(secret);
});

test('8: with CALLERS=router, a token with FEDERATION_SCOPE is enough, and one without is not (API5:2023)', async () => {
  await using guarded = await startGuarded({ CALLERS: 'router', FEDERATION_SCOPE: 'router' });
  const router = bearer(await guarded.issueToken({ scope: 'router' }));
  const user = bearer(await guarded.issueToken({ scope: 'batch:read' }));
  for (let round = 0; round < 2; round += 1) {
    expect(await send(guarded.gateway, VEHICLES, router)).toEqual(SUCCESS);
    expect(await send(guarded.gateway, VEHICLES, user)).toEqual(FOR_THE_ROUTER);
  }
  expect(await send(guarded.gateway, VEHICLES)).toEqual(NO_TOKEN);
});

test('8: a wrong router-authorization is a warning with a code of its own, once a minute (API5:2023)', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: { FEDERATION_SECRET: 'canary-router-secret', AUTH_MODE: 'none' },
  });
  const warnings = () => entriesOf(gateway, 'a router-authorization is not FEDERATION_SECRET');
  const guess = (requestId: string) =>
    send(gateway, VEHICLES, { 'router-authorization': 'canary-guess', 'x-request-id': requestId });
  await send(gateway, VEHICLES);
  await send(gateway, VEHICLES, { 'router-authorization': 'canary-router-secret' });
  expect(warnings()).toEqual([]);
  await guess('first');
  clock.advance(59_999);
  await guess('second');
  const first = {
    level: 'warn',
    time: expect.any(String),
    code: 'wrong_router_authorization',
    requestId: 'first',
    msg: 'a router-authorization is not FEDERATION_SECRET',
  };
  expect(warnings()).toEqual([first]);
  clock.advance(1);
  await guess('third');
  expect(warnings()).toEqual([first, { ...first, requestId: 'third' }]);
  expect(gateway.logLines.join('')).not.toContain('canary');
});

test('FORWARD_USER_INFO=on tells the upstream who asks, and shares answers within one user only', async () => {
  await using guarded = await startGuarded({ FORWARD_USER_INFO: 'on' });
  const { gateway, upstream } = guarded;
  const names = ['Zoë 🚚\u0000', undefined];
  const tokens = await Promise.all(names.map((name) => guarded.issueToken({ name })));
  for (const token of [...tokens, ...tokens]) {
    expect(await send(gateway, VEHICLES, bearer(token))).toEqual(SUCCESS);
  }
  expect(upstream.statusCalls.map(({ headers }) => headers['x-coreos-userinfo'])).toEqual([
    '{"id":"sandbox-user","name":"Zo\\u00eb \\ud83d\\ude9a\\u0000"}',
    '{"id":"sandbox-user"}',
  ]);
  expect(gateway.logLines.join('')).not.toContain('Zo');
});

test('without FORWARD_USER_INFO the upstream is told of nobody, and callers share an answer', async () => {
  await using guarded = await startGuarded();
  for (const name of ['One', 'Two']) {
    const token = await guarded.issueToken({ name });
    expect(await send(guarded.gateway, VEHICLES, bearer(token))).toEqual(SUCCESS);
  }
  expect(guarded.upstream.statusCalls.map(({ headers }) => headers['x-coreos-userinfo'])).toEqual([
    undefined,
  ]);
});

test('19: a key rotation of the provider under load costs no error, and one look at its keys (API2:2023)', async () => {
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: provider.issuer.origin,
      AUTH_AUDIENCE: GATEWAY_AUDIENCE,
    },
  });
  const before = await Promise.all(Array.from({ length: 10 }, () => provider.issueToken()));
  const early = Promise.all(before.map((token) => send(gateway, VEHICLES, bearer(token))));
  await provider.rotateKeys();
  const after = await Promise.all(Array.from({ length: 10 }, () => provider.issueToken()));
  const mixed = [...after, ...before, ...after].map((token) =>
    send(gateway, VEHICLES, bearer(token)),
  );
  for (const answer of [...(await early), ...(await Promise.all(mixed))]) {
    expect(answer).toEqual(SUCCESS);
  }
  expect(provider.requests.filter((line) => line === 'GET /jwks')).toHaveLength(2);
});

test('21: a provider that is down from the start is 503, not 401; it is asked again later (API2:2023)', async () => {
  await using provider = await startOpenIdProvider();
  const token = await provider.issueToken();
  provider.isDown = true;
  await using gateway = await startTestGateway({
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: provider.issuer.origin,
      AUTH_AUDIENCE: GATEWAY_AUDIENCE,
    },
  });
  const answer = await send(gateway, VEHICLES, bearer(token));
  expect(answer).toEqual({
    status: 503,
    challenge: null,
    body: {
      errors: [
        {
          message: "The gateway cannot check access tokens: their issuer's keys cannot be fetched.",
          extensions: {
            code: 'TOKEN_UNAVAILABLE',
            retryable: true,
            retryAfterMs: expect.any(Number),
            requestId: UUID,
          },
        },
      ],
    },
  });
  const ready = await fetch(new URL('/readyz', gateway.url));
  expect([ready.status, await ready.json()]).toMatchObject([
    503,
    { notReady: expect.objectContaining({ keys: "none of the keys of callers' tokens yet" }) },
  ]);
  provider.isDown = false;
  await expect
    .poll(() => send(gateway, VEHICLES, bearer(token)).then(({ status }) => status), {
      timeout: 5_000,
    })
    .toBe(200);
});

test('21: a provider that goes down does not shut out its tokens (API2:2023)', async () => {
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: provider.issuer.origin,
      AUTH_AUDIENCE: GATEWAY_AUDIENCE,
    },
  });
  const [seen, unseen] = await Promise.all([provider.issueToken(), provider.issueToken()]);
  expect(await send(gateway, VEHICLES, bearer(seen))).toEqual(SUCCESS);
  provider.isDown = true;
  for (const token of [seen, unseen]) {
    expect(await send(gateway, VEHICLES, bearer(token))).toEqual(SUCCESS);
  }
});

test("29: an issuer that hangs keeps a caller no longer than the request's deadline (API2:2023)", async () => {
  const clock = new TestClock();
  await using issuer = await startScriptedUpstream();
  issuer.onStatus = () => undefined;
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: issuer.url.origin,
      AUTH_AUDIENCE: GATEWAY_AUDIENCE,
      REQUEST_DEADLINE_MS: '300',
    },
  });
  const claims = { iss: issuer.url.origin, exp: 4_000_000_000 };
  const token = `${encode({ alg: 'RS256', typ: 'at+jwt', kid: 'k' })}.${encode(claims)}.c2ln`;
  const begun = clock.now();
  const { status, body } = await clock.elapse(send(gateway, VEHICLES, bearer(token)));
  expect(clock.now() - begun).toBeLessThan(400);
  expect([status, body]).toEqual([
    503,
    {
      errors: [
        {
          message: "The gateway cannot check access tokens: their issuer's keys do not come.",
          extensions: { code: 'TOKEN_UNAVAILABLE', retryable: true, requestId: UUID },
        },
      ],
    },
  ]);
});

test('35: with FORWARD_USER_INFO=on, a stale copy is for the user alone for whom it was fetched (API3:2023)', async () => {
  await using guarded = await startGuarded({ FORWARD_USER_INFO: 'on', STATUS_TTL_MS: '0' });
  const { gateway, upstream } = guarded;
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map((sub) => guarded.issueToken({ sub })),
  );
  const query = '{ batchStatus(participantType: "vehicles") { status stale } }';
  const ask = async (token = '') => (await send(gateway, { query }, bearer(token))).body;
  expect(await ask(alice)).toEqual({
    data: { batchStatus: { status: 'IN_PROGRESS', stale: false } },
  });
  upstream.onStatus = () => ({ status: 500 });
  for (let index = 0; index < 10; index += 1) await ask(bob);
  expect(await ask(alice)).toEqual({
    data: { batchStatus: { status: 'IN_PROGRESS', stale: true } },
  });
  expect(await ask(bob)).toMatchObject({
    data: { batchStatus: null },
    errors: [{ extensions: { code: 'UPSTREAM_UNAVAILABLE' } }],
  });
});

test.each<Record<string, string>>([{}, { AUTH_SCOPE_CLAIM: 'access.roles' }])(
  'with AUTH_MODE=jwt on the sandbox, a line prints a token that works: %o',
  async (environment) => {
    await using program = runProgram('bin/participant-gateway.js', {
      ...environment,
      PORT: '0',
      AUTH_MODE: 'jwt',
      AUTH_REQUIRED_SCOPES: 'batch:read',
      AUTH_PARTICIPANT_TYPES_CLAIM: 'types',
    });
    const [, curl = ''] = await program.printed(/curl +(curl .+)\n/);
    const [, token = ''] = await program.printed(/\n {2}(ey[\w.-]+)\n/);
    const [, address = '', authorization = '', body = ''] =
      /^curl -s (\S+) -H 'content-type: application\/json' -H 'authorization: ([^']+)' -d '([^']+)'$/.exec(
        curl,
      ) ?? [];
    expect(authorization).toBe(`Bearer ${token}`);
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', body };
    const refused = await fetch(address, { ...init, headers });
    expect(refused.status).toBe(401);
    const taken = await fetch(address, { ...init, headers: { ...headers, authorization } });
    expect([taken.status, await taken.json()]).toEqual([
      200,
      { data: { batchStatus: { status: 'PARTIAL_SUCCESS', progress: 1 } } },
    ]);
  },
);

test('64: a gateway that others can reach does not start before AUTH_MODE is said', async () => {
  await using program = runProgram('bin/participant-gateway.js', { PORT: '0', HOST: '0.0.0.0' });
  expect(await program.exited).toBe(1);
  expect(program.output()).toBe(
    "The settings are faulty:\n  AUTH_MODE is missing, although others than this machine can connect to HOST: whoever does could read the tenant's batches; it accepts jwt, or none where something in front of the gateway checks who calls\n",
  );
});
