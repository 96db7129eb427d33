import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEnvFile } from '../../src/config/env-file.ts';
import { SettingsError } from '../../src/config/load.ts';

const LINES = ['AUTH_REQUIRED_SCOPES=batch:read', '# a comment', 'PORT="4010"', ''];
const READ = { AUTH_REQUIRED_SCOPES: 'batch:read', PORT: '4010' };

function utf16(text: string, order: 'little' | 'big'): Buffer {
  const bytes = Buffer.from(text, 'utf16le');
  return order === 'little' ? bytes : bytes.swap16();
}

test('76: a .env is read whole, with a byte order mark or without, with line ends of any system', () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(fc.constantFrom('\n', '\r\n', '\r'), { minLength: 3, maxLength: 3 }),
      (marked, ends) => {
        const text = LINES.map((line, index) => line + (ends[index] ?? '')).join('');
        const bytes = Buffer.from((marked ? '\ufeff' : '') + text);
        expect(parseEnvFile(bytes, {})).toEqual(READ);
      },
    ),
  );
});

const refused: [name: string, bytes: Buffer, message: string][] = [
  ...(['little', 'big'] as const).flatMap((order): [string, Buffer, string][] =>
    ['\ufeff', ''].map((mark) => [
      `in UTF-16, ${order} endian, with${mark ? '' : 'out'} a byte order mark`,
      utf16(mark + LINES.join('\r\n'), order),
      'The file .env is in UTF-16: save it as UTF-8.',
    ]),
  ),
  [
    'in Latin-1',
    Buffer.from('TOKEN_SCOPE=ü', 'latin1'),
    'The file .env is not in UTF-8: save it as UTF-8.',
  ],
  ...['AUTH_MODE: jwt', 'AUTH_MODE', 'export AUTH_MODE', '{"AUTH_MODE":"jwt"}'].flatMap(
    (line): [string, Buffer, string][] =>
      ['', '\nHOST=::1', '\n\n# the end\n'].map((rest) => [
        `with the line ${line}${JSON.stringify(rest)}`,
        Buffer.from(`# first\nTOKEN_CLIENT_SECRET="a\nb" # =\n${line}${rest}`),
        'Line 4 of the file .env sets nothing: write NAME=value.',
      ]),
  ),
  [
    'with what Node.js reads before it',
    Buffer.from('NODE_EXTRA_CA_CERTS=/etc/ca.pem'),
    'The file .env sets NODE_EXTRA_CA_CERTS, which Node.js does not read there: set it in the environment.',
  ],
];

for (const [name, bytes, message] of refused) {
  test(`76: a .env ${name} is refused with the reason`, () => {
    expect(() => parseEnvFile(bytes, {})).toThrow(new SettingsError(message));
  });
}

test('quoted values of several lines, export and names of others are read as Node.js reads them', () => {
  const text = `export PORT = 4010 # a port\nKEY="-----BEGIN\nx\n-----END"\nother.name-1='# = "'\nEMPTY=\n# A="b\nTIS='tis\n`;
  expect(parseEnvFile(Buffer.from(text), {})).toEqual({
    PORT: '4010',
    KEY: '-----BEGIN\nx\n-----END',
    'other.name-1': '# = "',
    EMPTY: '',
    TIS: "'tis",
  });
});

test('what the environment has, even empty, comes before a .env', () => {
  const bytes = Buffer.from('PORT=1\nHOST=::1\nNODE_EXTRA_CA_CERTS=/etc/ca.pem');
  expect(parseEnvFile(bytes, { PORT: '', NODE_EXTRA_CA_CERTS: '/etc/ca.pem' })).toEqual({
    HOST: '::1',
  });
});
