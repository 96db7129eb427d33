import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ReadFile } from '../../src/config/files.ts';
import { type Environment, parseSettings, SettingsError } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/settings.ts';
import { TenantConflicts } from '../../src/config/tenant-conflicts.ts';
import { filesOfTenant, parseTenantSettings } from '../../src/config/tenant-settings.ts';
import { infoOf, VARIABLE_NAMES, type VariableName } from '../../src/config/variables.ts';

const SECRET = 'canary-0123456789';
const ANY_FILE: ReadFile = () => Buffer.from(SECRET);

const ENVIRONMENT: Environment = {
  TENANTS_DIR: '/etc/tenants',
  TENANT_HEADER: 'X-Tenant',
  TRUSTED_PROXIES: '10.0.0.1',
  AUTH_MODE: 'none',
};
const FILE = {
  PARTICIPANT_SERVICE_URL: 'https://acme.example',
  PARTICIPANT_SERVICE_TENANT_ID: 'acme-1',
  TOKEN_CLIENT_ID: 'gateway',
  TOKEN_CLIENT_SECRET_FILE: 'acme.secret',
};

function withoutTenants({ tenants: _, ...settings }: Settings) {
  return settings;
}

type File = Readonly<Record<string, unknown>>;

function settingsOf(file: File | string, environment = ENVIRONMENT, readFile = ANY_FILE) {
  const text = typeof file === 'string' ? file : JSON.stringify(file);
  return parseTenantSettings('acme', text, environment, readFile).settings;
}

/** The lines of the message, without its heading. */
function faultsOf(file: File | string, environment?: Environment, readFile?: ReadFile): string[] {
  try {
    settingsOf(file, environment, readFile);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const [heading, ...lines] = error.message.split('\n');
    expect(heading).toBe("The tenant's file acme.json is faulty:");
    return lines.map((line) => line.trim());
  }
}

/** Without what each accepts. */
function problemsOf(file: File | string, environment?: Environment): string[] {
  return faultsOf(file, environment).map((line) => line.replace(/; it accepts .*/, ''));
}

test('a tenant has the settings of its file, then those of the environment, then the defaults', () => {
  const settings = settingsOf(
    {
      ...FILE,
      TENANT_HOSTS: ['Acme.Example', 'b.example:8443'],
      PARTICIPANT_TYPES: ['vehicles', 'drivers'],
      UPSTREAM_TIMEOUT_MS: 300,
      STATUS_TTL_MS: ' 5 ',
    },
    {
      ...ENVIRONMENT,
      UPSTREAM_TIMEOUT_MS: '400',
      STATUS_STALE_MS: '700',
      PORT: '1234',
      NODE_ENV: 'production',
    },
  );
  const { tenants, ...rest } = settings;
  expect(rest).toEqual({
    ...withoutTenants(
      parseSettings(
        {
          NODE_ENV: 'production',
          PORT: '1234',
          TRUSTED_PROXIES: '10.0.0.1',
          AUTH_MODE: 'none',
          PARTICIPANT_SERVICE_URL: 'https://acme.example',
          PARTICIPANT_SERVICE_TENANT_ID: 'acme-1',
          TOKEN_CLIENT_ID: 'gateway',
          TOKEN_CLIENT_SECRET_FILE: '/etc/tenants/acme.secret',
          PARTICIPANT_TYPES: 'vehicles,drivers',
          UPSTREAM_TIMEOUT_MS: '300',
          STATUS_TTL_MS: '5',
          STATUS_STALE_MS: '700',
        },
        ANY_FILE,
      ),
    ),
    tenantHosts: ['acme.example', 'b.example:8443'],
  });
  expect(tenants).toMatchObject({
    directory: '/etc/tenants',
    header: 'x-tenant',
    claim: undefined,
    maxActive: 256,
  });
});

test('true and false are on and off; an empty text takes away what the environment sets', () => {
  const environment = {
    ...ENVIRONMENT,
    AUTH_MODE: 'jwt',
    AUTH_ISSUER: 'https://issuer.example',
    AUTH_AUDIENCE: 'gw',
    AUTH_REQUIRED_SCOPES: 'batch:read',
  };
  expect(settingsOf({ ...FILE, FORWARD_USER_INFO: true }, environment).auth).toMatchObject({
    forwardUserInfo: true,
    requiredScopes: ['batch:read'],
  });
  expect(
    settingsOf({ ...FILE, AUTH_REQUIRED_SCOPES: '' }, environment).auth.requiredScopes,
  ).toEqual([]);
});

