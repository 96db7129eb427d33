import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { sendBody, startTestGateway, type TestGateway, UUID } from '../support/test-gateway.ts';

const QUERY = '{ __typename }';
const BODY = JSON.stringify({ query: QUERY });
const ANSWER = { data: { __typename: 'Query' } };

const JSON_TYPE = 'application/json; charset=utf-8';
const RESPONSE_TYPE = 'application/graphql-response+json; charset=utf-8';

function refusal(message: unknown, code = 'BAD_USER_INPUT', retryable = false) {
  return { errors: [{ message, extensions: { code, retryable, requestId: expect.any(String) } }] };
}

/** Sends bytes as they are, and resolves to all that comes back before the connection ends. */
async function sendRaw({ url }: TestGateway, text: string): Promise<string> {
  const socket = connect(Number(url.port), url.hostname).setEncoding('utf8');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  socket.write(text);
  await once(socket, 'close');
  return received;
}

/** The status line and the body of an answer. */
function parts(answer: string): [status: string, body: string] {
  const [head = '', ...body] = answer.split('\r\n\r\n');
  return [head.split('\r\n')[0] ?? '', body.join('\r\n\r\n')];
}

test.each([
  ['id, as Relay sends it', { id: 'abc' }],
  ['onError', { onError: 'PROPAGATE' }],
  ['any other', { x: { y: [1] }, queryy: 7 }],
])('73: an unknown member of a request is ignored: %s', async (_name, member) => {
  await using gateway = await startTestGateway();
  const { status, body } = await sendBody(gateway, JSON.stringify({ query: QUERY, ...member }));
  expect([status, JSON.parse(body)]).toEqual([200, ANSWER]);
});

test('73: a hash alone is told that automatic persisted queries are off; with its text it is none', async () => {
  await using gateway = await startTestGateway();
  const extensions = { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } };
  const alone = await sendBody(gateway, JSON.stringify({ extensions }));
  expect([alone.status, JSON.parse(alone.body)]).toEqual([
    200,
    refusal('PersistedQueryNotSupported', 'PERSISTED_QUERY_NOT_SUPPORTED'),
  ]);
  const get = new URL(gateway.endpoint);
  get.search = String(new URLSearchParams({ extensions: JSON.stringify(extensions) }));
  const response = await fetch(get, { headers: { 'graphql-require-preflight': '1' } });
  expect(await response.json()).toEqual(
    refusal('PersistedQueryNotSupported', 'PERSISTED_QUERY_NOT_SUPPORTED'),
  );
  const both = await sendBody(gateway, JSON.stringify({ query: QUERY, extensions }));
  expect([both.status, JSON.parse(both.body)]).toEqual([200, ANSWER]);
});

const accepts: [accept: string, contentType: string | undefined][] = [
  ['*/*', JSON_TYPE],
  ['application/*', JSON_TYPE],
  ['application/json', JSON_TYPE],
  ['APPLICATION/JSON', JSON_TYPE],
  ['application/graphql-response+json', RESPONSE_TYPE],
  ['application/graphql-response+json, application/json;q=0.9', RESPONSE_TYPE],
  ['application/json;q=0.5, application/graphql-response+json;q=0.9', RESPONSE_TYPE],
  ['application/graphql-response+json;q=0.1, */*', JSON_TYPE],
  ['application/json; q=0.2, */*; q=0.8', RESPONSE_TYPE],
  ['application/graphql-response+json;q=0, application/json', JSON_TYPE],
  ['application/json;q=0, */*', RESPONSE_TYPE],
  ['application/json;charset="utf-8"', JSON_TYPE],
  ['application/json; charset=UTF-8; profile="a,b"', JSON_TYPE],
  ['application/json;charset=iso-8859-1, application/graphql-response+json', RESPONSE_TYPE],
  [
    'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed',
    RESPONSE_TYPE,
  ],
  ['application/json;q=0', undefined],
  ['*/*;q=0', undefined],
  ['text/plain', undefined],
  ['application/json;charset=iso-8859-1', undefined],
  ['', undefined],
];
test.each(accepts)('73: accept %j', async (accept, contentType) => {
  await using gateway = await startTestGateway();
  const answer = await sendBody(gateway, BODY, { accept });
  if (contentType === undefined) {
    expect(answer.status).toBe(406);
    expect(JSON.parse(answer.body)).toEqual(refusal(expect.stringContaining('accept')));
  } else {
    expect(answer).toEqual({ status: 200, contentType, body: JSON.stringify(ANSWER) });
  }
});

