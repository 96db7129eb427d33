import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson } from '../../src/lib/json.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { sendBody, startTestGateway, type TestGateway, UUID } from '../support/test-gateway.ts';

/** The answer as it came over the wire. */
async function textOf(gateway: TestGateway, query: string, contentType = 'application/json') {
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body: JSON.stringify({ query }),
  });
  return response.text();
}

const NUMBERS = [
  '9007199254740993',
  '-9007199254740993',
  '9007199254740993.0',
  '1e400',
  '-1E-400',
  '0.12345678901234567890',
  '-123456789.123456789012345',
  '123456789012345678901234567890',
  // These JavaScript has.
  '0',
  '-1',
  '0.5',
  '12.25',
  '9007199254740992',
  '123456789012345680000',
];

test.each(NUMBERS)(
  '69: %s comes with the same digits in data, nested, in dataAt, and in request.body',
  async (number) => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    const data = `{"n":${number},"list":[${number},[{"deep":${number}}]]}`;
    const query = `{ batchStatus(participantType: "vehicles") {
    data whole: dataAt(pointer: "") n: dataAt(pointer: "/n") deep: dataAt(pointer: "/list/1/0/deep")
    request { body }
  } }`;
    for (const space of ['', ' ', '\n\t']) {
      upstream.onStatus = () => ({
        body: `{"data":${data.replaceAll(/[:,[]/g, `$&${space}`)},"request":{"body":[${space}${number}]}}`,
      });
      // The first two times by the executor, then compiled.
      for (let time = 0; time < 3; time += 1) {
        expect(await textOf(gateway, `${query}${' '.repeat(space.length)}`)).toBe(
          `{"data":{"batchStatus":{"data":${data},"whole":${data},"n":${number},"deep":${number},"request":{"body":[${number}]}}}}`,
        );
      }
    }
  },
);

test.each(NUMBERS)(
  "69: %s comes with the same digits in an error's additionalInfo and echo",
  async (number) => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({
      upstream,
      environment: { ERROR_DETAIL: 'full' },
    });
    upstream.onStatus = () => ({
      status: 400,
      body: `{"error":{"code":"1","description":"No.","additionalInfo":{"n":[${number}]}},"request":{"body":${number}}}`,
    });
    const query = '{ batchStatus(participantType: "vehicles") { id } }';
    for (const contentType of ['application/json', 'application/graphql+json']) {
      const text = await textOf(gateway, query, contentType);
      expect(text).toContain(`"additionalInfo":{"n":[${number}]},"request":{`);
      expect(text).toContain(`"body":${number}}`);
    }
  },
);

test('69: a number that JavaScript has is written as JavaScript does, and is the same number', () => {
  const written = ['1.0', '12.50', '-0', '1E3', '0.000', '1.10e1', '100000000000000000.00'];
  expect(JSON.stringify(parseJson(`[${written.join(',')}]`))).toBe(
    '[1,12.5,0,1000,0,11,100000000000000000]',
  );
});

test('69: a pointer into a number finds nothing', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({
    body: '{"data":{"n":9007199254740993,"rawJSON":"x"},"request":{}}',
  });
  expect(
    await gateway.query(`{ batchStatus(participantType: "vehicles") {
      inside: dataAt(pointer: "/n/rawJSON") member: dataAt(pointer: "/rawJSON")
    } }`),
  ).toEqual({ status: 200, body: { data: { batchStatus: { inside: null, member: 'x' } } } });
});

test('69: numbers as they were written are read as counts, ids and codes', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({
    body: '{"data":{"meta":{"total":2.0},"errors":[{"refID":9007199254740993,"code":1.12345678901234567890}]},"request":{}}',
  });
  expect(
    await gateway.query(`{ batchStatus(participantType: "vehicles") {
      totalCount failures { edges { node { refId code } } }
    } }`),
  ).toEqual({
    status: 200,
    body: {
      data: {
        batchStatus: {
          totalCount: 2,
          failures: {
            edges: [{ node: { refId: '9007199254740993', code: '1.12345678901234567890' } }],
          },
        },
      },
    },
  });
});

/** A JSON text with numbers in every form, blanks wherever they may be, and strings that look like numbers. */
const blank = fc.constantFrom('', '', ' ', '\n', '\t ');
const number = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(fc.constant('0'), fc.stringMatching(/^[1-9]\d{0,24}$/)),
    fc.constantFrom('', '', '.0', '.5', '.50', '.123456789012345678'),
    fc.constantFrom('', '', '', 'e0', 'E5', 'e-7', 'E+400'),
  )
  .map((parts) => parts.join(''));
const text = fc
  .oneof(
    fc.string(),
    number,
    number.map((digits) => `", ${digits}, "x": ${digits}`),
  )
  .map((string) => JSON.stringify(string));
