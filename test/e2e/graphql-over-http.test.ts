import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { auditServer } from 'graphql-http';
import { expect, test } from 'vitest';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import {
  STATUS_QUERY,
  sendBody,
  startTestGateway,
  type TestGateway,
} from '../support/test-gateway.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

async function post(
  gateway: TestGateway,
  body: string,
  headers: Record<string, string> = JSON_TYPE,
) {
  const response = await fetch(gateway.endpoint, { method: 'POST', headers, body });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

function refusal(message: string, extra: object = {}) {
  return {
    errors: [
      {
        message,
        ...extra,
        extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: expect.any(String) },
      },
    ],
  };
}

const badBodies: [name: string, body: string, answer: { status: number; body: object }][] = [
  [
    'a body that is not JSON',
    '{"query": ',
    { status: 400, body: refusal('The body is not valid JSON.') },
  ],
  [
    'an empty body',
    '',
    { status: 400, body: refusal('The request has no body: send JSON with a query.') },
  ],
  [
    'a body that is a number',
    '7',
    { status: 400, body: refusal('The body has to be a JSON object with a query.') },
  ],
  [
    'no query',
    '{"variables":{}}',
    {
      status: 400,
      body: refusal('The parameter query is missing: the text of a GraphQL document.'),
    },
  ],
  [
    'variables that are a string',
    '{"query":"{ __typename }","variables":"x"}',
    {
      status: 400,
      body: refusal('The parameter variables has to be an object.'),
    },
  ],
  [
    '6: an array of requests',
    '[{"query":"{ __typename }"}]',
    { status: 400, body: refusal('Batching is not supported: send one operation in one request.') },
  ],
  [
    'a syntax error',
    JSON.stringify({ query: '{ batchStatus( }' }),
    {
      status: 200,
      body: refusal('Syntax Error: Expected Name, found "}".', {
        locations: [{ line: 1, column: 16 }],
      }),
    },
  ],
  [
    'an unknown field',
    JSON.stringify({ query: '{ batchStatus(participantType: "vehicles") { statsu } }' }),
    {
      status: 200,
      body: refusal(
        'Cannot query field "statsu" on type "BatchStatus". Did you mean "status" or "stale"?',
        {
          locations: [{ line: 1, column: 46 }],
        },
      ),
    },
  ],
  [
    'a variable of a wrong type',
    JSON.stringify({ query: STATUS_QUERY, variables: { participantType: 7 } }),
    {
      status: 200,
      body: refusal(
        'Variable "$participantType" got invalid value 7; String cannot represent a non string value: 7',
        { locations: [{ line: 1, column: 14 }] },
      ),
    },
  ],
  [
    'a variable that is missing',
    JSON.stringify({ query: STATUS_QUERY }),
    {
      status: 200,
      body: refusal('Variable "$participantType" of required type "String!" was not provided.', {
        locations: [{ line: 1, column: 14 }],
      }),
    },
  ],
];

for (const [name, body, answer] of badBodies) {
  test(`${name} is a clear error, costs no upstream call, and the process lives`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    expect(await post(gateway, body)).toEqual(answer);
    expect(upstream.statusCalls).toEqual([]);
    expect(await gateway.query('{ __typename }')).toEqual({
      status: 200,
      body: { data: { __typename: 'Query' } },
    });
  });
}

test('2: a body over 64 KiB is PAYLOAD_TOO_LARGE (413), with or without content-length (API4:2023)', async () => {
  await using gateway = await startTestGateway();
  const body = JSON.stringify({ query: `{ __typename }${' '.repeat(65_536)}` });
  const answer = {
    errors: [
      {
        message: 'The request body is longer than 65536 bytes.',
        extensions: { code: 'PAYLOAD_TOO_LARGE', retryable: false, requestId: expect.any(String) },
      },
    ],
  };
  expect(await post(gateway, body)).toEqual({ status: 413, body: answer });

  const chunked = request(gateway.endpoint, { method: 'POST', headers: JSON_TYPE });
  chunked.end(body);
  const response = await new Promise<IncomingMessage>((resolve) => {
    chunked.on('response', resolve);
  });
  expect({ status: response.statusCode, body: await json(response) }).toEqual({
    status: 413,
    body: answer,
  });
});

test('parameters that are not JSON are 400', async () => {
  await using gateway = await startTestGateway();
  const parameters = '?query={__typename}&variables=x';
  const response = await fetch(new URL(parameters, gateway.endpoint), {
    headers: { 'graphql-require-preflight': '1' },
  });
  expect({ status: response.status, body: await response.json() }).toEqual({
    status: 400,
    body: refusal('The parameter variables is not valid JSON.'),
  });
});