test('73: GraphiQL is for who prefers HTML', async () => {
  await using gateway = await startTestGateway();
  const typeOf = async (accept: string) => {
    const url = new URL(`?query=${encodeURIComponent(QUERY)}`, gateway.endpoint);
    const response = await fetch(url, { headers: { accept, 'graphql-require-preflight': '1' } });
    return response.headers.get('content-type');
  };
  const html = 'text/html; charset=utf-8';
  const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8';
  expect(await Promise.all([browser, 'text/html', 'text/html, */*'].map(typeOf))).toEqual([
    ...[html, html, html],
  ]);
  const others = ['text/html;q=0, */*', 'text/html;q=0.5, application/json', '*/*'];
  expect(await Promise.all(others.map(typeOf))).toEqual([JSON_TYPE, JSON_TYPE, JSON_TYPE]);
});

test.each([
  'application/json;charset=us-ascii',
  'application/json; charset="UTF-8"; profile=x',
  'application/json; profile="a;b, c"',
  'Application/JSON;',
])('73: content-type %s is accepted', async (contentType) => {
  await using gateway = await startTestGateway();
  const answer = await sendBody(gateway, BODY, { 'content-type': contentType });
  expect([answer.status, JSON.parse(answer.body)]).toEqual([200, ANSWER]);
});

test.each(['application/json; charset=utf-16', 'application/json-seq', 'json', 'text/plain'])(
  '73: content-type %s is 415',
  async (contentType) => {
    await using gateway = await startTestGateway();
    const answer = await sendBody(gateway, BODY, { 'content-type': contentType });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      415,
      refusal('A POST accepts JSON in UTF-8: send content-type application/json.'),
    ]);
  },
);

test('73: an encoded body is 415 and told what is accepted; identity is none', async () => {
  await using gateway = await startTestGateway();
  const post = (encoding: string, body: string | Uint8Array<ArrayBuffer>) =>
    fetch(gateway.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': encoding },
      body,
    });
  const refused = await post('gzip', new Uint8Array(gzipSync(BODY)));
  expect([refused.status, refused.headers.get('accept-encoding'), await refused.json()]).toEqual([
    415,
    'identity',
    refusal('The body is encoded: send it as it is, without content-encoding.'),
  ]);
  const accepted = await post('identity', BODY);
  expect([accepted.status, await accepted.json()]).toEqual([200, ANSWER]);
});

test('73: a body that is not UTF-8 is 400', async () => {
  await using gateway = await startTestGateway();
  const body = new Uint8Array([...new TextEncoder().encode(BODY), 0x20, 0xff]);
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  expect([response.status, await response.json()]).toEqual([
    400,
    refusal('The request body is not UTF-8.'),
  ]);
});

test.each(['%FF', '%zz', '100%'])('73: a query string with %s is 400', async (text) => {
  await using gateway = await startTestGateway();
  const search = `?query=${encodeURIComponent(QUERY)}&variables=${text}`;
  const response = await fetch(`${gateway.endpoint}${search}`, {
    headers: { 'graphql-require-preflight': '1' },
  });
  expect([response.status, await response.json()]).toEqual([
    400,
    refusal('The query string is not percent-encoded UTF-8 (RFC 3986).'),
  ]);
});

test.each(['GET', 'PUT', 'DELETE'])(
  '73: a %s that is refused keeps its connection, as it has no body',
  async (method) => {
    await using gateway = await startTestGateway();
    const response = await fetch(gateway.endpoint, { method });
    expect([response.status, response.headers.get('connection')]).toEqual([
      method === 'GET' ? 403 : 405,
      'keep-alive',
    ]);
  },
);

test.each(['/evil', '?', '#', '\\x'])('73: a Host with %s behind it is 400', async (more) => {
  await using gateway = await startTestGateway();
  const head = `GET /livez HTTP/1.1\r\nHost: localhost${more}\r\n\r\n`;
  expect(parts(await sendRaw(gateway, head))).toEqual([
    'HTTP/1.1 400 Bad Request',
    '{"error":"The Host header is missing or malformed."}\n',
  ]);
});

