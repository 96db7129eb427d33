import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accessTokenKey } from '../../src/auth/access-token.ts';
import { subscriptionKey } from '../../src/graphql/live-operations.ts';
import { responseKey } from '../../src/graphql/response-cache.ts';
import { rateKey, sharedRateKey } from '../../src/server/guards/rate-limit.ts';
import { batchStatusKey } from '../../src/status/service.ts';
import { sharedStatusKey } from '../../src/status/shared-statuses.ts';
import { startTestGateway } from '../support/test-gateway.ts';

/** What a key might be cut at, and texts that could pass for a part of another key. */
const PIECES = [
  ...[
    ' ',
    '"',
    "'",
    '\\',
    '[',
    ']',
    '{',
    '}',
    ',',
    ':',
    '\n',
    '\r',
    '\t',
    '\0',
    '/',
    '%22',
    '\ud800',
  ],
  ...[
    '',
    'a',
    'null',
    'true',
    'router',
    'router ',
    '["a"]',
    'vehicles',
    '","',
    '",null,"',
    '\u2028',
  ],
];
const text = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 4 })
  .map((pieces) => pieces.join(''));
const maybe = fc.option(text);

/** For each cache: what its key is made of, and the key. The first part is the tenant. */
const caches: [name: string, parts: fc.Arbitrary<unknown[]>, keyOf: (parts: never) => string][] = [
  [
    'answers',
    fc.tuple(
      text,
      text,
      fc.constantFrom('application/json', 'application/graphql-response+json'),
      fc.constantFrom('GET', 'POST'),
      text,
    ),
    ([tenantId, cachePartition, mediaType, method, body]: [
      string,
      string,
      string,
      string,
      string,
    ]) => responseKey({ principal: { tenantId, cachePartition }, mediaType, method, text: body }),
  ],
  [
    'statuses',
    fc.tuple(text, text, maybe, fc.option(fc.tuple(text, maybe))),
    ([tenantId, participantType, batchId, user]: [
      string,
      string,
      string | null,
      [string, string | null] | null,
    ]) =>
      batchStatusKey(
        tenantId,
        { participantType, batchId },
        user === null ? undefined : { id: user[0], name: user[1] ?? undefined },
      ),
  ],
  [
    'statuses in Redis',
    fc.tuple(text, text, text, maybe, fc.option(fc.tuple(text, maybe))),
    ([tenantId, serviceId, participantType, batchId, user]: [
      string,
      string,
      string,
      string | null,
      [string, string | null] | null,
    ]) =>
      sharedStatusKey(
        tenantId,
        serviceId,
        { participantType, batchId },
        user === null ? undefined : { id: user[0], name: user[1] ?? undefined },
      ),
  ],
  [
    'rates in Redis',
    fc.tuple(text, fc.constantFrom('subject', 'address'), text),
    ([tenantId, kind, caller]: [string, string, string]) =>
      sharedRateKey(
        tenantId,
        rateKey(tenantId, kind === 'subject' ? { subject: caller } : { address: caller }),
      ),
  ],
  [
    'rates',
    fc.tuple(text, fc.constantFrom('subject', 'address'), text),
    ([tenantId, kind, caller]: [string, string, string]) =>
      rateKey(tenantId, kind === 'subject' ? { subject: caller } : { address: caller }),
  ],
  [
    'subscriptions',
    fc.tuple(text, text, text, maybe, fc.option(fc.dictionary(text, text))),
    ([tenantId, cachePartition, query, operationName, variables]: [
      string,
      string,
      string,
      string | null,
      Record<string, string> | null,
    ]) =>
      subscriptionKey(
        { principal: { tenantId, cachePartition } },
        { query, operationName, variables: variables ?? undefined },
      ),
  ],
  [
    'access tokens',
    fc.tuple(text, text),
    ([tenantId, token]: [string, string]) => accessTokenKey(tenantId, token),
  ],
];

/** Tuples that are alike: one, and it again with what stands at its cuts moved to the next part. */
function alike(parts: fc.Arbitrary<unknown[]>): fc.Arbitrary<[unknown[], unknown[]]> {
  return fc.tuple(parts, parts, fc.nat(9), fc.nat(20)).map(([one, other, at, length]) => {
    const moved = [...one];
    const [from, to] = [at % one.length, (at + 1) % one.length];
    const [left, right] = [moved[from], moved[to]];
    if (
      typeof left !== 'string' ||
      typeof right !== 'string' ||
      /^application|^(GET|POST)$/.test(left + right)
    )
      return [one, other];
    moved[from] = left.slice(0, length);
    moved[to] = left.slice(length) + right;
    return [one, moved];
  });
}

test.each(caches)(
  '71: keys of %s begin with the tenant, and are the same for the same parts alone',
  (_name, parts, keyOf) => {
    fc.assert(
      fc.property(alike(parts), ([one, other]) => {
        const keys = [one, other].map((each) => keyOf(each as never));
        expect(keys.map((key) => JSON.parse(key)[0])).toEqual(
          [one, other].map(([tenantId]) => tenantId),
        );
        expect(keys[0] === keys[1]).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
      { numRuns: 5_000 },
    );
  },
);

test('71: what a router was answered goes to nobody who posts the word for it', async () => {
  const secret = 'a-secret-of-32-characters-for-it';
  await using gateway = await startTestGateway({ environment: { FEDERATION_SECRET: secret } });
  const body = JSON.stringify({
    query:
      '{ _service { sdl } _entities(representations: [{__typename: "BatchStatus", id: "vehicles/batch-finished"}]) { __typename } }',
  });
  const post = async (text: string, headers: object = {}) => {
    const response = await fetch(gateway.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: text,
    });
    return { status: response.status, text: await response.text() };
  };
  const asRouter = () => post(body, { 'router-authorization': secret });
  for (let time = 0; time < 3; time += 1) {
    expect(await asRouter()).toEqual({ status: 200, text: expect.stringContaining('"sdl":"') });
    for (const [text, status, code] of [
      [`router ${body}`, 400, 'BAD_USER_INPUT'],
      [` router ${body}`, 400, 'BAD_USER_INPUT'],
      [`true,${body}`, 400, 'BAD_USER_INPUT'],
      [body, 403, 'FORBIDDEN'],
    ] as const) {
      const answer = await post(text);
      expect(answer.status).toBe(status);
      expect(answer.text).toContain(`"code":"${code}"`);
      expect(answer.text).not.toContain('sdl":"');
    }
  }
});
