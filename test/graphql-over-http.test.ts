import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { startScriptedUpstream } from './support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, type TestGateway } from './support/test-gateway.ts';

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
    { status: 400, body: refusal('POST body sent invalid JSON.') },
  ],
  ['an empty body', '', { status: 400, body: refusal('POST body sent invalid JSON.') }],
  [
    'a body that is a number',
    '7',
    { status: 400, body: refusal('POST body is expected to be object but received number') },
  ],
  ['no query', '{"variables":{}}', { status: 400, body: refusal('Must provide query string.') }],
  [
    'variables that are a string',
    '{"query":"{ __typename }","variables":"x"}',
    {
      status: 400,
      body: refusal('Expected "variables" param to be empty or an object, but given string.'),
    },
  ],
  [
    '6: an array of requests',
    '[{"query":"{ __typename }"}]',
    { status: 400, body: refusal('Batching is not supported.') },
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
    body: refusal('A parameter is not valid JSON.'),
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