const faultyDocuments: [name: string, request: object][] = [
  ['a syntax error', { query: '{' }],
  ['one unknown field', { query: '{ x }' }],
  ['20 unknown fields', { query: `{ ${'x '.repeat(20)} }` }],
  ['21 unknown fields', { query: `{ ${'x '.repeat(21)} }` }],
  ['60 unknown fields', { query: `{ ${'x '.repeat(60)} }` }],
  ['an operation that is not there', { query: 'query A { __typename }', operationName: 'B' }],
  ['an empty operationName', { query: 'query A { __typename }', operationName: '' }],
  ['no name where there are two', { query: 'query A { __typename } query B { __typename }' }],
  ['no operation', { query: 'fragment F on Query { __typename }' }],
  [
    'a variable that is missing',
    { query: 'query ($t: String!) { batchStatus(participantType: $t) { id } }' },
  ],
  [
    'a variable that is unsafe',
    {
      query: 'query ($i: ID) { batchStatus(participantType: "vehicles", batchId: $i) { id } }',
      variables: { i: 2 ** 53 },
    },
  ],
];
test.each(faultyDocuments)(
  '73: %s: 200 as application/json, 400 as application/graphql-response+json',
  async (_name, request) => {
    await using gateway = await startTestGateway();
    const statuses: number[] = [];
    for (const accept of ['application/json', 'application/graphql-response+json']) {
      const { status, body } = await sendBody(gateway, JSON.stringify(request), { accept });
      statuses.push(status);
      const { errors, ...others } = JSON.parse(body);
      expect(others).toEqual({});
      for (const { extensions } of errors)
        expect(extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
    }
    expect(statuses).toEqual([200, 400]);
  },
);

test('73: where there are no subscriptions, one is told to poll', async () => {
  await using gateway = await startTestGateway({ environment: { MAX_STREAMS: '0' } });
  const query =
    'subscription { batchStatusUpdates(batches: [{ participantType: "vehicles" }]) { batchId } }';
  const { status, body } = await sendBody(gateway, JSON.stringify({ query }));
  expect([status, JSON.parse(body)]).toEqual([
    400,
    refusal(
      'There are no subscriptions here: ask batchStatus again and again until `finished` is true.',
    ),
  ]);
});

async function get(gateway: TestGateway, headers: Record<string, string>) {
  const url = new URL(`?query=${encodeURIComponent(QUERY)}`, gateway.endpoint);
  const response = await fetch(url, { headers });
  return {
    status: response.status,
    vary: response.headers.get('vary'),
    body: await response.json(),
  };
}

test.each([
  ['of a page of the same origin', { 'sec-fetch-site': 'same-origin' }],
  [
    'of a page whose origin is on the list',
    { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' },
  ],
  ['with a header that needs a preflight', { 'graphql-require-preflight': '1' }],
])('73: a GET %s is accepted (API8:2023)', async (_name, headers) => {
  await using gateway = await startTestGateway({
    environment: { CORS_ORIGINS: 'https://app.example' },
  });
  expect(await get(gateway, headers)).toEqual({
    status: 200,
    vary: 'origin, sec-fetch-site',
    body: ANSWER,
  });
});

test.each([
  ['without a proof', {}],
  ['of a page of another site', { 'sec-fetch-site': 'cross-site' }],
  ['of a page of the same site', { 'sec-fetch-site': 'same-site' }],
  ['that somebody typed', { 'sec-fetch-site': 'none' }],
  ['of a page whose origin is not on the list', { origin: 'https://app.example.evil.example' }],
])('73: a GET %s is refused, and told the ways out (API8:2023)', async (_name, headers) => {
  await using gateway = await startTestGateway({
    environment: { CORS_ORIGINS: 'https://app.example' },
  });
  expect(await get(gateway, headers)).toEqual({
    status: 403,
    vary: 'origin, sec-fetch-site',
    body: refusal(
      'A GET could be the work of a foreign page: send the header "graphql-require-preflight: 1", or ask from a page of the same origin or of one on the list CORS_ORIGINS. Or use POST.',
      'FORBIDDEN',
    ),
  });
});

test('73: a target in absolute form is served; its authority counts as the Host', async () => {
  await using gateway = await startTestGateway();
  const { host } = gateway.url;
  const post = (target: string, hostHeader: string) =>
    sendRaw(
      gateway,
      `POST ${target} HTTP/1.1\r\nHost: ${hostHeader}\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\nConnection: close\r\n\r\n${BODY}`,
    ).then(parts);
  expect(await post(`http://${host}/graphql`, host)).toEqual([
    'HTTP/1.1 200 OK',
    JSON.stringify(ANSWER),
  ]);
  expect(await post(`HTTP://${host}/graphql?x=1`, host)).toEqual([
    'HTTP/1.1 200 OK',
    JSON.stringify(ANSWER),
  ]);
  expect(await post(`http://evil.example/graphql`, host)).toEqual([
    'HTTP/1.1 400 Bad Request',
    '{"error":"The request target names another host than the Host header."}\n',
  ]);
  expect(await post('http://evil.example/graphql', 'evil.example')).toEqual([
    'HTTP/1.1 421 Misdirected Request',
    expect.stringContaining('AUTH_MODE'),
  ]);
  expect((await post('ftp://evil.example/', host))[0]).toBe('HTTP/1.1 400 Bad Request');
  expect(await post(`http://evil@${host}/graphql`, host)).toEqual([
    'HTTP/1.1 400 Bad Request',
    '{"error":"The request target is neither a path nor an http URL."}\n',
  ]);
  for (const authority of ['', `${host}\\x`]) {
    expect((await post(`http://${authority}/graphql`, host))[0]).toBe('HTTP/1.1 400 Bad Request');
  }
  expect((await post('https://localhost/graphql', 'localhost:443'))[0]).toBe('HTTP/1.1 200 OK');
  expect((await post('https://localhost/graphql', 'localhost:80'))[0]).toMatch(/ 400 /);
  // As in a target that is a path.
  expect((await post(`http://${host}/livez/%2e%2e/graphql`, host))[0]).toMatch(/ 404 /);
  expect((await post('http://[/', host))[0]).toBe('HTTP/1.1 400 Bad Request');
});

test('73: a slash at the end changes nothing', async () => {
  await using gateway = await startTestGateway();
  const paths = ['/graphql/', '/livez/'];
  const statuses = await Promise.all(
    paths.map(
      async (path) =>
        (await fetch(new URL(path, gateway.url), { headers: { accept: 'text/html' } })).status,
    ),
  );
  expect(statuses).toEqual([200, 200]);
  const { status, body } = await sendBody({ endpoint: new URL('/graphql/', gateway.url) }, BODY);
  expect([status, JSON.parse(body)]).toEqual([200, ANSWER]);
});

test('73: HEAD is where GET is, without a body', async () => {
  await using gateway = await startTestGateway();
  const query = `/graphql?query=${encodeURIComponent(QUERY)}`;
  const headers = { 'graphql-require-preflight': '1' };
  for (const path of ['/livez', query]) {
    const got = await fetch(new URL(path, gateway.url), { headers });
    const head = await fetch(new URL(path, gateway.url), { method: 'HEAD', headers });
    const length = String((await got.arrayBuffer()).byteLength);
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([
      200,
      length,
      '',
    ]);
  }
});

test("73: HTTP/1.0 without a Host reaches the probes, as HAProxy's check does", async () => {
  await using gateway = await startTestGateway();
  for (const method of ['GET', 'HEAD']) {
    const [status] = parts(await sendRaw(gateway, `${method} /livez HTTP/1.0\r\n\r\n`));
    expect([method, status]).toEqual([method, 'HTTP/1.1 200 OK']);
  }
  const [status] = parts(
    await sendRaw(gateway, 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n'),
  );
  expect(status).toBe('HTTP/1.1 400 Bad Request');
});

test('73: of two x-request-id the first well-formed one counts', async () => {
  await using gateway = await startTestGateway();
  const idFor = async (lines: string[]) => {
    const answer = await sendRaw(
      gateway,
      `POST /graphql HTTP/1.1\r\nHost: ${gateway.url.host}\r\n${lines.map((id) => `X-Request-Id: ${id}\r\n`).join('')}Content-Type: application/json\r\nContent-Length: ${BODY.length}\r\nConnection: close\r\n\r\n${BODY}`,
    );
    return /^x-request-id: (.+)\r$/m.exec(answer)?.[1];
  };
  expect(await idFor(['one', 'two'])).toBe('one');
  expect(await idFor(['not one word', 'two'])).toBe('two');
  expect(await idFor(['a,b'])).toBe('a');
  expect(await idFor(['not one', '"x"'])).toEqual(UUID);
  expect(await idFor([])).toEqual(UUID);
});
