import { request } from 'node:http';
import { expect, test } from 'vitest';
import { TestClock } from '../support/test-clock.ts';
import { type GraphQLAnswer, startTestGateway, type TestGateway } from '../support/test-gateway.ts';

const APP = 'https://app.example';
const BODY = '{"query":"{ __typename }"}';
const JSON_TYPE = { 'content-type': 'application/json' };

async function send(gateway: TestGateway, init: RequestInit, search = ''): Promise<GraphQLAnswer> {
  const response = await fetch(new URL(search, gateway.endpoint), init);
  return { status: response.status, body: await response.json() };
}

function refusal(status: number, code: string, message: string) {
  const extensions = { code, retryable: false, requestId: expect.any(String) };
  return { status, body: { errors: [{ message, extensions }] } };
}

const NOT_JSON = refusal(
  415,
  'BAD_USER_INPUT',
  'A POST accepts JSON in UTF-8: send content-type application/json.',
);

const UNPREFLIGHTED: [name: string, type: string | undefined][] = [
  ['9: a form', 'application/x-www-form-urlencoded'],
  ['9: a multipart form', 'multipart/form-data; boundary=x'],
  ['9: text', 'text/plain'],
  ['9: text that has the word json in a parameter', 'text/plain; application/json'],
  ['9: XML', 'application/xml'],
  ['9: JSON in a longer name', 'application/jsonp'],
  ['13: JSON in ISO-8859-1', 'application/json; charset=iso-8859-1'],
  ['13: JSON in UTF-16', 'application/json;charset=utf-16'],
  ['9: a body without a type', undefined],
];
for (const [name, type] of UNPREFLIGHTED) {
  test(`${name} is 415, and runs nothing (API8:2023)`, async () => {
    await using gateway = await startTestGateway();
    // A body of bytes has no type of its own.
    const body = new TextEncoder().encode(BODY);
    const headers = { ...(type === undefined ? {} : { 'content-type': type }) };
    expect(await send(gateway, { method: 'POST', headers, body })).toEqual(NOT_JSON);
  });
}

test.each([
  'application/json',
  'Application/JSON',
  'application/json; charset=utf-8',
  'application/json;charset="UTF-8"',
])('13: %s is taken', async (type) => {
  await using gateway = await startTestGateway();
  const init = { method: 'POST', headers: { 'content-type': type }, body: BODY };
  expect(await send(gateway, init)).toEqual({
    status: 200,
    body: { data: { __typename: 'Query' } },
  });
});

const QUERY = '?query={__typename}';
test('9: a GET that a page can send without a preflight is 403', async () => {
  await using gateway = await startTestGateway();
  const refused = refusal(
    403,
    'FORBIDDEN',
    'A GET could be the work of a foreign page: send the header "graphql-require-preflight: 1", or ask from a page of the same origin or of one on the list CORS_ORIGINS. Or use POST.',
  );
  for (const headers of [{}, { 'content-type': 'text/plain' }, { 'graphql-require-preflight': '' }])
    expect(await send(gateway, { headers }, QUERY)).toEqual(refused);
});

test.each([
  { 'graphql-require-preflight': '1' },
  { 'apollo-require-preflight': 'true' },
  { 'x-apollo-operation-name': 'Name' },
  JSON_TYPE,
])('9: a GET with %o is answered', async (headers) => {
  await using gateway = await startTestGateway();
  expect(await send(gateway, { headers }, QUERY)).toEqual({
    status: 200,
    body: { data: { __typename: 'Query' } },
  });
});

test('GET_QUERIES=off: a GET is 405, and says what is taken', async () => {
  await using gateway = await startTestGateway({ environment: { GET_QUERIES: 'off' } });
  const response = await fetch(new URL(QUERY, gateway.endpoint), { headers: JSON_TYPE });
  expect(response.headers.get('allow')).toBe('POST, OPTIONS');
  expect({ status: response.status, body: await response.json() }).toEqual(
    refusal(405, 'BAD_USER_INPUT', 'GraphQL accepts POST.'),
  );
});

/** What a browser reads of an answer to decide whether a page may have it. */
async function corsHeaders(gateway: TestGateway, origin: string, init: RequestInit = {}) {
  const { headers, ...rest } = { method: 'POST', headers: JSON_TYPE, ...init };
  const response = await fetch(gateway.endpoint, {
    ...rest,
    headers: { ...Object.fromEntries(new Headers(headers)), origin },
    ...(rest.method === 'POST' ? { body: BODY } : {}),
  });
  await response.text();
  const cors = [...response.headers].filter(([name]) => /^(access-control-|vary$)/.test(name));
  return { status: response.status, ...Object.fromEntries(cors) };
}

const PREFLIGHT = {
  method: 'OPTIONS',
  headers: {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  },
};

test('10: an origin on the list gets CORS headers and its preflight allowed', async () => {
  await using gateway = await startTestGateway({ environment: { CORS_ORIGINS: APP } });
  const allowed = {
    vary: 'origin, sec-fetch-site',
    'access-control-allow-origin': APP,
    'access-control-expose-headers': 'x-request-id, retry-after, www-authenticate',
  };
  expect(await corsHeaders(gateway, APP)).toEqual({ status: 200, ...allowed });
  const yoga = { headers: { 'content-type': 'application/graphql+json' } };
  expect(await corsHeaders(gateway, APP, yoga)).toEqual({ status: 200, ...allowed });
  const refused = { headers: { 'content-type': 'text/plain' } };
  expect(await corsHeaders(gateway, APP, refused)).toEqual({ status: 415, ...allowed });
  expect(await corsHeaders(gateway, APP, PREFLIGHT)).toEqual({
    status: 204,
    ...allowed,
    'access-control-allow-headers': 'authorization,content-type',
    'access-control-allow-methods': 'GET, POST',
    'access-control-max-age': '7200',
  });
});