test('8: INTROSPECTION=off hides the schema, and error messages suggest nothing from it (API8:2023)', async () => {
  await using gateway = await startTestGateway({ environment: { INTROSPECTION: 'off' } });
  expect(await gateway.query('{ __schema { types { name } } }')).toEqual({
    status: 200,
    body: {
      errors: [
        expect.objectContaining({
          message:
            'GraphQL introspection has been disabled, but the requested query contained the field "__schema".',
        }),
        expect.objectContaining({
          message:
            'GraphQL introspection has been disabled, but the requested query contained the field "types".',
        }),
      ],
    },
  });
  const { body } = await gateway.query('{ batchStatu(participantType: "vehicles") { id } }');
  expect(body).toEqual(
    refusal('Cannot query field "batchStatu" on type "Query".', {
      locations: [{ line: 1, column: 3 }],
    }),
  );
});

const audits: [header: string, extra: Record<string, string>, optional: string[]][] = [
  ['with the CSRF header: all 61', { 'graphql-require-preflight': '1' }, []],
  ['without the CSRF header: every MUST and SHOULD', {}, ['MAY']],
];
test.each(audits)('1: the audits of graphql-http pass %s', async (_name, extra, optional) => {
  await using gateway = await startTestGateway();
  const results = await auditServer({
    url: gateway.endpoint.href,
    fetchFn: (url: string, init: RequestInit = {}) =>
      fetch(url, {
        ...init,
        headers: { ...Object.fromEntries(new Headers(init.headers)), ...extra },
      }),
  });
  expect(results).toHaveLength(61);
  const failed = results.filter(({ status }) => status !== 'ok').map(({ name }) => name);
  expect(failed.filter((name) => !optional.some((word) => name.startsWith(word)))).toEqual([]);
});

function batch(id: string, fields: string): string {
  return `batchStatus(participantType: "vehicles", batchId: "${id}") { ${fields} }`;
}

/** For each request so far, whether its answer came from the response cache. */
function cachedFlags({ logLines }: TestGateway): boolean[] {
  return logLines
    .map((line) => JSON.parse(line))
    .filter(({ msg }) => msg === 'request')
    .map(({ cached }) => cached === true);
}

test('an answer that is kept is the same answer again, without a call, until its first status ends', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = ({ target }) => ({
    body: {
      data: { status: target.includes('done') ? 'SUCCESS' : 'RUNNING', at: clock.now() },
      request: ECHO,
    },
  });
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: { STATUS_TTL_MS: '1000', STATUS_FINISHED_TTL_MS: '60000' },
  });
  const body = JSON.stringify({ query: `{ ${batch('done', 'data')} b: ${batch('b', 'data')} }` });
  const ask = async () => (await sendBody(gateway, body)).body;
  const answer = (done: number, running: number) =>
    `{"data":{"batchStatus":{"data":{"status":"SUCCESS","at":${done}}},"b":{"data":{"status":"RUNNING","at":${running}}}}}`;

  expect([await ask(), await ask()]).toEqual([answer(1_000, 1_000), answer(1_000, 1_000)]);
  clock.advance(999);
  expect([await ask(), await ask()]).toEqual([answer(1_000, 1_000), answer(1_000, 1_000)]);
  clock.advance(2);
  expect(await ask()).toBe(answer(1_000, 2_001));
  clock.advance(500);
  expect([await ask(), await ask()]).toEqual([answer(1_000, 2_001), answer(1_000, 2_001)]);
  expect(cachedFlags(gateway)).toEqual([false, false, true, true, false, false, true]);
  expect(upstream.statusCalls).toHaveLength(3);
});

test('an answer with an error is not kept, nor is one given to another body, media type or method', async () => {
  await using gateway = await startTestGateway({ clock: new TestClock() });
  const query = `{ ${batch('batch-finished', 'id')} }`;
  const good = JSON.stringify({ query });
  const bad = JSON.stringify({
    query: `{ ${batch('batch-finished', 'id')} b: ${batch('fault-500', 'id')} }`,
  });
  const none = JSON.stringify({ query: '{ __typename }' });
  for (const body of [bad, bad, none, none, good, good, good, `${good} `]) {
    await sendBody(gateway, body);
  }
  await sendBody(gateway, good, { accept: 'application/graphql-response+json' });
  const get = new URL(`?query=${encodeURIComponent(query)}`, gateway.endpoint);
  for (let time = 0; time < 2; time += 1) {
    await fetch(get, { headers: { 'graphql-require-preflight': '1' } });
  }
  await expect
    .poll(() => cachedFlags(gateway))
    .toEqual([...[false, false, false, false, false, true, true, false, false], ...[false, true]]);
});
