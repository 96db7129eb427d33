import { createPrivateKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Environment, parseSettings, SettingsError } from '../../src/config/load.ts';
import { createCertificateAuthority } from '../support/certificates.ts';

const day = (offset: number) => new Date(Date.UTC(2026, 0, 1 + offset));
const validity = { from: day(0), until: day(90) };
const { cert, key } = createCertificateAuthority(validity).issue('gateway.test', validity);
const other = createCertificateAuthority(validity).issue('gateway.test', validity);
const TENANT: Environment = {
  PARTICIPANT_SERVICE_URL: 'https://tenant.example',
  PARTICIPANT_SERVICE_TENANT_ID: 'tenant-1',
  TOKEN_CLIENT_ID: 'gateway',
  TOKEN_CLIENT_SECRET: 'canary-secret',
};
const BOTH = {
  ...TENANT,
  UPSTREAM_CLIENT_CERT_FILE: '/canary/tls.crt',
  UPSTREAM_CLIENT_KEY_FILE: '/canary/tls.key',
};

function settingsOf(environment: Environment, files: { cert: string; key: string }) {
  return parseSettings(environment, (path) =>
    Buffer.from(path.endsWith('crt') ? files.cert : files.key),
  );
}

test('a certificate and its key are read at the start, with a byte order mark or without', () => {
  const { network } = settingsOf(BOTH, { cert: `\ufeff${cert}`, key: `\ufeff${key}` });
  expect(network.clientCertificate).toEqual({
    cert,
    key,
    subject: 'CN=gateway.test',
    validUntil: validity.until,
  });
});

const encrypted = String(
  createPrivateKey(key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'canary',
  }),
);
const CERT_ACCEPTS = 'the path of a file that can be read, with UPSTREAM_CLIENT_KEY_FILE';
const KEY_ACCEPTS = 'the path of a file that can be read, with UPSTREAM_CLIENT_CERT_FILE';
const faults: [name: string, environment: Environment, files: typeof other, lines: string[]][] = [
  [
    'without its key',
    { ...BOTH, UPSTREAM_CLIENT_KEY_FILE: '' },
    { cert, key },
    [
      `UPSTREAM_CLIENT_KEY_FILE is missing, although UPSTREAM_CLIENT_CERT_FILE is set; it accepts ${KEY_ACCEPTS}`,
    ],
  ],
  [
    'of which there is the key alone',
    { ...BOTH, UPSTREAM_CLIENT_CERT_FILE: '' },
    { cert, key },
    [
      `UPSTREAM_CLIENT_CERT_FILE is missing, although UPSTREAM_CLIENT_KEY_FILE is set; it accepts ${CERT_ACCEPTS}`,
    ],
  ],
  [
    'with the key of another one',
    BOTH,
    { cert, key: other.key },
    [
      `UPSTREAM_CLIENT_KEY_FILE has another key than that of UPSTREAM_CLIENT_CERT_FILE; it accepts ${KEY_ACCEPTS}`,
    ],
  ],
  [
    'that is none, with a key that is none',
    BOTH,
    { cert: 'canary', key: 'canary' },
    [
      `UPSTREAM_CLIENT_CERT_FILE names a file that has no certificate in PEM; it accepts ${CERT_ACCEPTS}`,
      `UPSTREAM_CLIENT_KEY_FILE names a file that has no private key in PEM; it accepts ${KEY_ACCEPTS}`,
    ],
  ],
  [
    'with an encrypted key',
    BOTH,
    { cert, key: encrypted },
    [
      `UPSTREAM_CLIENT_KEY_FILE names a file that has an encrypted key: decrypt it; it accepts ${KEY_ACCEPTS}`,
    ],
  ],
  [
    'without a tenant to show it to',
    { UPSTREAM_CLIENT_CERT_FILE: '/tls.crt', UPSTREAM_CLIENT_KEY_FILE: '/tls.key' },
    { cert, key },
    [
      'PARTICIPANT_SERVICE_URL is missing, although UPSTREAM_CLIENT_CERT_FILE is set; it accepts an https:// URL (http:// on loopback only) without credentials, query and fragment',
    ],
  ],
];

for (const [name, environment, files, lines] of faults) {
  test(`64: a client certificate ${name} is refused`, () => {
    const message = ['The settings are faulty:', ...lines.map((line) => `  ${line}`)].join('\n');
    expect(() => settingsOf(environment, files)).toThrow(new SettingsError(message));
  });
}
