import { CompactEncrypt, CompactSign, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { createAccessTokenVerifier } from '../../src/auth/access-token.ts';
import { InvalidTokenError, KeysUnavailableError } from '../../src/auth/errors.ts';
import { createKeySet } from '../../src/auth/jwks.ts';
import { HttpClientError } from '../../src/http-client/errors.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { logEvents } from '../../src/telemetry/log-events.ts';
import { TestClock } from '../support/test-clock.ts';

const ISSUER = 'https://issuer.example';
const AUDIENCE = 'gateway';
const OPTIONS = { extractable: true };
const first = await generateKeyPair('RS256', OPTIONS);
const second = await generateKeyPair('ES256', OPTIONS);
const strange = await generateKeyPair('RS256', OPTIONS);
const jwkOf = async (keys: typeof first, kid: string) => ({
  ...(await exportJWK(keys.publicKey)),
  kid,
});
const FIRST_JWK = await jwkOf(first, 'first');
const SECOND_JWK = await jwkOf(second, 'second');

/** A verifier before an issuer that answers what a test says. */
function createVerifier(
  options: Partial<Parameters<typeof createAccessTokenVerifier>[0]> = {},
  source: Parameters<typeof createKeySet>[0]['source'] = { issuer: ISSUER },
) {
  const clock = new TestClock();
  const log: string[] = [];
  const destination = { write: (line: string) => void log.push(line) };
  const issuer = {
    requests: [] as string[],
    keys: [FIRST_JWK] as object[],
    /** Until when an answer takes. */
    delay: (): Promise<void> => Promise.resolve(),
    /** Undefined: it cannot be reached. */
    answer: (path: string): { status: number; body: string } | undefined => {
      const body =
        path === '/jwks' ? { keys: issuer.keys } : { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` };
      return { status: 200, body: JSON.stringify(body) };
    },
  };
  const keys = createKeySet({
    source,
    algorithms: ['RS256', 'ES256'],
    clock,
    random: () => 0.5,
    telemetry: logEvents(createLog('trace', destination), destination),
    send: async ({ url }) => {
      issuer.requests.push(url.pathname);
      await issuer.delay();
      const answer = issuer.answer(url.pathname);
      if (answer === undefined) throw new HttpClientError('unreachable', 'refused');
      return { ...answer, headers: {} };
    },
  });
  let lookUps = 0;
  const verifier = createAccessTokenVerifier({
    tenantId: 'tenant-1',
    keys: {
      ...keys,
      find: (header) => {
        lookUps += 1;
        return keys.find(header);
      },
    },
    issuer: ISSUER,
    audiences: [AUDIENCE, 'another'],
    audienceClaim: 'aud',
    algorithms: ['RS256', 'ES256'],
    tokenTypes: ['at+jwt'],
    leewayMs: 5_000,
    scopeClaim: undefined,
    participantTypesClaim: undefined,
    clock,
    ...options,
  });
  const fetches = () => issuer.requests.filter((path) => path === '/jwks').length;
  return { clock, log, issuer, keys, verifier, fetches, lookUps: () => lookUps };
}

interface TokenOptions {
  claims?: object;
  header?: Record<string, unknown>;
  key?: CryptoKey | Uint8Array;
}

/** Seconds since the epoch at the start of a test's clock. */
const NOW = Date.parse('2026-01-31T12:00:00.000Z') / 1000;

/** A good token, but for what a test changes in it. A claim that is undefined is left out. */
function issue({ claims = {}, header = {}, key = first.privateKey }: TokenOptions = {}) {
  const all = { iss: ISSUER, aud: AUDIENCE, sub: 'user-1', iat: NOW, exp: NOW + 600, ...claims };
  return new SignJWT({ ...all })
    .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: 'first', ...header })
    .sign(key);
}

const USER = {
  expiresAt: expect.any(Number),
  subject: 'user-1',
  name: undefined,
  scopes: new Set(),
  participantTypes: undefined,
};
const INVALID = 'The access token is not valid.';
const EXPIRED = 'The access token is expired.';

async function refusalOf(verification: Promise<unknown>): Promise<string> {
  try {
    return `accepted ${JSON.stringify(await verification)}`;
  } catch (error) {
    if (!(error instanceof InvalidTokenError)) throw error;
    return error.message;
  }
}

test('a good token is accepted, with what it says of its caller', async () => {
  const { verifier } = createVerifier({ participantTypesClaim: 'resource.types' });
  const claims = {
    name: 'Zoë',
    scope: 'batch:read  x',
    aud: ['other', 'another'],
    resource: { types: 'vehicles, drivers' },
  };
  expect(await verifier.verify(await issue({ claims }))).toEqual({
    expiresAt: expect.any(Number),
    subject: 'user-1',
    name: 'Zoë',
    scopes: new Set(['batch:read', 'x']),
    participantTypes: new Set(['vehicles', 'drivers']),
  });
  const literal = { 'resource.types': ['units', 7, ''], resource: { types: ['vehicles'] } };
  expect(await verifier.verify(await issue({ claims: literal }))).toMatchObject({
    participantTypes: new Set(['units']),
  });
  for (const resource of [undefined, null, 'x', { types: { a: 1 } }, { types: 7 }]) {
    expect(await verifier.verify(await issue({ claims: { resource } }))).toMatchObject({
      participantTypes: new Set(),
    });
  }
  const inherited = createVerifier({ participantTypesClaim: 'constructor.name' });
  expect(await inherited.verifier.verify(await issue())).toMatchObject({
    participantTypes: new Set(),
  });
});

const encoder = new TextEncoder();
const BAD: [name: string, token: () => Promise<string> | string, message?: string][] = [
  ['no JWT at all', () => 'garbage'],
  ['three empty parts', () => '..'],
  [
    'alg none',
    async () => {
      const [, claims] = (await issue()).split('.');
      const header = Buffer.from('{"alg":"none","typ":"at+jwt","kid":"first"}').toString(
        'base64url',
      );
      return `${header}.${claims}.`;
    },
  ],
  [
    'HS256 with the public key as the secret',
    async () =>
      issue({
        header: { alg: 'HS256' },
        key: encoder.encode(await exportSPKI(first.publicKey)),
      }),
  ],
  [
    'a key in its own jwk header',
    async () =>
      issue({ header: { jwk: await exportJWK(strange.publicKey) }, key: strange.privateKey }),
  ],
  [
    'a jku header',
    () => issue({ header: { jku: 'https://evil.example/jwks' }, key: strange.privateKey }),
  ],
  [
    'an x5u header',
    () => issue({ header: { x5u: 'https://evil.example/x' }, key: strange.privateKey }),
  ],
  ['the signature of another key', () => issue({ key: strange.privateKey })],
  ['a signature that is cut off', async () => (await issue()).slice(0, -8)],
  ['the typ of an ID token', () => issue({ header: { typ: 'JWT' } })],
  ['no typ', () => issue({ header: { typ: undefined } })],
  ['another issuer', () => issue({ claims: { iss: `${ISSUER}/` } })],
  ['no issuer', () => issue({ claims: { iss: undefined } })],
  ['another audience', () => issue({ claims: { aud: 'gateway2' } })],
  ['no audience', () => issue({ claims: { aud: undefined } })],
  ['no exp', () => issue({ claims: { exp: undefined } })],
  ['an exp that is no number', () => issue({ claims: { exp: 'never' } })],
  [
    'an exp that is past by more than the leeway',
    () => issue({ claims: { exp: NOW - 6 } }),
    EXPIRED,
  ],
  ['an exp that is past by all the leeway', () => issue({ claims: { exp: NOW - 5 } }), EXPIRED],
  ['an nbf further ahead than the leeway', () => issue({ claims: { nbf: NOW + 6 } })],
  ['an iat further ahead than the leeway', () => issue({ claims: { iat: NOW + 6 } })],
  ['no sub', () => issue({ claims: { sub: undefined } })],
  ['an empty sub', () => issue({ claims: { sub: '' } })],
  ['a sub with a line break', () => issue({ claims: { sub: 'a\nb' } })],
  [
    'a crit header that is not understood',
    async () => {
      const [, claims, signature] = (await issue()).split('.');
      const header = '{"alg":"RS256","typ":"at+jwt","kid":"first","crit":["x"],"x":1}';
      return `${Buffer.from(header).toString('base64url')}.${claims}.${signature}`;
    },
  ],
  [
    'no claims',
    () =>
      new CompactSign(encoder.encode('[]'))
        .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: 'first' })
        .sign(first.privateKey),
  ],
  [
    'an encryption',
    () =>
      new CompactEncrypt(encoder.encode('{}'))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: 'at+jwt' })
        .encrypt(new Uint8Array(32)),
  ],
  ['20 KB', () => issue({ claims: { name: 'x'.repeat(20_000) } })],
];

test.each(BAD)(
  '17: a token with %s is refused (API2:2023)',
  async (_, token, message = INVALID) => {
    const { verifier, log } = createVerifier();
    const text = await token();
    expect(await refusalOf(verifier.verify(text))).toBe(message);
    expect(verifier.known(text)).toBeUndefined();
    expect(log).toEqual([]);
  },
);

test('17: a token by an algorithm that is not allowed is refused, though the key would fit (API2:2023)', async () => {
  const { verifier } = createVerifier({ algorithms: ['PS256', 'ES256'] });
  expect(await refusalOf(verifier.verify(await issue()))).toBe(INVALID);
});

test('17: a token whose times are off by the leeway is accepted (API2:2023)', async () => {
  const { verifier } = createVerifier();
  for (const claims of [{ exp: NOW - 4 }, { nbf: NOW + 5 }, { iat: NOW + 5 }]) {
    expect(await verifier.verify(await issue({ claims }))).toEqual(USER);
  }
});

test('the types of tokens are as configured; JWT also stands for none', async () => {
  const { verifier } = createVerifier({ tokenTypes: ['at+jwt', 'JWT'] });
  for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt', 'JWT', undefined]) {
    expect(await verifier.verify(await issue({ header: { typ } }))).toEqual(USER);
  }
  expect(await refusalOf(verifier.verify(await issue({ header: { typ: 'logout+jwt' } })))).toBe(
    INVALID,
  );
});

test('a token is checked once, and known from then on, until its end or for 5 minutes', async () => {
  const { verifier, clock, lookUps } = createVerifier();
  const token = await issue();
  const short = await issue({ claims: { exp: NOW + 60 } });
  expect(verifier.known(token)).toBeUndefined();
  const all = await Promise.all([token, token, token, short].map((it) => verifier.verify(it)));
  expect(all).toEqual([USER, USER, USER, USER]);
  expect(lookUps()).toBe(2);
  expect([verifier.known(token), verifier.known(short)]).toEqual([USER, USER]);
  clock.advance(64_999);
  expect(verifier.known(short)).toEqual(USER);
  clock.advance(1);
  expect(verifier.known(short)).toBeUndefined();
  expect(await refusalOf(verifier.verify(short))).toBe(EXPIRED);
  clock.advance(235_000);
  expect(verifier.known(token)).toEqual(USER);
  clock.advance(1);
  expect(verifier.known(token)).toBeUndefined();
  expect(await verifier.verify(token)).toEqual(USER);
});

test('a step of the wall clock past the end of a known token ends it', async () => {
  const { verifier, clock } = createVerifier();
  const token = await issue();
  await verifier.verify(token);
  clock.stepWallClock(606_000);
  expect(verifier.known(token)).toBeUndefined();
  expect(await refusalOf(verifier.verify(token))).toBe(EXPIRED);
});

test('19: a new key of the issuer is found by the first token that has it, in one fetch for all who come (API2:2023)', async () => {
  const { verifier, issuer, fetches } = createVerifier();
  const issueMany = (options: (index: number) => TokenOptions) =>
    Promise.all(Array.from({ length: 50 }, (_, index) => issue(options(index))));
  const old = await issueMany((index) => ({ claims: { jti: index } }));
  const renewed = await issueMany((index) => ({
    claims: { jti: index },
    header: { alg: 'ES256', kid: 'second' },
    key: second.privateKey,
  }));
  await Promise.all(old.slice(0, 25).map((token) => verifier.verify(token)));
  issuer.keys = [SECOND_JWK, FIRST_JWK];
  const answers = await Promise.all([...renewed, ...old].map((token) => verifier.verify(token)));
  expect(answers).toEqual(Array.from({ length: 100 }, () => USER));
  expect(fetches()).toBe(2);
});

/** A token whose key nobody has, else good. */
function forge(kid: string): Promise<string> {
  return issue({ header: { kid }, key: strange.privateKey });
}

/** What a token is answered: its subject, why it is refused, or the milliseconds after which it may come again. */
async function answerTo(
  { verifier }: ReturnType<typeof createVerifier>,
  token: Promise<string>,
): Promise<string | number> {
  try {
    return (await verifier.verify(await token)).subject;
  } catch (error) {
    if (error instanceof KeysUnavailableError) return error.retryAfterMs;
    if (error instanceof InvalidTokenError) return error.message;
    throw error;
  }
}

test('20: unknown key ids cost one fetch in 30 s (API4:2023)', async () => {
  const created = createVerifier();
  const { verifier, clock, fetches } = created;
  await verifier.verify(await issue());
  const flood = async (name: string) => {
    const answers = new Set<string | number>();
    for (let index = 0; index < 200; index += 1) {
      answers.add(await answerTo(created, forge(`${name}-${index}`)));
    }
    return [...answers];
  };
  expect(await flood('a')).toEqual([INVALID, 30_000]);
  expect(fetches()).toBe(2);
  clock.advance(29_999);
  expect(await flood('b')).toEqual([1]);
  expect(fetches()).toBe(2);
  clock.advance(1);
  expect(await flood('c')).toEqual([INVALID, 30_000]);
  expect(fetches()).toBe(3);
  expect(await verifier.verify(await issue())).toEqual(USER);
});

test('88: a forged key id does not make a good token of a new key invalid: it is asked to wait until the keys are looked at (API2:2023)', async () => {
  const created = createVerifier();
  const { issuer, clock, fetches } = created;
  const renewed = (jti: string) =>
    issue({
      header: { alg: 'ES256', kid: 'second' },
      key: second.privateKey,
      claims: { jti },
    });
  expect(await answerTo(created, issue())).toBe('user-1');
  expect(await answerTo(created, forge('forged'))).toBe(INVALID);
  issuer.keys = [SECOND_JWK, FIRST_JWK];
  clock.advance(1_000);
  expect(await answerTo(created, renewed('a'))).toBe(29_000);
  // Forged ones put nothing off.
  expect(await answerTo(created, forge('forged again'))).toBe(29_000);
  clock.advance(29_000);
  expect(await answerTo(created, renewed('b'))).toBe('user-1');
  expect(fetches()).toBe(3);
});

test('88: while an unknown key cannot be looked for because the issuer is down, its tokens are asked to wait (API2:2023)', async () => {
  const created = createVerifier();
  const { issuer, clock } = created;
  expect(await answerTo(created, issue())).toBe('user-1');
  const { answer } = issuer;
  issuer.answer = () => undefined;
  issuer.keys = [SECOND_JWK];
  const renewed = () => issue({ header: { alg: 'ES256', kid: 'second' }, key: second.privateKey });
  expect(await answerTo(created, forge('forged'))).toBe(900);
  expect(await answerTo(created, renewed())).toBe(900);
  issuer.answer = answer;
  clock.advance(900);
  expect(await answerTo(created, renewed())).toBe('user-1');
});

test.each<[name: string, options: TokenOptions, message: string]>([
  ['that has ended', { claims: { exp: NOW - 60 } }, EXPIRED],
  ['of another issuer', { claims: { iss: 'https://other.example' } }, INVALID],
  ['of another type', { header: { typ: 'JWT' } }, INVALID],
  ['without exp', { claims: { exp: undefined } }, INVALID],
])(
  '88: a token %s is refused before its key is looked for (API2:2023)',
  async (_, options, message) => {
    const created = createVerifier();
    const { fetches } = created;
    await created.verifier.verify(await issue());
    const header = { ...options.header, kid: 'withdrawn' };
    for (let count = 0; count < 3; count += 1) {
      expect(await answerTo(created, issue({ ...options, header }))).toBe(message);
    }
    expect(fetches()).toBe(1);
  },
);

test('88: a withdrawn key is out within 15 minutes, with traffic and after hours without (API2:2023)', async () => {
  for (const idleMs of [0, 600_000, 7_200_000, 86_000_000]) {
    const created = createVerifier();
    const { issuer, clock } = created;
    let issued = 0;
    const old = () => {
      issued += 1;
      return issue({ claims: { jti: issued, exp: NOW + 200_000 } });
    };
    const held = old();
    expect(await answerTo(created, held)).toBe('user-1');
    issuer.keys = [SECOND_JWK];
    clock.advance(idleMs);
    if (idleMs > 0) expect(await answerTo(created, old())).toBe(INVALID);
    const start = clock.now();
    let lastAccepted = start;
    while (clock.now() < start + 1_800_000) {
      for (const token of [held, old()]) {
        if ((await answerTo(created, token)) === 'user-1') lastAccepted = clock.now();
      }
      clock.advance(10_000);
    }
    expect(lastAccepted - start).toBeLessThan(900_000);
  }
});

test('88: an issuer that empties its key set is believed, and one whose answer is no key set is not (API2:2023)', async () => {
  const created = createVerifier();
  const { issuer, clock, log } = created;
  const { answer } = issuer;
  const token = (jti: string) => issue({ claims: { jti, exp: NOW + 20_000 } });
  expect(await answerTo(created, token('a'))).toBe('user-1');
  for (const body of ['{}', '[]', 'null', '{"keys":null}', '{"keys":{}}', '<html>']) {
    issuer.answer = (path) => (path === '/jwks' ? { status: 200, body } : answer(path));
    clock.advance(600_000);
    expect(await answerTo(created, token(body))).toBe('user-1');
  }
  issuer.answer = answer;
  for (const keys of [[], [{ kty: 'oct', k: 'AAAA', kid: 'first' }]]) {
    issuer.keys = [FIRST_JWK];
    clock.advance(600_000);
    expect(await answerTo(created, token(`b${keys.length}`))).toBe('user-1');
    issuer.keys = keys;
    clock.advance(600_000);
    expect(await answerTo(created, token(`c${keys.length}`))).toBe(900);
    expect(created.keys.usable()).toBe(false);
  }
  issuer.keys = [FIRST_JWK];
  clock.advance(900);
  expect(await answerTo(created, token('d'))).toBe('user-1');
  expect(JSON.parse(log.at(-1) ?? '').err.message).toBe(
    "none of the keys in the issuer's key set (1) is a public one for signatures by AUTH_ALGORITHMS",
  );
});

test('88: of an issuer that hangs, one look at its keys holds up who comes; the others are served by the keys that there are (API2:2023)', async () => {
  const created = createVerifier();
  const { verifier, issuer, clock } = created;
  const token = (jti: string) => issue({ claims: { jti, exp: NOW + 200_000 } });
  await verifier.verify(await token('a'));
  const failing = Promise.withResolvers<void>();
  issuer.delay = () => failing.promise;
  issuer.answer = () => undefined;
  clock.advance(7_200_000);
  const waiting = answerTo(created, token('b'));
  await expect.poll(() => issuer.requests.at(-1)).toBe('/.well-known/openid-configuration');
  failing.resolve();
  expect(await waiting).toBe('user-1');
  const hanging = Promise.withResolvers<void>();
  issuer.delay = () => hanging.promise;
  clock.advance(30_000);
  expect(await answerTo(created, token('c'))).toBe('user-1');
  expect(issuer.requests).toHaveLength(2 + 2);
  hanging.resolve();
});

test('21: while the issuer is down, known keys serve for 24 hours, and no longer (API2:2023)', async () => {
  const { verifier, issuer, clock, log } = createVerifier();
  const lasting = (name: string) => issue({ claims: { jti: name, exp: NOW + 200_000 } });
  expect(await verifier.verify(await lasting('a'))).toEqual(USER);
  const { answer } = issuer;
  issuer.answer = () => undefined;
  for (const hours of [1, 10, 12]) {
    clock.advance(hours * 3_600_000);
    expect(await verifier.verify(await lasting(`after ${hours}`))).toEqual(USER);
  }
  clock.advance(3_600_000);
  await expect(verifier.verify(await lasting('b'))).rejects.toThrow(KeysUnavailableError);
  expect(log.map((line) => JSON.parse(line).msg)).toEqual(
    log.map(() => "no keys of callers' tokens"),
  );

  issuer.answer = answer;
  clock.advance(30_000);
  expect(await verifier.verify(await lasting('c'))).toEqual(USER);
});

test('21: a failed fetch is not kept, but the next one waits (API2:2023)', async () => {
  const { verifier, issuer, clock } = createVerifier();
  const token = await issue();
  const { answer } = issuer;
  issuer.answer = () => undefined;
  const failure = async () => {
    const error: unknown = await verifier.verify(token).catch((it: unknown) => it);
    return error instanceof KeysUnavailableError ? error.retryAfterMs : error;
  };
  expect([await failure(), await failure(), issuer.requests.length]).toEqual([900, 900, 1]);
  clock.advance(300);
  expect([await failure(), issuer.requests.length]).toEqual([600, 1]);
  clock.advance(600);
  expect([await failure(), issuer.requests.length]).toEqual([1_800, 2]);
  issuer.answer = answer;
  clock.advance(2_000);
  expect(await verifier.verify(token)).toEqual(USER);
});

test('keys that are older than 5 minutes are fetched anew, and serve meanwhile up to 10', async () => {
  const { verifier, clock, fetches } = createVerifier();
  const token = (jti: string) => issue({ claims: { jti, exp: NOW + 20_000 } });
  await verifier.verify(await token('a'));
  clock.advance(299_999);
  await verifier.verify(await token('b'));
  expect(fetches()).toBe(1);
  clock.advance(1);
  expect(await verifier.verify(await token('c'))).toEqual(USER);
  await expect.poll(fetches).toBe(2);
  clock.advance(600_000);
  expect(await verifier.verify(await token('d'))).toEqual(USER);
  expect(fetches()).toBe(3);
});

const FAULTY: [name: string, path: string, body: string, reason: string][] = [
  [
    'metadata of another issuer',
    '/.well-known/openid-configuration',
    `{"issuer":"${ISSUER}/","jwks_uri":"${ISSUER}/jwks"}`,
    "the issuer's metadata name another issuer than AUTH_ISSUER",
  ],
  [
    'a jwks_uri without TLS',
    '/.well-known/openid-configuration',
    `{"issuer":"${ISSUER}","jwks_uri":"http://issuer.example/jwks"}`,
    "the issuer's jwks_uri is not https",
  ],
  [
    'metadata without a jwks_uri',
    '/.well-known/openid-configuration',
    `{"issuer":"${ISSUER}"}`,
    "the issuer's metadata have no jwks_uri",
  ],
  [
    'metadata that are no object',
    '/.well-known/openid-configuration',
    'null',
    "the issuer's metadata are no object",
  ],
  ['HTML', '/jwks', '<html>canary', "the issuer's answer is not JSON"],
  ['a key set without keys', '/jwks', '{"keys":[]}', "there is no key in the issuer's key set"],
  [
    'a key set with a shared secret alone',
    '/jwks',
    '{"keys":[{"kty":"oct","k":"AAAA"}]}',
    "none of the keys in the issuer's key set (1) is a public one for signatures by AUTH_ALGORITHMS",
  ],
];

test.each(FAULTY)('%s is no key set: the log says why', async (_, path, body, reason) => {
  const { verifier, issuer, log } = createVerifier();
  const { answer } = issuer;
  issuer.answer = (asked) => (asked === path ? { status: 200, body } : answer(asked));
  await expect(verifier.verify(await issue())).rejects.toThrow(KeysUnavailableError);
  expect(log.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({
      level: 'warn',
      err: expect.objectContaining({ message: reason }),
      failures: 1,
      retryAfterMs: 900,
      msg: "no keys of callers' tokens",
    }),
  ]);
  expect(log.join('')).not.toContain('canary');
});

test('a key set by its URL needs no metadata', async () => {
  const { verifier, issuer } = createVerifier(
    {},
    { jwksUrl: new URL('https://keys.example/jwks') },
  );
  expect(await verifier.verify(await issue())).toEqual(USER);
  expect(issuer.requests).toEqual(['/jwks']);
});
