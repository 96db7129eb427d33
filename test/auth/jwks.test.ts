import { generateKeyPairSync, KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { fetchKeySet } from '../../src/auth/jwks.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, type TestGateway, UUID } from '../support/test-gateway.ts';

const OPTIONS = { extractable: true };
const [good, other, strange] = await Promise.all(
  Array.from({ length: 3 }, () => generateKeyPair('RS256', OPTIONS)),
);
const ec = await generateKeyPair('ES256', OPTIONS);
const wide = await generateKeyPair('ES384', OPTIONS);
const long = await generateKeyPair('RS512', OPTIONS);
const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
const SECRET = Buffer.alloc(32, 7);
const SIGNING_KEY = KeyObject.from(good?.privateKey ?? ec.privateKey);

type Pair = typeof ec;
const jwkOf = async (pair: Pair | undefined, more: object = {}) => ({
  ...(pair === undefined ? {} : await exportJWK(pair.publicKey)),
  ...more,
});
const GOOD_JWK = await jwkOf(good, { kid: 'good' });
const OTHER_JWK = await jwkOf(other);
const EC_JWK = await jwkOf(ec, { kid: 'bad' });

/** A gateway whose callers' issuer has these keys; its documents begin with `mark`. */
async function startGuarded(keys: unknown[], mark = '') {
  const issuer = await startScriptedUpstream();
  const origin = issuer.url.origin;
  issuer.onStatus = ({ target }) => {
    const path = '/jwks?p=policy';
    const document = target === path ? { keys } : { issuer: origin, jwks_uri: origin + path };
    return { body: mark + JSON.stringify(document) };
  };
  const upstream = await startScriptedUpstream();
  const gateway = await startTestGateway({
    upstream,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: origin,
      AUTH_AUDIENCE: 'gateway',
      RATE_LIMIT_PER_SECOND: '0',
    },
  });
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: origin, aud: 'gateway', sub: 'user-1', iat: now, exp: now + 600 };
  return {
    gateway,
    claims,
    issue: (header: object, key: CryptoKey | Uint8Array | undefined, more: object = {}) =>
      new SignJWT({ ...claims, ...more })
        .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', ...header })
        .sign(key ?? SECRET),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await Promise.all([upstream[Symbol.asyncDispose](), issuer[Symbol.asyncDispose]()]);
    },
  };
}

type Guarded = Awaited<ReturnType<typeof startGuarded>>;

async function send({ endpoint }: TestGateway, token: string) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: STATUS_QUERY, variables: { participantType: 'vehicles' } }),
  });
  return { status: response.status, body: await response.json() };
}

const ACCEPTED = {
  status: 200,
  body: { data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } },
};
const refused = (message: string) => ({
  status: 401,
  body: {
    errors: [
      { message, extensions: { code: 'UNAUTHENTICATED', retryable: false, requestId: UUID } },
    ],
  },
});
const INVALID = refused('The access token is not valid.');
const UNAVAILABLE = {
  status: 503,
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
};

const byStrange = ({ issue }: Guarded) => issue({ kid: 'bad' }, strange?.privateKey);
const byOther = ({ issue }: Guarded) => issue({ kid: 'bad' }, other?.privateKey);
const byEc = ({ issue }: Guarded) => issue({ kid: 'bad', alg: 'ES256' }, ec.privateKey);

