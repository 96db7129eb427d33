import { expect, test } from 'vitest';
import { GATEWAY_AUDIENCE, startOpenIdProvider } from '../support/openid-provider.ts';
import {
  type ScriptedAnswer,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway } from '../support/test-gateway.ts';

const BOM = '\ufeff';
const OAUTH2 = { access_token: 'granted', token_type: 'Bearer', expires_in: 60 };
const SUCCESS = {
  status: 200,
  body: { data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } },
};

const json = (body: object, mark = ''): ScriptedAnswer => ({ body: mark + JSON.stringify(body) });
const oauth2 = (more: object) => json({ ...OAUTH2, ...more });
const os1 = (more: object) => json({ data: { accessToken: 'granted', expiresIn: 60, ...more } });

async function startWith(answer: ScriptedAnswer, grant: string) {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startScriptedUpstream());
  upstream.onToken = () => answer;
  const environment =
    grant === 'os1' ? {} : { TOKEN_GRANT: grant, TOKEN_URL: `${upstream.url.origin}/token` };
  const gateway = stack.use(await startTestGateway({ upstream, environment }));
  return { upstream, gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const tokenOf = ({ statusCalls }: ScriptedUpstream) =>
  statusCalls[0]?.headers['x-coreos-access'] ?? statusCalls[0]?.headers['authorization'];

/** What a good token may come with. */
const GRANTS: [name: string, answer: ScriptedAnswer, grant: 'os1' | 'oauth2'][] = [
  [
    'members that are null',
    oauth2({ scope: null, refresh_token: null, expires_in: null }),
    'oauth2',
  ],
  ['an ID token that is null', oauth2({ id_token: null, token_type: 'bearer' }), 'oauth2'],
  ['an ID token that nobody asked for', oauth2({ id_token: 'e30.e30.e30' }), 'oauth2'],
  ['members of other types', oauth2({ id_token: {}, refresh_token: 7, scope: false }), 'oauth2'],
  ['a list as scope', oauth2({ scope: ['batch:read'], token_type: 'BEARER' }), 'oauth2'],
  ['a byte order mark', json(OAUTH2, BOM), 'oauth2'],
  ['another content-type', { ...oauth2({}), headers: { 'content-type': 'text/plain' } }, 'oauth2'],
  ['status 201', { ...oauth2({}), status: 201 }, 'oauth2'],
  ['members that are null', os1({ expiresIn: null, refreshToken: null, scope: null }), 'os1'],
  ['an ID token that nobody asked for', os1({ idToken: 'x', id_token: 'x', scope: ['a'] }), 'os1'],
  ['a byte order mark', json({ data: { accessToken: 'granted' } }, BOM), 'os1'],
  ['another content-type', { ...os1({}), headers: { 'content-type': 'text/plain' } }, 'os1'],
];

for (const [name, answer, grant] of GRANTS) {
  test(`75: a token that comes with ${name} is used (${grant})`, async () => {
    await using started = await startWith(answer, grant);
    const { upstream, gateway } = started;
    expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(SUCCESS);
    expect(tokenOf(upstream)).toBe(grant === 'os1' ? 'granted' : 'Bearer granted');
  });
}

test.each([['DPoP'], ['mac'], ['N_A'], [''], [null], [7], [undefined]])(
  '75: the token type %j is told by its own words',
  async (type) => {
    await using started = await startWith(oauth2({ token_type: type }), 'oauth2');
    const { upstream, gateway } = started;
    const { body } = await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
    expect(body).toHaveProperty(
      'errors.0.message',
      "The gateway has no access token: the token endpoint's answer makes no sense: the token type is not Bearer.",
    );
    expect(upstream.statusCalls).toEqual([]);
  },
);

const HTML = { headers: { 'content-type': 'text/html' }, body: '<html>Blocked</html>' };
const BASIC = { 'www-authenticate': 'Basic realm="token"' };
const REFUSED = 'refused the credentials';

/** Answers other than a token, and what is said of each. */
const FAILURES: [name: string, answer: ScriptedAnswer, grant: 'os1' | 'oauth2', said: string][] = [
  ['401 in HTML', { status: 401, ...HTML }, 'os1', 'has the status 401'],
  ['401 in HTML', { status: 401, ...HTML }, 'oauth2', 'has the status 401'],
  [
    '401 in HTML, with a challenge',
    { status: 401, ...HTML, headers: BASIC },
    'oauth2',
    'has the status 401',
  ],
  ['403 in HTML', { status: 403, ...HTML }, 'os1', 'has the status 403'],
  ['403 in HTML', { status: 403, ...HTML }, 'oauth2', 'has the status 403'],
  ['400 in HTML', { status: 400, ...HTML }, 'os1', 'has the status 400'],
  [
    '403 of a firewall',
    { status: 403, body: { message: 'Forbidden' } },
    'os1',
    'has the status 403',
  ],
  ['403 in plain text', { status: 403, body: 'RBAC: access denied' }, 'os1', 'has the status 403'],
  ['403 with nothing', { status: 403, body: '' }, 'oauth2', 'has the status 403'],
  [
    'a failure of the moment',
    { status: 400, body: { error: 'temporarily_unavailable' } },
    'oauth2',
    'has the status 400',
  ],
  [
    '401 in the envelope',
    { status: 401, body: { error: { code: '1' } } },
    'os1',
    `${REFUSED} (401 invalid_client)`,
  ],
  [
    '403 in the envelope',
    { status: 403, body: { error: {} } },
    'os1',
    `${REFUSED} (403 invalid_client)`,
  ],
  ['401 with nothing', { status: 401, body: '' }, 'os1', `${REFUSED} (401 invalid_client)`],
  [
    '401 with a challenge alone',
    { status: 401, headers: BASIC, body: '' },
    'oauth2',
    `${REFUSED} (401 invalid_client)`,
  ],
  [
    '400 with null members',
    { status: 400, body: { error: 'invalid_scope', error_description: null } },
    'oauth2',
    `${REFUSED} (400 invalid_scope)`,
  ],
  [
    '401 with a byte order mark',
    { status: 401, body: `${BOM}{"error":"unauthorized_client"}` },
    'oauth2',
    `${REFUSED} (401 unauthorized_client)`,
  ],
];

for (const [name, answer, grant, said] of FAILURES) {
  test(`75: ${name} from the token endpoint (${grant}) ${said}`, async () => {
    await using started = await startWith(answer, grant);
    const { upstream, gateway } = started;
    const { body } = await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
    const isRefused = said.startsWith(REFUSED);
    expect(body).toHaveProperty(
      'errors.0.message',
      isRefused
        ? `The gateway could not identify itself: the token endpoint ${said}.`
        : `The gateway has no access token: the token endpoint's answer ${said}.`,
    );
    expect(body).toHaveProperty(
      'errors.0.extensions.code',
      isRefused ? 'UPSTREAM_UNAUTHENTICATED' : 'TOKEN_UNAVAILABLE',
    );
    expect(upstream.statusCalls).toEqual([]);
  });
}

test.each(['os1', 'oauth2'])(
  '75: a token endpoint with a query is asked with it (%s)',
  async (grant) => {
    await using upstream = await startScriptedUpstream();
    const target = '/token?p=B2C_1_policy&x=%2F';
    upstream.onToken = () => (grant === 'os1' ? os1({}) : oauth2({}));
    await using gateway = await startTestGateway({
      upstream,
      environment: { TOKEN_GRANT: grant, TOKEN_URL: `${upstream.url.origin}${target}` },
    });
    expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(SUCCESS);
    expect(upstream.tokenCalls.map((call) => call.target)).toEqual([target]);
  },
);

test('75: a key set with a query is asked for with it', async () => {
  await using provider = await startOpenIdProvider();
  await using issuer = await startScriptedUpstream();
  const target = '/keys?p=B2C_1_policy&x=%2F';
  const keys = await (await fetch(new URL('/jwks', provider.issuer))).text();
  issuer.onStatus = (call) => (call.target === target ? { body: keys } : { status: 404 });
  await using gateway = await startTestGateway({
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: provider.issuer.origin,
      AUTH_AUDIENCE: GATEWAY_AUDIENCE,
      AUTH_JWKS_URL: `${issuer.url.origin}${target}`,
    },
  });
  const authorization = `Bearer ${await provider.issueToken()}`;
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body: '{"query":"{ __typename }"}',
  });
  expect([response.status, await response.json()]).toEqual([
    200,
    { data: { __typename: 'Query' } },
  ]);
});
