import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Redaction } from '../../src/upstream/redaction.ts';

const base64url = (text: string) => Buffer.from(text).toString('base64url');
const HEADER = base64url('{"alg":"RS256","typ":"at+jwt","kid":"k-1"}');
const JWT = `${HEADER}.${base64url('{"iss":"https://issuer.example","sub":"gateway","exp":4000000000}')}.${randomBytes(256).toString('base64url')}`;
const OPAQUE = `${randomBytes(40).toString('base64')}.~/+=`;

const hexOf = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0');
const each =
  (encode: (character: string) => string, which = /./g) =>
  (text: string) =>
    text.replace(which, encode);
const ODD = /[^a-z\d]/gi;

/** Ways to write a text, by their names. */
const SPELLINGS: Record<string, (text: string) => string> = {
  'as it is': (text) => text,
  'percent, upper case': each((it) => `%${hexOf(it).toUpperCase()}`, ODD),
  'percent, lower case': each((it) => `%${hexOf(it)}`, ODD),
  'percent, each character': each((it) => `%${hexOf(it)}`),
  'percent, twice': (text) => each((it) => `%25${hexOf(it)}`)(text),
  'HTML, hexadecimal': each((it) => `&#x${hexOf(it)};`),
  'HTML, hexadecimal, upper case': each((it) => `&#X00${hexOf(it).toUpperCase()};`, ODD),
  'HTML, decimal': each((it) => `&#${it.charCodeAt(0)};`),
  'HTML, by name': (text) =>
    text
      .replaceAll('.', '&period;')
      .replaceAll('_', '&lowbar;')
      .replaceAll('+', '&plus;')
      .replaceAll('/', '&sol;')
      .replaceAll('=', '&equals;'),
  'HTML, twice': each((it) => `&amp;#x${hexOf(it)};`, ODD),
  'JSON, by number': each((it) => `\\u00${hexOf(it)}`),
  'JSON, twice': each((it) => `\\\\u00${hexOf(it).toUpperCase()}`),
  JavaScript: each((it) => `\\x${hexOf(it)}`),
  'JavaScript, code points': each((it) => `\\u{${hexOf(it)}}`, ODD),
  backslashes: each((it) => `\\${it}`, /\W/g),
  base64: (text) => Buffer.from(text).toString('base64'),
  base64url,
  'base64, with a name before it': (text) => Buffer.from(`gateway:${text}`).toString('base64'),
  'base64, in lines': (text) => Buffer.from(text).toString('base64').replace(/.{76}/g, '$&\r\n'),
  'base64, twice': (text) => base64url(base64url(text)),
  'base64, percent-encoded': (text) =>
    encodeURIComponent(Buffer.from(`Bearer ${text}`).toString('base64')),
  'percent-encoded, in base64': (text) => base64url(encodeURIComponent(text)),
  'the other alphabet': (text) => text.replaceAll('-', '+').replaceAll('_', '/'),
};

/** Whether a text says 16 characters of the secret of a token in any of the ways above, as they are. */
function tells(text: string, secret: string): boolean {
  for (let at = 0; at + 16 <= secret.length; at += 1) {
    if (text.includes(secret.slice(at, at + 16))) return true;
  }
  return false;
}

const TOKENS: [name: string, token: string, secret: string][] = [
  ['a JWT', JWT, JWT.slice(HEADER.length + 1)],
  ['an opaque token', OPAQUE, OPAQUE],
];