test.each([
  'https://evil.example',
  'https://app.example.evil.example',
  'http://app.example',
  'https://APP.example',
  'null',
])('10: the origin %s, not on the list, gets no CORS headers', async (origin) => {
  await using gateway = await startTestGateway({ environment: { CORS_ORIGINS: APP } });
  expect(await corsHeaders(gateway, origin)).toEqual({
    status: 200,
    vary: 'origin, sec-fetch-site',
  });
  expect(await corsHeaders(gateway, origin, PREFLIGHT)).toEqual({
    status: 204,
    vary: 'origin, sec-fetch-site',
  });
});

test('90: CORS_ORIGINS lists apps in web views, and by * the sites of one domain, a label deep (API8:2023)', async () => {
  await using gateway = await startTestGateway({
    environment: {
      CORS_ORIGINS: 'https://*.example.com,capacitor://localhost,ionic://localhost',
    },
  });
  const allowedFor = async (origin: string) => {
    const [preflight, post, get] = await Promise.all([
      fetch(gateway.endpoint, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      }),
      fetch(gateway.endpoint, {
        method: 'POST',
        headers: { ...JSON_TYPE, origin },
        body: BODY,
      }),
      fetch(new URL(QUERY, gateway.endpoint), { headers: { origin } }),
    ]);
    const allowed = [preflight, post, get].map(({ headers }) =>
      headers.get('access-control-allow-origin'),
    );
    return [...allowed, preflight.headers.has('access-control-allow-methods'), get.status];
  };
  for (const origin of [
    'https://app.example.com',
    'https://pr-12.example.com',
    'capacitor://localhost',
    'ionic://localhost',
  ]) {
    expect(await allowedFor(origin)).toEqual([origin, origin, origin, true, 200]);
  }
  for (const origin of [
    'https://example.com',
    'https://a.app.example.com',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.example',
    'https://evil.example/.example.com',
    'https://appexample.com',
    'https://*.example.com',
    'https://.example.com',
    'https://-.example.com',
    'capacitor://other',
    'null',
  ]) {
    expect(await allowedFor(origin)).toEqual([null, null, null, false, 403]);
  }
});

test('10: without CORS_ORIGINS no origin gets CORS headers', async () => {
  await using gateway = await startTestGateway();
  expect(await corsHeaders(gateway, APP)).toEqual({ status: 200, vary: 'origin, sec-fetch-site' });
  expect(await corsHeaders(gateway, APP, PREFLIGHT)).toEqual({
    status: 204,
    vary: 'origin, sec-fetch-site',
  });
});

test('answers are not to be stored or taken for another type', async () => {
  await using gateway = await startTestGateway();
  for (const type of ['application/json', 'application/graphql+json']) {
    const init = { method: 'POST', headers: { 'content-type': type }, body: BODY };
    const { headers } = await fetch(gateway.endpoint, init);
    expect([headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual([
      'no-store',
      'nosniff',
    ]);
  }
});

test('GraphiQL has a policy that runs no script but its own', async () => {
  await using gateway = await startTestGateway();
  const { headers } = await fetch(gateway.endpoint, { headers: { accept: 'text/html' } });
  expect(headers.get('content-security-policy')).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
});

test("9: by a name that is not the machine's own, nothing is answered while AUTH_MODE is not set: DNS rebinding (API8:2023)", async () => {
  await using open = await startTestGateway();
  await using said = await startTestGateway({ environment: { AUTH_MODE: 'none' } });
  const ask = (gateway: TestGateway, host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { ...JSON_TYPE, host };
      const sent = request(gateway.endpoint, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.once('error', reject);
      sent.end(BODY);
    });
  const { port } = open.url;
  const own = [
    `localhost:${port}`,
    `127.0.0.1:${port}`,
    `[::1]:${port}`,
    'LOCALHOST',
    'acme.localhost',
  ];
  for (const host of own) {
    expect(await ask(open, host)).toBe(200);
  }
  for (const host of [`evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil.example']) {
    expect(await ask(open, host)).toBe(421);
    expect(await ask(said, host)).toBe(200);
  }
});

test('10: an origin that is refused is told in the log, once a minute', async () => {
  const clock = new TestClock();
  await using gateway = await startTestGateway({ clock, environment: { CORS_ORIGINS: APP } });
  const told = () =>
    gateway.logLines
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => msg === 'an origin is not in CORS_ORIGINS')
      .map(({ level, origin }) => [level, origin]);
  const post = (headers: Record<string, string>) =>
    send(gateway, { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: BODY });

  await post({});
  await post({ origin: APP });
  // The gateway's own page, and one of something in front of it that changes the host.
  await post({ origin: gateway.url.origin });
  await post({ origin: 'https://gateway.example', 'sec-fetch-site': 'same-origin' });
  expect(told()).toEqual([]);

  const foreign = { origin: 'http://localhost:5173' };
  const preflight = { ...foreign, 'access-control-request-method': 'POST' };
  await fetch(gateway.endpoint, { method: 'OPTIONS', headers: preflight });
  await post({ ...foreign, 'sec-fetch-site': 'same-site' });
  expect(told()).toEqual([['warn', 'http://localhost:5173']]);
  await post({ origin: `https://${'x'.repeat(1_000)}.example` });
  await post({ origin: 'null', 'sec-fetch-site': 'cross-site' });
  expect(told().slice(1)).toEqual([
    ['warn', `https://${'x'.repeat(192)}`],
    ['warn', 'null'],
  ]);
  clock.advance(60_000);
  await post(foreign);
  expect(told().at(-1)).toEqual(['warn', 'http://localhost:5173']);
  expect(told()).toHaveLength(4);
});