const { json } = fc.letrec<{ json: string }>((tie) => {
  const spaced = fc.tuple(blank, tie('json'), blank).map((parts) => parts.join(''));
  return {
    json: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      number,
      fc.oneof(text, fc.constantFrom('true', 'null')),
      fc.array(spaced, { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
      fc
        .array(fc.tuple(fc.uuid(), blank, spaced), { maxLength: 4 })
        .map(
          (members) =>
            `{${members.map(([name, gap, item]) => `"${name}"${gap}:${item}`).join(',')}}`,
        ),
    ),
  };
});

/** What a number is, however it is written: its digits and their power of ten. */
function exact(number: string): string {
  const [mantissa = '', exponent = '0'] = number.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = BigInt(whole + fraction);
  if (digits === 0n) return '0';
  const zeros = /0*$/.exec(String(digits))?.[0].length ?? 0;
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(zeros);
  return `${mantissa.startsWith('-') ? '-' : ''}${digits / 10n ** BigInt(zeros)}e${power}`;
}

/** Without the blanks between its tokens, each number as what it is. */
function canonical(jsonText: string): string {
  return jsonText.replaceAll(
    /("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*)|\s+/g,
    (_whole, string?: string, digits?: string) => string ?? (digits && exact(digits)) ?? '',
  );
}

test('69: whatever numbers a text holds, they are the same when it is written again', () => {
  fc.assert(
    fc.property(json, (inner) => {
      const whole = `{"data":[${inner}]}`;
      expect(canonical(JSON.stringify(parseJson(whole)))).toBe(canonical(whole));
    }),
    { numRuns: 3_000 },
  );
});

const REFUSAL =
  'ID cannot represent an integer beyond 2^53 - 1 that comes as a number, because it is rounded on the way: send it as a string.';

test.each([
  ['9007199254740993', '9007199254740992'],
  ['9007199254740992', '9007199254740992'],
  ['-9007199254740993', '-9007199254740992'],
  ['1e21', '1e+21'],
  ['9007199254740993.0', '9007199254740992'],
])(
  '70: %s for a variable of type ID is refused, with the advice to send a string',
  async (sent, shown) => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    const query = 'query ($i: ID) { batchStatus(participantType: "vehicles", batchId: $i) { id } }';
    // The document is compiled by then.
    for (let time = 0; time < 3; time += 1) await gateway.query(query, { i: 'b-1' });
    upstream.statusCalls.length = 0;

    for (const contentType of ['application/json', 'application/graphql+json']) {
      const response = await fetch(gateway.endpoint, {
        method: 'POST',
        headers: { 'content-type': contentType },
        body: `{"query":${JSON.stringify(query)},"variables":{"i":${sent}}}`,
      });
      expect(await response.json()).toEqual({
        errors: [
          {
            message: `Variable "$i" got invalid value ${shown}; ${REFUSAL}`,
            locations: [{ line: 1, column: 8 }],
            extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: UUID },
          },
        ],
      });
    }
    const get = new URL(gateway.endpoint);
    get.search = String(new URLSearchParams({ query, variables: `{"i":${sent}}` }));
    const response = await fetch(get, { headers: { 'graphql-require-preflight': '1' } });
    expect(await response.text()).toContain(REFUSAL);
    expect(upstream.statusCalls).toEqual([]);
  },
);

test('70: integers up to 2^53 - 1, strings and literals arrive with all their digits', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  const query =
    'query ($i: ID) { batchStatus(participantType: "vehicles", batchId: $i) { batchId } }';
  const batchIds: unknown[] = [];
  for (const i of [9007199254740991, -9007199254740991, 7, 0, '9007199254740993', '1e21']) {
    batchIds.push((await gateway.query(query, { i })).body);
  }
  const literal = await gateway.query(
    '{ batchStatus(participantType: "vehicles", batchId: 9007199254740993) { batchId } }',
  );
  const found = (batchId: string) => ({ data: { batchStatus: { batchId } } });
  expect([...batchIds, literal.body]).toEqual(
    [
      ...['9007199254740991', '-9007199254740991', '7', '0'],
      ...['9007199254740993', '1e21', '9007199254740993'],
    ].map(found),
  );
});

test('70: lists for a variable of type ID are an error, however deep they are nested', async () => {
  await using gateway = await startTestGateway();
  const query = 'query ($i: ID) { batchStatus(participantType: "vehicles", batchId: $i) { id } }';
  for (const depth of [1, 10_000]) {
    const value = `${'['.repeat(depth)}9007199254740993${']'.repeat(depth)}`;
    const { status, body } = await sendBody(
      gateway,
      `{"query":${JSON.stringify(query)},"variables":{"i":${value}}}`,
    );
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({
      errors: [
        expect.objectContaining({
          extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: 'the-same' },
        }),
      ],
    });
  }
});

test('70: a router that sends a batchId as a number is told what a reference takes', async () => {
  await using gateway = await startTestGateway();
  const { body } = await gateway.query(
    'query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }',
    { r: [{ __typename: 'BatchStatus', participantType: 'vehicles', batchId: 12 }] },
  );
  expect(body).toMatchObject({
    data: { _entities: [null] },
    errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
  });
});