test("a tenant's issuer comes without the keys of the environment's, and its token endpoint alone", () => {
  const environment = {
    ...ENVIRONMENT,
    AUTH_MODE: 'jwt',
    AUTH_ISSUER: 'https://issuer.example',
    AUTH_JWKS_URL: 'https://issuer.example/keys',
    AUTH_AUDIENCE: 'gw',
    TOKEN_GRANT: 'oauth2',
    TOKEN_URL: 'https://tokens.example',
    FEDERATION_SECRET: 'the-router-of-all',
  };
  const all = settingsOf(FILE, environment);
  expect(all.auth.jwksUrl?.href).toBe('https://issuer.example/keys');
  expect(all.participantService?.token.source).toEqual({
    endpoint: new URL('https://tokens.example'),
  });
  const own = settingsOf(
    {
      ...FILE,
      AUTH_ISSUER: 'https://acme-issuer.example',
      TOKEN_ISSUER: 'https://acme-tokens.example',
      FEDERATION_SECRET_FILE: 'router',
    },
    environment,
  );
  expect(own.auth).toMatchObject({
    issuer: 'https://acme-issuer.example',
    jwksUrl: undefined,
    audiences: ['gw'],
  });
  expect(own.participantService?.token.source).toEqual({
    issuer: new URL('https://acme-tokens.example'),
  });
  expect(own.federationAccess.secret).toBe(SECRET);
  expect(
    settingsOf({ ...FILE, TOKEN_GRANT: 'os1' }, environment).participantService?.token.source,
  ).toBeUndefined();
});

test('paths are relative to the file, those of the environment to where the gateway runs', () => {
  const file = { ...FILE, TOKEN_CLIENT_SECRET_FILE: '../secrets/acme' };
  const environment = { ...ENVIRONMENT, FEDERATION_SECRET_FILE: 'router.secret' };
  const { participantService } = settingsOf(file, environment);
  expect(participantService?.token.clientSecret).toEqual({ file: '/etc/secrets/acme' });
  expect(filesOfTenant(JSON.stringify(file), environment).toSorted()).toEqual([
    '/etc/secrets/acme',
    'router.secret',
  ]);
  expect(
    settingsOf({ ...FILE, TOKEN_CLIENT_SECRET_FILE: '/run/s' }).participantService?.token
      .clientSecret,
  ).toEqual({ file: '/run/s' });
});

test("what is the process's is refused in a file, and what is a tenant's is accepted", () => {
  const perTenant = VARIABLE_NAMES.filter((name) => infoOf(name).perTenant !== undefined);
  expect(perTenant.length).toBeGreaterThan(40);
  for (const name of VARIABLE_NAMES) {
    const told = problemsOf({ ...FILE, [name]: '' }).filter((line) =>
      line.startsWith(`${name} is not a tenant's`),
    );
    expect(told).toEqual(
      perTenant.includes(name)
        ? []
        : [`${name} is not a tenant's, but the process's: set it in the environment`],
    );
  }
});

test.each<{ name: VariableName; kind: 'own' | 'shared' | undefined }>([
  { name: 'PARTICIPANT_SERVICE_URL', kind: 'own' },
  { name: 'TOKEN_CLIENT_ID', kind: 'own' },
  { name: 'TENANT_HOSTS', kind: 'own' },
  { name: 'UPSTREAM_CLIENT_KEY_FILE', kind: 'own' },
  { name: 'CORS_ORIGINS', kind: 'shared' },
  { name: 'MAX_POLLERS', kind: 'shared' },
  { name: 'AUTH_ISSUER', kind: 'shared' },
  { name: 'AUTH_MODE', kind: undefined },
  { name: 'TRUSTED_PROXIES', kind: undefined },
  { name: 'HTTPS_PROXY', kind: undefined },
  { name: 'TENANTS_DIR', kind: undefined },
])('$name is marked as $kind in the table', ({ name, kind }) => {
  expect(infoOf(name).perTenant).toBe(kind);
});