for (const [name, token, secret] of TOKENS) {
  const redaction = new Redaction(token);
  for (const [spelling, encode] of Object.entries(SPELLINGS)) {
    test(`89: in a text of an error, ${name} is withheld (${spelling})`, () => {
      const encoded = encode(token);
      for (const text of [encoded, `The token ${encoded} is bad.`, `x${encoded}y`]) {
        const shown = redaction.inError(text);
        expect(shown).toContain('[redacted]');
        expect(tells(shown, secret)).toBe(false);
        expect(shown.length).toBeLessThan(HEADER.length + 60);
      }
    });

    test(`89: so are 16 characters and more of the secret of ${name} (${spelling})`, () => {
      const part = fc
        .tuple(fc.nat(secret.length - 16), fc.integer({ min: 16, max: 40 }))
        .map(([at, length]) => secret.slice(at, at + length));
      fc.assert(
        fc.property(part, fc.string({ maxLength: 5 }), (text, before) => {
          const shown = redaction.inError(`${before} ${encode(text.padEnd(16))} after`);
          expect(shown).toContain('[redacted]');
        }),
        { numRuns: 200 },
      );
    });
  }
}

test('89: what is no part of the token stays as it is', () => {
  const redaction = new Redaction(JWT);
  const texts = [
    'The batch b-1 was not found.',
    HEADER,
    `${HEADER}.`,
    JWT.slice(-15),
    '100 % &amp; "50 &#37;", C:\\temp\\%41, &nosuch; &#x; %zz \\u00',
    '7d9f2f0e-3b1c-4d8e-9a77-0c1f6a6f7a10',
    Buffer.from('a text of its own, in base64, that is long enough').toString('base64'),
    '',
  ];
  expect(texts.map((text) => redaction.inError(text))).toEqual(texts);
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(redaction.inError(text)).toBe(text);
      expect(redaction.inData(text)).toBe(text);
    }),
  );
});

test('89: around a part that is quoted as it is, the text stays', () => {
  const redaction = new Redaction(JWT);
  const [, payload = '', signature = ''] = JWT.split('.');
  expect(redaction.inError(`The token ${JWT} is bad, ${JWT} too.`)).toBe(
    'The token [redacted] is bad, [redacted] too.',
  );
  expect(redaction.inError(`payload ${payload}, signature ${signature.slice(3, 19)}!`)).toBe(
    'payload [redacted], signature [redacted]!',
  );
  expect(redaction.inError(`${HEADER}.${payload}.[…]`)).toBe(`${HEADER}.[redacted][…]`);
});

test('89: a text of an error that is longer than 32 Ki characters is withheld', () => {
  const redaction = new Redaction(JWT);
  const longest = 'ä'.repeat(32 * 1024);
  expect(redaction.inError(longest)).toBe(longest);
  expect(redaction.inError(`${longest}ä`)).toBe('[redacted]');
});

test.each(TOKENS)(
  '89: in data, %s is redacted as it is and percent-encoded, and the rest stays',
  (_, token) => {
    const redaction = new Redaction(token);
    const encodings = [
      (text: string) => text,
      encodeURIComponent,
      SPELLINGS['percent, upper case'],
      SPELLINGS['percent, lower case'],
      SPELLINGS['percent, each character'],
    ];
    for (const encode of encodings) {
      const text = `/status?token=${encode?.(token)}&x=1%2F2`;
      expect(redaction.isIn(text)).toBe(true);
      expect(redaction.inData(text)).toBe('/status?token=[redacted]&x=1%2F2');
    }
    const others = ['%', token.slice(1), base64url(token), `%${token.slice(1)}`];
    expect(others.map((text) => redaction.inData(text))).toEqual(others);
    expect(others.map((text) => redaction.isIn(text))).toEqual(others.map(() => false));
  },
);

test('89: a token of less than 16 characters is not looked for', () => {
  const redaction = new Redaction('vehicles');
  expect(redaction.isIn('vehicles')).toBe(false);
  expect(redaction.inData('vehicles')).toBe('vehicles');
  expect(redaction.inError('No vehicles, no vehicles.')).toBe('No vehicles, no vehicles.');
});

test('89: tokens of 64 KiB are looked for, too', () => {
  const token = randomBytes(48 * 1024).toString('base64');
  const redaction = new Redaction(token);
  expect(redaction.inError(`x ${token.slice(60_000, 60_020)}`)).toMatch(/^(x )?\[redacted\]$/);
  expect(redaction.inData(`x ${encodeURIComponent(token)}`)).toBe('x [redacted]');
});
