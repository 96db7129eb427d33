import { expect, test } from 'vitest';
import { type Environment, parseSettings, SettingsError } from '../../src/config/load.ts';
import { SECRET_NAMES, VARIABLE_NAMES, type VariableName } from '../../src/config/variables.ts';
import { secretFromFile } from '../../src/tokens/client-secret.ts';

const TENANT: Environment = {
  PARTICIPANT_SERVICE_URL: 'https://tenant.example',
  PARTICIPANT_SERVICE_TENANT_ID: 'tenant-1',
  TOKEN_CLIENT_ID: 'gateway',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example',
};
const SECRET = 'canary-0123456789';
const PATH = '/run/secrets/canary';

/** The text of a variable with the secret in it. */
function textFor(name: VariableName): string {
  if (name === 'REDIS_URL') return `rediss://:${SECRET}@redis.example`;
  return name === 'OTEL_EXPORTER_OTLP_HEADERS' ? `api-key=${SECRET}` : SECRET;
}

/** What each secret is in the settings, by its variable. */
function secretsIn(environment: Environment, file: Uint8Array = Buffer.of()) {
  const { federationAccess, network, participantService, redis, traces } = parseSettings(
    environment,
    (path) => {
      expect(path).toBe(PATH);
      return file;
    },
  );
  const token = participantService?.token.clientSecret;
  return {
    HTTPS_PROXY: network.proxy?.hostname,
    TOKEN_CLIENT_SECRET: token && ('value' in token ? token.value : token.file),
    FEDERATION_SECRET: federationAccess.secret,
    REDIS_URL: redis?.url.password,
    OTEL_EXPORTER_OTLP_HEADERS: traces?.headers['api-key'],
  };
}

function messageOf(environment: Environment, file?: Uint8Array): string {
  try {
    parseSettings(environment, () => file ?? Buffer.of());
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  return '';
}

/** A tenant's settings in which one secret is given so; the client secret, which must be there, in any case. */
function environmentWith(name: VariableName, text: string): Environment {
  const other = name.startsWith('TOKEN_CLIENT_SECRET') ? {} : { TOKEN_CLIENT_SECRET: 'another' };
  return { ...TENANT, ...other, [name]: text };
}

test('76: white space around a secret, and a byte order mark before it, are no part of it', async () => {
  expect(SECRET_NAMES.map(([name]) => name)).toEqual([
    'HTTPS_PROXY',
    'TOKEN_CLIENT_SECRET',
    'FEDERATION_SECRET',
    'REDIS_URL',
    'OTEL_EXPORTER_OTLP_HEADERS',
  ]);
  for (const [before, after] of [
    ['', ''],
    ['', '\n'],
    ['', '\r\n'],
    ['', '\r'],
    ['\ufeff', ' \n\n'],
    ['\t', ' '],
  ]) {
    for (const [name, fileName] of SECRET_NAMES) {
      const text = `${before}${textFor(name)}${after}`;
      expect(secretsIn(environmentWith(name, text))).toHaveProperty(name, SECRET);
      const fromFile = secretsIn(environmentWith(fileName, PATH), Buffer.from(text));
      // The client secret is read when it is needed, and again when it is refused.
      const expected = name === 'TOKEN_CLIENT_SECRET' ? PATH : SECRET;
      expect(fromFile).toHaveProperty(name, expected);
    }
    const file = Buffer.from(`${before}${SECRET}${after}`);
    expect(await secretFromFile(PATH, async () => file).current()).toBe(SECRET);
  }
});

const LINES = 'has more than one line, or control or invisible characters';
const badFiles: [what: string, bytes: Buffer, reason: string][] = [
  ['in UTF-16', Buffer.from(`\ufeff${SECRET}`, 'utf16le'), 'is in UTF-16: save it as UTF-8'],
  ['in UTF-16 without a mark', Buffer.from(SECRET, 'utf16le'), 'is in UTF-16: save it as UTF-8'],
  [
    'in UTF-16, big endian',
    Buffer.from(`\ufeff${SECRET}`, 'utf16le').swap16(),
    'is in UTF-16: save it as UTF-8',
  ],
  ['in Latin-1', Buffer.from(`${SECRET}é`, 'latin1'), 'is not in UTF-8: save it as UTF-8'],
  ['of two lines', Buffer.from(`me\n${SECRET}\n`), LINES],
  ['with a CR', Buffer.from(`me\r${SECRET}`), LINES],
  ['with an escape sequence', Buffer.from(`\u001b[0m${SECRET}`), LINES],
  ['with a zero-width space', Buffer.from(`${SECRET}\u200bx`), LINES],
  ['with a byte order mark inside', Buffer.from(`x\ufeff${SECRET}`), LINES],
  ['with nothing but a newline', Buffer.from('\r\n'), 'is empty'],
];

for (const [what, bytes, reason] of badFiles) {
  test(`76: a secret file ${what} is refused with the reason, at the start and later`, async () => {
    for (const [, fileName] of SECRET_NAMES) {
      expect(messageOf(environmentWith(fileName, PATH), bytes)).toBe(
        `The settings are faulty:\n  ${fileName} names a file that ${reason}; it accepts the path of a file that can be read`,
      );
    }
    await expect(secretFromFile(PATH, async () => bytes).current()).rejects.toThrow(reason);
  });
}

test('76: control and invisible characters within any variable are refused, and not repeated', () => {
  for (const name of VARIABLE_NAMES) {
    for (const text of ['a\nb', 'a\rb', 'a\u0000b', 'a\u001bb', 'a\u200bb', 'a\u2028b']) {
      expect(messageOf({ [name]: text })).toContain(
        `  ${name} has control or invisible characters, or more than one line; it accepts `,
      );
    }
  }
});

test('90: a secret file whose text is no such secret is named, and its text is not shown', () => {
  const bytes = Buffer.from('canary-short');
  expect(messageOf(environmentWith('FEDERATION_SECRET_FILE', PATH), bytes)).toBe(
    'The settings are faulty:\n  FEDERATION_SECRET_FILE names a file with a text that FEDERATION_SECRET does not accept: 16 to 1024 characters of ASCII without spaces; it accepts the path of a file that can be read',
  );
});

test('90: every secret is given once: itself, or its file', () => {
  for (const [name, fileName] of SECRET_NAMES) {
    const environment = { ...environmentWith(name, textFor(name)), [fileName]: PATH };
    expect(messageOf(environment, Buffer.from(textFor(name)))).toContain(
      `  ${name} is set together with ${fileName}: one of them; it accepts `,
    );
  }
});

test('90: no message shows what might be a secret, whichever variable it was put into', () => {
  const secrets = [
    'canary-S3cret',
    'canarycanarycanary',
    'Y2FuYXJ5/canary+==',
    '/canary/Y2FuYXJ5',
    'canary:password',
    'canary correct horse',
    'https://canary.example:canary@app.example',
    'https://hooks.example/canary',
    'https://app.example?key=canary',
    'https://app.example#canary',
    'ftp:user:canary@host',
    'https://app.example,me:canary@app.example',
    `https://user:canary${'x'.repeat(80)}@tenant.example`,
    '"canary-secret"',
  ];
  for (const name of VARIABLE_NAMES) {
    for (const secret of secrets) {
      const message = messageOf({ [name]: secret, [`X${name}X`]: secret, LOG_LEVEL: secret });
      expect(message).toContain('LOG_LEVEL is ');
      expect(message).not.toContain('canary');
    }
  }
});