test.each<{ file: File | string; environment?: Environment; faults: string[] }>([
  {
    file: '{}',
    faults: [
      'PARTICIPANT_SERVICE_URL is missing',
      'PARTICIPANT_SERVICE_TENANT_ID is missing',
      'TOKEN_CLIENT_ID is missing',
      'TOKEN_CLIENT_SECRET_FILE is missing',
    ],
  },
  { file: '{"A":1', faults: ['It has no comma or } where one should be (line 1)'] },
  {
    file: { ...FILE, PARTICIPANT_TYPE: 'x', COLOUR: 'blue', NODE_ENV: 'production', '{canary}': 1 },
    faults: [
      'PARTICIPANT_TYPE is no setting: PARTICIPANT_TYPES is meant',
      'COLOUR is no setting',
      "NODE_ENV is not a tenant's, but the process's: set it in the environment",
      'Line 1 has a name that is no setting',
    ],
  },
  {
    file: { ...FILE, STATUS_TTL_MS: 'soon', UPSTREAM_TIMEOUT_MS: 1e21, FORWARD_USER_INFO: true },
    faults: [
      'UPSTREAM_TIMEOUT_MS is not valid (5 characters, not shown)',
      'STATUS_TTL_MS is "soon"',
      'FORWARD_USER_INFO is set without AUTH_MODE=jwt',
    ],
  },
  {
    file: { ...FILE, STATUS_TTL_MS: null, PARTICIPANT_TYPES: [] },
    faults: [
      'PARTICIPANT_TYPES is no text, number, true, false, or list of texts without commas',
      'STATUS_TTL_MS is no text, number, true, false, or list of texts without commas',
    ],
  },
  {
    file: `{"TOKEN_CLIENT_ID":"a",\n${JSON.stringify(FILE).slice(1)}`,
    faults: ['TOKEN_CLIENT_ID is there once more, in line 2'],
  },
  {
    file: { ...FILE, PARTICIPANT_SERVICE_TENANT_ID: 'a\u200bb' },
    faults: [
      'PARTICIPANT_SERVICE_TENANT_ID has control or invisible characters, or more than one line',
    ],
  },
  {
    file: { ...FILE, UPSTREAM_CLIENT_CERT_FILE: 'c', FOLLOW_MAX_MS: 500 },
    faults: [
      'UPSTREAM_CLIENT_KEY_FILE is missing, although UPSTREAM_CLIENT_CERT_FILE is set',
      'FOLLOW_MAX_MS is less than FOLLOW_MIN_MS',
    ],
  },
  {
    file: { ...FILE, TENANT_HOSTS: 'https://acme.example' },
    faults: ['TENANT_HOSTS is "https://acme.example"'],
  },
  {
    file: FILE,
    environment: { TENANTS_DIR: '/t', AUTH_MODE: 'jwt' },
    faults: [
      'TENANT_HOSTS is missing, although neither TENANT_CLAIM nor TENANT_HEADER is set',
      'AUTH_ISSUER is missing, although AUTH_MODE is jwt',
    ],
  },
  {
    file: { ...FILE, TENANT_HOSTS: ['acme.localhost', 'acme.example'] },
    environment: { TENANTS_DIR: '/t' },
    faults: [
      'TENANT_HOSTS has names of others than this machine, which are not answered without AUTH_MODE: to try it, take names below localhost',
    ],
  },
  {
    file: { ...FILE, TENANT_HOSTS: ['acme.localhost:4000', 'LOCALHOST', '127.0.0.1'] },
    environment: { TENANTS_DIR: '/t' },
    faults: [],
  },
  {
    file: { ...FILE, TENANT_HOSTS: 'acme.example' },
    environment: { TENANTS_DIR: '/t', AUTH_MODE: 'none' },
    faults: [
      'TENANT_HOSTS is set with AUTH_MODE=none, but without TRUSTED_PROXIES: whoever calls could write any Host',
    ],
  },
])('every fault of a file is told: $faults', ({ file, environment, faults }) => {
  expect(problemsOf(file, environment)).toEqual(faults);
});

test.each(['', '.hidden', 'a b', 'ä', '../etc', '-a', 'a'.repeat(65), 'a\u001b[2J', '__proto__'])(
  'a file whose name would be the tenant %j is faulty',
  (name) => {
    const parse = () => parseTenantSettings(name, JSON.stringify(FILE), ENVIRONMENT, ANY_FILE);
    expect(parse).toThrow(
      `The tenant's file ${JSON.stringify(`${name}.json`)} is faulty:\n  Its name before .json is not a letter or digit and up to 63 more, or _ . -`,
    );
  },
);

test.each([
  'acme.example',
  'a',
  'localhost:4000',
  'acme.localhost',
  'xn--bcher-kva.example',
  '10.0.0.1',
  '[::1]:8080',
  '[2001:db8::1]',
  'a_b.example',
])('%s may be a Host', (host) => {
  expect(settingsOf({ ...FILE, TENANT_HOSTS: host }).tenantHosts).toEqual([host]);
});

test.each([
  'acme.example:443',
  'acme.example:80',
  'acme.example.',
  '*.acme.example',
  'acme..example',
  'acme.example:0',
  'acme.example:65536',
  'acme.example/',
  'user@acme.example',
  'bücher.example',
  '::1',
  '[::g]',
  '-a.example',
  `${'a'.repeat(64)}.example`,
])('%s may be none', (host) => {
  expect(problemsOf({ ...FILE, TENANT_HOSTS: host })).toHaveLength(1);
});

