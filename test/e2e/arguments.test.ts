import fc from 'fast-check';
import { expect, test } from 'vitest';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, statusFailure } from '../support/test-gateway.ts';

const TYPE_MESSAGE =
  'participantType accepts 1 to 128 characters, no control characters, "/" or "\\", and not "." or ".." alone: the plural name of a participant type, such as "vehicles".';
const ID_MESSAGE =
  'batchId accepts 1 to 256 characters and no control characters. Leave it out for the batch that the upstream picks.';

const refused: [name: string, variables: object, message: string][] = [
  ['an empty participantType', { participantType: '' }, TYPE_MESSAGE],
  ['a participantType of 10 KB', { participantType: 'x'.repeat(10_240) }, TYPE_MESSAGE],
  ['a participantType of 129 characters', { participantType: 'x'.repeat(129) }, TYPE_MESSAGE],
  ['"../" in participantType', { participantType: '../../admin' }, TYPE_MESSAGE],
  ['".." as participantType', { participantType: '..' }, TYPE_MESSAGE],
  ['"." as participantType', { participantType: '.' }, TYPE_MESSAGE],
  ['a backslash in participantType', { participantType: 'a\\b' }, TYPE_MESSAGE],
  ['CRLF in participantType', { participantType: 'a\r\nX-Evil: 1' }, TYPE_MESSAGE],
  ['NUL in participantType', { participantType: 'a\0b' }, TYPE_MESSAGE],
  ['half a surrogate pair in participantType', { participantType: '\ud83d' }, TYPE_MESSAGE],
  ['an empty batchId', { participantType: 'vehicles', batchId: '' }, ID_MESSAGE],
  ['a newline in batchId', { participantType: 'vehicles', batchId: 'b\n1' }, ID_MESSAGE],
  [
    'a batchId of 257 characters',
    { participantType: 'vehicles', batchId: 'x'.repeat(257) },
    ID_MESSAGE,
  ],
];

for (const [name, variables, message] of refused) {
  test(`11: ${name} is refused before any upstream call`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    expect(await gateway.query(STATUS_QUERY, variables)).toEqual(
      statusFailure(message, {
        code: 'BAD_USER_INPUT',
        retryable: false,
      }),
    );
    expect(upstream.statusCalls).toEqual([]);
  });
}

test('11: with PARTICIPANT_TYPES, another type is refused before any upstream call', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { PARTICIPANT_TYPES: 'vehicles, drivers' },
  });
  const query = `{
    vehicles: batchStatus(participantType: "vehicles") { status }
    Vehicles: batchStatus(participantType: "Vehicles") { status }
  }`;

  expect(await gateway.query(query)).toEqual({
    status: 200,
    body: {
      data: { vehicles: { status: 'IN_PROGRESS' }, Vehicles: null },
      errors: [
        {
          message: 'participantType accepts one of: vehicles, drivers.',
          locations: [{ line: 3, column: 5 }],
          path: ['Vehicles'],
          extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: expect.any(String) },
        },
      ],
    },
  });
  expect(upstream.statusCalls).toHaveLength(1);
});

test('a malformed pointer is refused, and says what is taken', async () => {
  await using gateway = await startTestGateway();
  expect(
    await gateway.query(
      '{ batchStatus(participantType: "vehicles") { status dataAt(pointer: "status") } }',
    ),
  ).toEqual({
    status: 200,
    body: {
      data: { batchStatus: { status: 'IN_PROGRESS', dataAt: null } },
      errors: [
        {
          message:
            'pointer accepts a JSON Pointer (RFC 6901): "" or a text that begins with "/", in which "~" is written "~0" and "/" within a name "~1".',
          locations: [{ line: 1, column: 53 }],
          path: ['batchStatus', 'dataAt'],
          extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: expect.any(String) },
        },
      ],
    },
  });
});

/** Not fast-check's own unit for them: it takes seconds to make its table. */
const codePoint = fc.nat(0x10_ff_ff).map((code) => String.fromCodePoint(code));
const nasty = fc.oneof(
  fc.string({ unit: codePoint, maxLength: 140 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        '..',
        '.',
        '/',
        '%2e',
        '%2f',
        '%',
        '?',
        '#',
        '&',
        '=',
        '+',
        ' ',
        ';',
        '\\',
        'a',
        'é',
      ),
      {
        maxLength: 12,
      },
    )
    .map((parts) => parts.join('')),
);

test('11: whatever the arguments are, they are refused or arrive as exactly one segment and one parameter (API7:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, environment: { STATUS_TTL_MS: '0' } });

  await fc.assert(
    fc.asyncProperty(nasty, fc.option(nasty), async (participantType, batchId) => {
      upstream.statusCalls.length = 0;
      const { body } = await gateway.query(STATUS_QUERY, { participantType, batchId });
      const [call] = upstream.statusCalls;
      if (call === undefined) {
        expect(body).toHaveProperty('errors.0.extensions.code', 'BAD_USER_INPUT');
        return;
      }
      const url = new URL(call.target, upstream.url);
      const match = /^\/core\/api\/v2\/participants\/([^/]+)\/batch\/status$/.exec(url.pathname);
      expect(decodeURIComponent(match?.[1] ?? '')).toBe(participantType);
      expect([...url.searchParams]).toEqual(batchId === null ? [] : [['batchId', batchId]]);
    }),
    { numRuns: 300 },
  );
});