/** jose signs with no such key. */
function byShort({ claims }: Guarded): string {
  const [header, payload] = [{ alg: 'RS256', typ: 'at+jwt', kid: 'bad' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const text = `${header}.${payload}`;
  return `${text}.${sign('RSA-SHA256', Buffer.from(text), short.privateKey).toString('base64url')}`;
}

/** Keys that nothing is checked with, and a token that would be good if something were. */
const UNUSABLE: [
  name: string,
  key: unknown,
  token: (guarded: Guarded) => Promise<string> | string,
][] = [
  ['no object', 7, byStrange],
  ['null', null, byStrange],
  ['a list', [GOOD_JWK], byStrange],
  ['an unknown kty', { kty: 'XYZ', kid: 'bad', x: 'AAAA' }, byStrange],
  ['no kty', { ...OTHER_JWK, kty: undefined, kid: 'bad' }, byOther],
  ['a kty that is a list', { ...OTHER_JWK, kty: ['RSA'], kid: 'bad' }, byOther],
  ['no modulus', { ...OTHER_JWK, n: undefined, kid: 'bad' }, byOther],
  ['an empty modulus', { ...OTHER_JWK, n: '', kid: 'bad' }, byOther],
  ['a modulus that is a number', { ...OTHER_JWK, n: 7, kid: 'bad' }, byOther],
  ['a modulus of 1024 bits', { ...short.publicKey.export({ format: 'jwk' }), kid: 'bad' }, byShort],
  ['a point that is off its curve', { ...EC_JWK, y: EC_JWK.x }, byEc],
  ['a point that is cut off', { ...EC_JWK, x: EC_JWK.x?.slice(2) }, byEc],
  ['a kid that is a number', { ...OTHER_JWK, kid: 7 }, byOther],
  ['its private members', { ...(await exportJWK(ec.privateKey)), kid: 'bad' }, byEc],
  ['a private member, though no whole private key', { ...OTHER_JWK, kid: 'bad', p: 'AQ' }, byOther],
  [
    'a shared secret',
    { kty: 'oct', k: SECRET.toString('base64url'), kid: 'bad', alg: 'HS256' },
    ({ issue }) => issue({ kid: 'bad', alg: 'HS256' }, SECRET),
  ],
  ['use: enc', { ...EC_JWK, use: 'enc' }, byEc],
  ['a use that is a list', { ...EC_JWK, use: ['sig'] }, byEc],
  ['key_ops without verify', { ...EC_JWK, key_ops: ['deriveKey'] }, byEc],
  ['key_ops that are no list', { ...EC_JWK, key_ops: 'verify' }, byEc],
  ['key_ops that a public key has not', { ...EC_JWK, key_ops: ['sign', 'verify'] }, byEc],
  [
    'an alg that is not allowed',
    await jwkOf(long, { kid: 'bad', alg: 'RS512' }),
    ({ issue }) => issue({ kid: 'bad', alg: 'RS512' }, long.privateKey),
  ],
  ['an alg of encryption', { ...OTHER_JWK, kid: 'bad', alg: 'RSA-OAEP' }, byOther],
  [
    'a curve that is not allowed',
    await jwkOf(wide, { kid: 'bad' }),
    ({ issue }) => issue({ kid: 'bad', alg: 'ES384' }, wide.privateKey),
  ],
];

test.each(UNUSABLE)(
  '74: beside good keys, one that has (or is) %s costs their tokens nothing; alone it is no key (API2:2023)',
  async (_, key, token) => {
    await using guarded = await startGuarded([key, GOOD_JWK]);
    const { gateway, issue } = guarded;
    expect(await send(gateway, await token(guarded))).toEqual(INVALID);
    expect(await send(gateway, await issue({ kid: 'good' }, good?.privateKey))).toEqual(ACCEPTED);

    await using alone = await startGuarded([key]);
    expect(await send(alone.gateway, await byStrange(alone))).toEqual(UNAVAILABLE);
    const entries = alone.gateway.logLines.map((line) => JSON.parse(line));
    expect(entries.find(({ msg }) => msg === "no keys of callers' tokens")?.err.message).toBe(
      "none of the keys in the issuer's key set (1) is a public one for signatures by AUTH_ALGORITHMS",
    );
    expect(alone.gateway.logLines.join('')).not.toContain(SECRET.toString('base64url'));
  },
);

/** Key sets in which more than one key fits a token, and what the header of the token says of them. */
const SEVERAL: [name: string, more: object, header: object][] = [
  ['without kid', {}, {}],
  ['with one kid', { kid: 'same' }, { kid: 'same' }],
  ['with one kid, of which the token says nothing', { kid: 'same' }, {}],
];

test.each(SEVERAL)('74: of several keys %s, each is tried (API2:2023)', async (_, more, header) => {
  const unusable = { ...OTHER_JWK, ...more, n: 'AAAA' };
  const keys = [unusable, ...[good, other, ec].map((pair) => jwkOf(pair, more))];
  await using guarded = await startGuarded(await Promise.all(keys));
  const { gateway, issue } = guarded;
  for (const pair of [good, other]) {
    expect(await send(gateway, await issue(header, pair?.privateKey))).toEqual(ACCEPTED);
    const expired = await issue(header, pair?.privateKey, { exp: 1 });
    expect(await send(gateway, expired)).toEqual(refused('The access token is expired.'));
  }
  expect(await send(gateway, await issue({ ...header, alg: 'ES256' }, ec.privateKey))).toEqual(
    ACCEPTED,
  );
  expect(await send(gateway, await issue(header, strange?.privateKey))).toEqual(INVALID);
  expect(await send(gateway, (await issue(header, good?.privateKey)).slice(0, -8))).toEqual(
    INVALID,
  );
});

test('74: a key without kid is for tokens without one (API2:2023)', async () => {
  await using guarded = await startGuarded([OTHER_JWK]);
  const { gateway, issue } = guarded;
  expect(await send(gateway, await issue({}, other?.privateKey))).toEqual(ACCEPTED);
  expect(await send(gateway, await issue({}, strange?.privateKey))).toEqual(INVALID);
});

test('74: a byte order mark before the key set and the metadata is nothing (API2:2023)', async () => {
  await using guarded = await startGuarded([GOOD_JWK], '\ufeff');
  const { gateway, issue } = guarded;
  expect(await send(gateway, await issue({ kid: 'good' }, good?.privateKey))).toEqual(ACCEPTED);
});

const keysOf = async (keys: unknown[]) => {
  const body = JSON.stringify({ keys });
  const source = { jwksUrl: new URL('https://keys.example/jwks') };
  return fetchKeySet(source, ['RS256', 'ES256'], async () => ({ status: 200, headers: {}, body }));
};

test('74: 100 keys are kept, and those that are unusable take no place (API2:2023)', async () => {
  const unusable = Array.from({ length: 150 }, (_, index) => ({ kty: 'XYZ', kid: `x-${index}` }));
  const usable = Array.from({ length: 101 }, (_, index) => ({ ...EC_JWK, kid: `k-${index}` }));
  const { keys } = await keysOf([...unusable, ...usable]);
  expect(keys.map(({ kid }) => kid)).toEqual(usable.slice(0, 100).map(({ kid }) => kid));
});

test('74: of a key its public members alone are kept, of a private one nothing (API2:2023)', async () => {
  const whole = { ...GOOD_JWK, use: 'sig', key_ops: ['verify'], alg: 'RS256' };
  const names = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
  const privateKeys = names.map((name) => ({ ...OTHER_JWK, [name]: '' }));
  const { keys } = await keysOf([...privateKeys, { ...whole, x5c: ['AAAA'], secret: 'canary' }]);
  expect(keys).toEqual([{ kid: 'good', byAlgorithm: new Map([['RS256', expect.any(CryptoKey)]]) }]);
  expect(keys[0]?.byAlgorithm.get('RS256')?.type).toBe('public');
});

test('74: keys that are meant for signatures and cannot be used are told once, those for something else not at all (API2:2023)', async () => {
  const broken = UNUSABLE.map(([, key]) => key);
  await using guarded = await startGuarded([...broken, GOOD_JWK]);
  const { gateway, issue } = guarded;
  const told = () =>
    gateway.logLines
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => msg === "keys of callers' tokens are left out");
  expect(await send(gateway, await issue({ kid: 'good' }, good?.privateKey))).toEqual(ACCEPTED);
  // Its keys are fetched once more.
  expect(await send(gateway, await byStrange(guarded))).toEqual(INVALID);
  expect(told()).toEqual([
    {
      level: 'warn',
      time: expect.any(String),
      reasons: expect.any(Array),
      msg: "keys of callers' tokens are left out",
    },
  ]);
  expect(gateway.logLines.join('')).not.toContain(SECRET.toString('base64url'));
});

test('74: of a key that is left out it is said why, of ten at most (API2:2023)', async () => {
  const { keys, unusable } = await keysOf([
    { ...short.publicKey.export({ format: 'jwk' }), kid: 'short' },
    { ...EC_JWK, use: 'enc' },
    { ...EC_JWK, y: EC_JWK.x },
    { ...EC_JWK, crv: undefined },
    await jwkOf(wide),
    { kty: 'XYZ' },
    { ...EC_JWK, key_ops: [] },
    { ...OTHER_JWK, alg: 'RSA-OAEP' },
    { ...OTHER_JWK, d: 'AQ' },
    { ...GOOD_JWK, use: null, key_ops: null, alg: null, d: null, x5t: null },
  ]);
  expect(keys.map(({ kid }) => kid)).toEqual(['good']);
  const broken = 'a member is missing or wrong, or key_ops has more than "verify"';
  expect(unusable).toEqual([
    'key 1 of 10: RSA of 1024 bits, and less than 2048 are not safe',
    `key 3 of 10: ${broken}`,
    `key 4 of 10: ${broken}`,
    `key 7 of 10: ${broken}`,
    'key 9 of 10: its members are not those of a public key',
  ]);
  expect((await keysOf([...Array.from({ length: 20 }, () => 7), GOOD_JWK])).unusable).toHaveLength(
    10,
  );
});

test('74: keys without kid are for tokens with one that no key has, too (API2:2023)', async () => {
  await using guarded = await startGuarded([OTHER_JWK, { ...GOOD_JWK, kid: 'named' }]);
  const { gateway, issue } = guarded;
  expect(await send(gateway, await issue({ kid: 'x' }, other?.privateKey))).toEqual(ACCEPTED);
  expect(await send(gateway, await issue({ kid: 'named' }, good?.privateKey))).toEqual(ACCEPTED);
  // Named means named.
  expect(await send(gateway, await issue({ kid: 'named' }, other?.privateKey))).toEqual(INVALID);
});

test('88: beside forged key ids, a good token of a new key is 503 and told when to come again, not 401 (API2:2023)', async () => {
  const keys: unknown[] = [GOOD_JWK];
  await using guarded = await startGuarded(keys);
  const { gateway, issue } = guarded;
  expect(await send(gateway, await issue({ kid: 'good' }, good?.privateKey))).toEqual(ACCEPTED);
  expect(await send(gateway, await issue({ kid: 'forged' }, strange?.privateKey))).toEqual(INVALID);
  keys.push({ ...OTHER_JWK, kid: 'new' });
  const renewed = await issue({ kid: 'new' }, other?.privateKey);
  const { status, body } = await send(gateway, renewed);
  expect([status, body]).toEqual([
    503,
    {
      errors: [
        {
          message:
            "The gateway cannot check this access token yet: it looks for its key among the issuer's in a moment.",
          extensions: {
            code: 'TOKEN_UNAVAILABLE',
            retryable: true,
            retryAfterMs: expect.any(Number),
            requestId: UUID,
          },
        },
      ],
    },
  ]);
});

const json = fc.jsonValue({ maxDepth: 2 });
const oddMember = (names: string[]) =>
  fc.dictionary(fc.constantFrom(...names), fc.oneof(json, fc.constant(1e308), fc.constant('JWT')), {
    maxKeys: 3,
  });
const HEADER_NAMES = ['alg', 'typ', 'kid', 'crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', 'cty', 'enc'];
const CLAIM_NAMES = ['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'jti', 'scope', 'scp', 'name'];
const part = (text: string) => Buffer.from(text).toString('base64url');

test('74: no token whatever makes a 500 or an error in the log (API2:2023)', async () => {
  await using guarded = await startGuarded([GOOD_JWK, OTHER_JWK, EC_JWK]);
  const { gateway, claims } = guarded;
  const usual = { alg: 'RS256', typ: 'at+jwt', kid: 'good' };
  const texts = fc.oneof(
    fc
      .tuple(oddMember(HEADER_NAMES), oddMember([...CLAIM_NAMES, '__proto__']))
      .map((odd) => [
        JSON.stringify({ ...usual, ...odd[0] }),
        JSON.stringify({ ...claims, ...odd[1] }),
      ]),
    fc.tuple(fc.oneof(fc.json(), fc.string()), fc.oneof(fc.json(), fc.string())),
  );
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(texts, fc.boolean(), async ([header = '', payload = ''], isSigned) => {
      const text = `${part(header)}.${part(payload)}`;
      const bytes = sign('RSA-SHA256', Buffer.from(text), SIGNING_KEY);
      const token = `${text}.${isSigned ? bytes.toString('base64url') : 'AAAA'}`;
      const { status, body } = await send(gateway, token);
      seen.add(status);
      expect([200, 401, 503], JSON.stringify({ header, payload, body })).toContain(status);
    }),
    { numRuns: 1_000 },
  );
  expect([...seen].sort()).toEqual([200, 401, 503]);
  const levels = new Set(gateway.logLines.map((line) => JSON.parse(line).level));
  expect(levels).not.toContain('error');
});

test.each([[7], [null], [{}], [['at+jwt']], [true]])(
  '74: a typ that is no text (%j) is 401 (API2:2023)',
  async (typ) => {
    await using guarded = await startGuarded([GOOD_JWK]);
    const { gateway, claims } = guarded;
    const header = part(JSON.stringify({ alg: 'RS256', typ, kid: 'good' }));
    const text = `${header}.${part(JSON.stringify(claims))}`;
    const signature = sign('RSA-SHA256', Buffer.from(text), SIGNING_KEY).toString('base64url');
    expect(await send(gateway, `${text}.${signature}`)).toEqual(INVALID);
  },
);