test('65: a secret in the file itself is refused, and never told, wherever somebody puts it', () => {
  expect(faultsOf({ ...FILE, TOKEN_CLIENT_SECRET: SECRET, FEDERATION_SECRET: SECRET })).toEqual([
    'TOKEN_CLIENT_SECRET is in the file itself: name another one by TOKEN_CLIENT_SECRET_FILE; it accepts up to 4096 characters',
    'FEDERATION_SECRET is in the file itself: name another one by FEDERATION_SECRET_FILE; it accepts 16 to 1024 characters of ASCII without spaces',
  ]);
  const noFile: ReadFile = () => {
    throw Object.assign(new Error(SECRET), { code: 'ENOENT' });
  };
  const names = fc.constantFrom(...VARIABLE_NAMES, 'SECRET', `{${SECRET}}`, SECRET.toUpperCase());
  const values = fc.constantFrom(SECRET, [SECRET], { a: SECRET }, [SECRET, null], `a${SECRET}\n`);
  let faulty = 0;
  fc.assert(
    fc.property(fc.dictionary(names, values), fc.boolean(), fc.nat(400), (file, hasFile, cut) => {
      const text = JSON.stringify({ ...FILE, ...file });
      for (const each of [text, text.slice(0, cut)]) {
        const told = faultsOf(each, ENVIRONMENT, hasFile ? ANY_FILE : noFile).join('\n');
        if (told !== '') faulty += 1;
        expect(told).not.toMatch(/canary-|\bcanary/);
      }
    }),
    { numRuns: 500 },
  );
  expect(faulty).toBeGreaterThan(500);
});

function tenant(name: string, file: File, environment: Environment = ENVIRONMENT) {
  const own = { ...FILE, PARTICIPANT_SERVICE_TENANT_ID: name };
  return parseTenantSettings(name, JSON.stringify({ ...own, ...file }), environment, ANY_FILE);
}

/** What is wrong with the second beside the first. */
function conflictsOf(first: File, second: File, environment?: Environment) {
  const conflicts = new TenantConflicts();
  conflicts.add(tenant('first', first, environment));
  return conflicts.of(tenant('second', second, environment)).map((fault) => fault.join(' '));
}

test.each<{ first: File['']; second: File['']; conflict: boolean }>([
  { first: 'a.example', second: 'b.example', conflict: false },
  { first: 'a.example', second: ['b.example', 'A.EXAMPLE'], conflict: true },
  { first: 'a.example:8000', second: 'a.example:8001', conflict: false },
  { first: 'a.example:8000', second: 'a.example:8000', conflict: true },
  { first: 'a.example', second: 'a.example:8000', conflict: true },
  { first: 'a.example:8000', second: 'a.example', conflict: true },
  { first: '[::1]', second: '[::1]:8000', conflict: true },
  { first: '[::1]', second: '[::2]', conflict: false },
])('the Hosts $first and $second are in conflict: $conflict', ({ first, second, conflict }) => {
  const told = conflictsOf({ TENANT_HOSTS: first }, { TENANT_HOSTS: second });
  const host = String([second].flat().at(-1)).toLowerCase();
  expect(told).toEqual(conflict ? [`TENANT_HOSTS has ${host}, which means tenant first`] : []);
});

const JWT = { ...ENVIRONMENT, AUTH_MODE: 'jwt' };
const ISSUED = { AUTH_ISSUER: 'https://issuer.example', AUTH_AUDIENCE: 'a,b' };
test.each<{ second: File; environment: Environment; conflict: boolean }>([
  { second: ISSUED, environment: JWT, conflict: true },
  { second: { ...ISSUED, AUTH_AUDIENCE: 'b,c' }, environment: JWT, conflict: true },
  { second: { ...ISSUED, AUTH_AUDIENCE: 'c' }, environment: JWT, conflict: false },
  {
    second: { ...ISSUED, AUTH_ISSUER: 'https://other.example' },
    environment: JWT,
    conflict: false,
  },
  { second: ISSUED, environment: { ...JWT, TENANT_CLAIM: 'org.id' }, conflict: false },
])('tokens of $second are in conflict: $conflict', ({ second, environment, conflict }) => {
  expect(conflictsOf(ISSUED, second, environment)).toEqual(
    conflict
      ? [
          'AUTH_AUDIENCE has one of tenant first, whose AUTH_ISSUER is the same, and no TENANT_CLAIM tells their tokens apart',
        ]
      : [],
  );
});

test('the same tenant of the same service is in conflict: a file that was copied would open it to others', () => {
  const same = { PARTICIPANT_SERVICE_TENANT_ID: 'acme-1' };
  const told =
    "PARTICIPANT_SERVICE_TENANT_ID is, at the same PARTICIPANT_SERVICE_URL, that of tenant first: callers of each would see the other's batches";
  expect(conflictsOf(same, same)).toEqual([told]);
  expect(
    conflictsOf(same, { ...same, PARTICIPANT_SERVICE_URL: 'https://ACME.example:443/' }),
  ).toEqual([told]);
  expect(conflictsOf(same, { ...same, PARTICIPANT_SERVICE_URL: 'https://b.example' })).toEqual([]);
  expect(conflictsOf(same, {})).toEqual([]);
});
