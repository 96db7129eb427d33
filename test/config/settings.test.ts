import { expect, test } from 'vitest';
import type { ReadFile } from '../../src/config/files.ts';
import { type Environment, parseSettings, SettingsError } from '../../src/config/load.ts';
import { infoOf, VARIABLE_NAMES, type VariableName } from '../../src/config/variables.ts';

const ANY_FILE = () => Buffer.from('canary-secret');

function noFile(): never {
  throw Object.assign(new Error('no /such/file'), { code: 'ENOENT' });
}
const TENANT: Environment = {
  PARTICIPANT_SERVICE_URL: 'https://tenant.example',
  PARTICIPANT_SERVICE_TENANT_ID: 'tenant-1',
  TOKEN_CLIENT_ID: 'gateway',
  TOKEN_CLIENT_SECRET: 'canary-secret',
};

/** The message of faulty settings, line by line, without its heading. */
function faultsOf(environment: Environment, readFile: ReadFile = ANY_FILE): string[] {
  try {
    parseSettings(environment, readFile);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const [heading, ...lines] = error.message.split('\n');
    expect(heading).toBe('The settings are faulty:');
    return lines.map((line) => line.trim());
  }
}

test('with nothing set, the gateway runs on the sandbox with the documented defaults', () => {
  expect(parseSettings({}, ANY_FILE)).toEqual({
    host: '127.0.0.1',
    port: 4000,
    tenants: undefined,
    tenantHosts: [],
    participantService: undefined,
    participantTypes: new Set(),
    upstreamTimeoutMs: 2_000,
    requestDeadlineMs: 5_000,
    upstreamMaxConnections: 64,
    upstreamMaxBodyBytes: 1_048_576,
    statusTtlMs: 1_000,
    statusFinishedTtlMs: 30_000,
    statusStaleMs: 60_000,
    finishedStatuses: new Set(['SUCCESS', 'PARTIAL_SUCCESS', 'FAILED', 'COMPLETED', 'CANCELLED']),
    errorDetail: 'full',
    network: { proxy: undefined, noProxy: [], clientCertificate: undefined },
    auth: {
      mode: 'unchecked-loopback',
      issuer: undefined,
      audiences: [],
      audienceClaim: 'aud',
      jwksUrl: undefined,
      algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      tokenTypes: ['at+jwt'],
      leewayMs: 5_000,
      scopeClaim: undefined,
      requiredScopes: [],
      participantTypesClaim: undefined,
      forwardUserInfo: false,
    },
    federationAccess: { secret: undefined, scope: undefined, isRequired: false },
    corsOrigins: new Set(),
    getQueries: true,
    requestMaxBytes: 65_536,
    responseMaxBytes: 8_388_608,
    limits: {
      maxTokens: 1_000,
      maxDepth: 20,
      maxAliases: 30,
      maxDirectives: 30,
      maxCost: 10_000,
      maxBatches: 20,
      maxReferences: 100,
    },
    trustedDocuments: undefined,
    persistedQueries: false,
    trustedProxies: [],
    clientAddressHeader: 'x-forwarded-for',
    rateLimit: { perSecond: 0, burst: 100 },
    intake: { maxRequests: 4_096, maxBytes: 67_108_864 },
    responseTimeoutMs: 10_000,
    sockets: { requestTimeoutMs: 8_000, keepAliveMs: 5_000, maxSockets: 20_000 },
    follow: { minMs: 1_000, maxMs: 10_000, maxPollers: 5_000 },
    streams: {
      maxStreams: 12_000,
      maxStreamsPerCaller: 20,
      heartbeatMs: 10_000,
      maxMs: 3_600_000,
    },
    redis: undefined,
    graphiql: true,
    federation: true,
    introspection: true,
    logLevel: 'info',
    logFormat: undefined,
    metrics: { host: '127.0.0.1', port: undefined },
    traces: undefined,
    audit: 'off',
    explain: { scope: undefined },
    shutdownDelayMs: 1_000,
    unknownVariables: [],
  });
});

test('a real tenant needs four settings; the rest follows from the grant', () => {
  expect(parseSettings(TENANT, ANY_FILE)).toMatchObject({
    errorDetail: 'public',
    participantService: {
      url: new URL('https://tenant.example'),
      tenantId: 'tenant-1',
      token: {
        grant: 'os1',
        clientId: 'gateway',
        clientSecret: { value: 'canary-secret' },
        source: undefined,
        clientAuthentication: 'client_secret_basic',
        audience: undefined,
        scope: undefined,
        header: 'X-COREOS-ACCESS',
      },
    },
  });
  const oauth2 = { ...TENANT, TOKEN_GRANT: 'oauth2', TOKEN_ISSUER: 'https://issuer.example' };
  expect(parseSettings(oauth2, ANY_FILE).participantService?.token).toMatchObject({
    source: { issuer: new URL('https://issuer.example') },
    header: 'Authorization',
  });
});

test('with NODE_ENV=production, GraphiQL and introspection are off unless they are switched on', () => {
  expect(parseSettings({ ...TENANT, NODE_ENV: 'production' }, ANY_FILE)).toMatchObject({
    graphiql: false,
    introspection: false,
  });
  expect(
    parseSettings(
      { ...TENANT, NODE_ENV: 'production', GRAPHIQL: 'on', INTROSPECTION: 'on' },
      ANY_FILE,
    ),
  ).toMatchObject({ graphiql: true, introspection: true });
});

test('metrics are where METRICS_PORT and METRICS_HOST say, on the sandbox at the port of the gateway, else nowhere', () => {
  const metricsOf = (environment: Environment) => parseSettings(environment, ANY_FILE).metrics;
  const open = { HOST: '10.0.0.1', AUTH_MODE: 'none' };
  expect(metricsOf(TENANT)).toBeUndefined();
  expect(metricsOf({})).toEqual({ host: '127.0.0.1', port: undefined });
  expect(metricsOf({ METRICS_PORT: '9464' })).toEqual({ host: '127.0.0.1', port: 9_464 });
  expect(metricsOf({ ...TENANT, ...open, METRICS_PORT: '0' })).toEqual({
    host: '10.0.0.1',
    port: 0,
  });
  expect(
    metricsOf({ ...TENANT, ...open, METRICS_PORT: '9464', METRICS_HOST: '127.0.0.1' }),
  ).toEqual({ host: '127.0.0.1', port: 9_464 });
});

test('an empty variable counts as not set', () => {
  expect(parseSettings({ PORT: '', PARTICIPANT_SERVICE_URL: '', GRAPHIQL: '' }, ANY_FILE)).toEqual(
    parseSettings({}, ANY_FILE),
  );
});

test('64: every setting faulty at once: one message names each, what it got and what it accepts', () => {
  const long = 'x'.repeat(5_000);
  const faulty: Environment = {
    HOST: 'not a host',
    PORT: '65536',
    TRUSTED_PROXIES: '10.0.0.0/33',
    CLIENT_ADDRESS_HEADER: 'X-Real-IP',
    KEEP_ALIVE_MS: '1m',
    PARTICIPANT_SERVICE_URL: 'http://tenant.example',
    SANDBOX: 'yes',
    PARTICIPANT_SERVICE_TENANT_ID: 'a\nb',
    PARTICIPANT_TYPES: 'vehicles,../x',
    UPSTREAM_TIMEOUT_MS: '0',
    REQUEST_DEADLINE_MS: '5s',
    UPSTREAM_MAX_CONNECTIONS: '-1',
    UPSTREAM_MAX_BODY_BYTES: '1e6',
    STATUS_TTL_MS: '86400001',
    STATUS_FINISHED_TTL_MS: '1.5',
    STATUS_STALE_MS: 'long',
    FINISHED_STATUSES: ',',
    ERROR_DETAIL: 'all',
    TENANTS_DIR: '/no/such\u200bcanary',
    TENANT_CLAIM: 'a claim',
    TENANT_HEADER: 'host',
    TENANT_HOSTS: 'https://acme.example',
    MAX_ACTIVE_TENANTS: '0',
    HTTPS_PROXY: 'socks5://user:canary@proxy.example',
    HTTPS_PROXY_FILE: '/no/such/canary',
    NO_PROXY: 'https://tenant.example',
    UPSTREAM_CLIENT_CERT_FILE: '/no/such/canary',
    UPSTREAM_CLIENT_KEY_FILE: '/no/such/canary',
    TOKEN_GRANT: 'password',
    TOKEN_CLIENT_ID: long,
    TOKEN_CLIENT_SECRET: `canary${long}`,
    TOKEN_CLIENT_SECRET_FILE: '/no/such/canary',
    TOKEN_URL: 'https://user:canary@issuer.example/token',
    TOKEN_ISSUER: 'issuer',
    TOKEN_CLIENT_AUTH: 'none',
    TOKEN_AUDIENCE: long,
    TOKEN_SCOPE: long,
    TOKEN_HEADER: 'Cookie',
    AUTH_MODE: 'basic',
    AUTH_ISSUER: 'http://issuer.example',
    AUTH_AUDIENCE: ',',
    AUTH_AUDIENCE_CLAIM: 'a claim',
    AUTH_JWKS_URL: 'issuer/keys',
    AUTH_ALGORITHMS: 'RS256,HS256',
    AUTH_TOKEN_TYPES: 'at jwt',
    AUTH_LEEWAY_SECONDS: '301',
    AUTH_SCOPE_CLAIM: 'a claim',
    AUTH_REQUIRED_SCOPES: 'batch:read "x"',
    AUTH_PARTICIPANT_TYPES_CLAIM: 'a claim',
    FORWARD_USER_INFO: 'yes',
    CALLERS: 'routers',
    FEDERATION_SECRET: 'canary-short',
    FEDERATION_SECRET_FILE: '/no/such/canary',
    FEDERATION_SCOPE: 'two scopes',
    CORS_ORIGINS: 'https://app.example/',
    GET_QUERIES: 'no',
    REQUEST_MAX_BYTES: '64KiB',
    QUERY_MAX_TOKENS: '0',
    QUERY_MAX_DEPTH: '101',
    QUERY_MAX_ALIASES: 'none',
    QUERY_MAX_DIRECTIVES: '-1',
    QUERY_MAX_COST: '1.5',
    QUERY_MAX_BATCHES: '1001',
    RESPONSE_MAX_BYTES: '8MiB',
    RATE_LIMIT_PER_SECOND: '-1',
    RATE_LIMIT_BURST: 'many',
    INTAKE_MAX_REQUESTS: '0',
    INTAKE_MAX_BYTES: '1',
    REQUEST_TIMEOUT_MS: '99',
    RESPONSE_TIMEOUT_MS: '99',
    MAX_SOCKETS: '0',
    FOLLOW_MIN_MS: '99',
    FOLLOW_MAX_MS: '1s',
    MAX_POLLERS: '0',
    MAX_STREAMS: '-1',
    MAX_STREAMS_PER_CALLER: '0',
    STREAM_HEARTBEAT_MS: '99',
    STREAM_MAX_MS: '999',
    REDIS_URL: 'redis://:canary@redis.example',
    REDIS_URL_FILE: '/no/such/canary',
    REDIS_KEY_PREFIX: 'a:b',
    REPLICAS: '0',
    FEDERATION: 'true',
    TRUSTED_DOCUMENTS: '/no/such/file',
    PERSISTED_QUERIES: 'yes',
    GRAPHIQL: 'yes',
    INTROSPECTION: '1',
    EXPLAIN: 'all',
    EXPLAIN_SCOPE: 'two scopes',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
    OTEL_EXPORTER_OTLP_HEADERS: 'canary',
    OTEL_EXPORTER_OTLP_HEADERS_FILE: '/no/such/canary',
    OTEL_SERVICE_NAME: long,
    OTEL_RESOURCE_ATTRIBUTES: 'team=100%',
    OTEL_TRACES_SAMPLER: 'jaeger_remote',
    OTEL_TRACES_SAMPLER_ARG: '10',
    TRACE_UPSTREAM: 'yes',
    LOG_LEVEL: 'loud',
    LOG_FORMAT: 'xml',
    AUDIT: 'yes',
    METRICS_PORT: 'tcp://10.0.0.1:80',
    METRICS_HOST: 'a b',
    SHUTDOWN_DELAY_MS: '9000',
  };
  expect(Object.keys(faulty)).toEqual(VARIABLE_NAMES);

  const faults = faultsOf(faulty, noFile);
  expect(faults.map((line) => line.split(' ')[0])).toEqual(Object.keys(faulty));
  expect(faults.map((line) => line.slice(line.indexOf(' ') + 1))).toEqual(
    VARIABLE_NAMES.map((name) =>
      expect.stringMatching(new RegExp(`; it accepts ${escapeRegExp(infoOf(name).accepts)}$`)),
    ),
  );
  expect(faults).toContain('PORT is "65536"; it accepts a whole number from 0 to 65535');
  expect(faults).toContain(
    'TOKEN_CLIENT_SECRET is not valid (5006 characters, not shown); it accepts up to 4096 characters',
  );
  expect(faults).toContain(
    'TOKEN_CLIENT_SECRET_FILE names a file that cannot be read (ENOENT); it accepts the path of a file that can be read',
  );
  expect(faults.join('\n')).not.toContain('canary');
});

const combinations: [name: string, environment: Environment, faults: string[]][] = [
  [
    'a tenant without anything else',
    { PARTICIPANT_SERVICE_URL: 'https://tenant.example' },
    [
      'PARTICIPANT_SERVICE_TENANT_ID is missing; it accepts 1 to 256 characters of ASCII, no control characters',
      'TOKEN_CLIENT_ID is missing; it accepts up to 1024 characters',
      'TOKEN_CLIENT_SECRET is missing; it accepts up to 4096 characters',
    ],
  ],
  [
    'credentials without a tenant',
    { ...TENANT, PARTICIPANT_SERVICE_URL: '' },
    [
      'PARTICIPANT_SERVICE_URL is missing, although PARTICIPANT_SERVICE_TENANT_ID is set; it accepts an https:// URL (http:// on loopback only) without credentials, query and fragment',
    ],
  ],
  [
    'trusted documents with what they would refuse',
    { TRUSTED_DOCUMENTS: '/documents.json', PERSISTED_QUERIES: 'on', GRAPHIQL: 'on' },
    [
      'PERSISTED_QUERIES is on together with TRUSTED_DOCUMENTS; it accepts on or off, off with TRUSTED_DOCUMENTS',
      'GRAPHIQL is on together with TRUSTED_DOCUMENTS; it accepts on or off, not on with TRUSTED_DOCUMENTS',
    ],
  ],
  [
    'CALLERS=router without anything that shows a router',
    { CALLERS: 'router' },
    [
      'CALLERS is router, although neither FEDERATION_SECRET nor FEDERATION_SCOPE is set; it accepts any or router, router with FEDERATION_SECRET or FEDERATION_SCOPE',
    ],
  ],
  [
    'a claim of the audience on the sandbox, whose tokens have aud',
    { AUTH_MODE: 'jwt', AUTH_AUDIENCE_CLAIM: 'client_id' },
    [
      'AUTH_AUDIENCE_CLAIM is set without AUTH_ISSUER; it accepts the name of a claim, or a path with dots, with AUTH_ISSUER',
    ],
  ],
  [
    'settings of access tokens without AUTH_MODE=jwt',
    {
      AUTH_ISSUER: 'https://issuer.example',
      AUTH_SCOPE_CLAIM: 'roles',
      FORWARD_USER_INFO: 'on',
      FEDERATION_SCOPE: 'x',
    },
    [
      'AUTH_ISSUER is set without AUTH_MODE=jwt; it accepts an https:// URL (http:// on loopback only) without credentials, query and fragment',
      'AUTH_SCOPE_CLAIM is set without AUTH_MODE=jwt; it accepts the name of a claim, or a path with dots, with AUTH_MODE=jwt',
      'FORWARD_USER_INFO is set without AUTH_MODE=jwt; it accepts on or off, on with AUTH_MODE=jwt',
      'FEDERATION_SCOPE is set without AUTH_MODE=jwt; it accepts one scope, with AUTH_MODE=jwt',
    ],
  ],
  [
    'AUTH_MODE=jwt for a tenant without an issuer',
    { ...TENANT, AUTH_MODE: 'jwt', AUTH_JWKS_URL: 'https://issuer.example/jwks' },
    [
      'AUTH_ISSUER is missing, although AUTH_MODE is jwt; it accepts an https:// URL (http:// on loopback only) without credentials, query and fragment',
      'AUTH_JWKS_URL is set without AUTH_ISSUER; it accepts an https:// URL (http:// on loopback only) without credentials and fragment, with AUTH_ISSUER',
    ],
  ],
  [
    'an issuer without an audience',
    { AUTH_MODE: 'jwt', AUTH_ISSUER: 'https://issuer.example' },
    [
      'AUTH_AUDIENCE is missing, although AUTH_ISSUER is set; it accepts audiences, separated by commas',
    ],
  ],
  [
    'room for bodies that is less than one body',
    { INTAKE_MAX_BYTES: '65536', REQUEST_MAX_BYTES: '65537' },
    ['INTAKE_MAX_BYTES is less than REQUEST_MAX_BYTES; it accepts bytes, 65536 to 1073741824'],
  ],
  [
    'polls that are to be closer when nothing changes',
    { FOLLOW_MIN_MS: '5000', FOLLOW_MAX_MS: '4999' },
    ['FOLLOW_MAX_MS is less than FOLLOW_MIN_MS; it accepts milliseconds, 100 to 600000'],
  ],
  [
    'a host for metrics without a port',
    { METRICS_HOST: '127.0.0.1' },
    [
      'METRICS_HOST is set without METRICS_PORT; it accepts an IP address or a host name of this machine',
    ],
  ],
  [
    "metrics at the gateway's own port",
    { METRICS_PORT: '4000' },
    ['METRICS_PORT is the same as PORT; it accepts a whole number from 0 to 65535'],
  ],
  [
    'metrics that others can reach, while nobody says who checks callers',
    { METRICS_PORT: '9464', METRICS_HOST: '0.0.0.0' },
    [
      'AUTH_MODE is missing, although others than this machine can connect to METRICS_HOST; it accepts jwt, or none where something in front of the gateway checks who calls',
    ],
  ],
  [
    'explanations by a scope that is not named',
    { EXPLAIN: 'scope' },
    [
      'EXPLAIN_SCOPE is missing, although EXPLAIN is scope; it accepts one scope, with EXPLAIN=scope and AUTH_MODE=jwt',
    ],
  ],
  [
    'explanations by a scope while nobody checks callers',
    { EXPLAIN: 'scope', EXPLAIN_SCOPE: 'explain' },
    ['EXPLAIN is scope without AUTH_MODE=jwt; it accepts off, sandbox or scope'],
  ],
  [
    'a scope for explanations that does not count',
    { EXPLAIN_SCOPE: 'explain' },
    [
      'EXPLAIN_SCOPE is set without EXPLAIN=scope; it accepts one scope, with EXPLAIN=scope and AUTH_MODE=jwt',
    ],
  ],
  [
    'headers for the collector that others on the network could read',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_EXPORTER_OTLP_HEADERS: 'key=x' },
    [
      'OTEL_EXPORTER_OTLP_HEADERS would be sent to OTEL_EXPORTER_OTLP_ENDPOINT unencrypted; it accepts headers as name=value, separated by commas, the values percent-encoded, with https:// or on loopback',
    ],
  ],
  [
    'the trace for the upstream where there are no traces',
    { TRACE_UPSTREAM: 'on' },
    [
      'TRACE_UPSTREAM is on without OTEL_EXPORTER_OTLP_ENDPOINT; it accepts on or off, on with OTEL_EXPORTER_OTLP_ENDPOINT',
    ],
  ],
  [
    'a setting that is retired',
    { MAX_CONCURRENT_REQUESTS: '256' },
    [
      'MAX_CONCURRENT_REQUESTS is retired: set INTAKE_MAX_REQUESTS for the requests that are held at a time, and UPSTREAM_MAX_CONNECTIONS for the upstream calls',
    ],
  ],
  [
    'a secret and a file with the secret',
    { ...TENANT, TOKEN_CLIENT_SECRET_FILE: '/run/secret' },
    [
      'TOKEN_CLIENT_SECRET is set together with TOKEN_CLIENT_SECRET_FILE: one of them; it accepts up to 4096 characters',
    ],
  ],
  [
    'oauth2 without a token endpoint',
    { ...TENANT, TOKEN_GRANT: 'oauth2' },
    [
      'TOKEN_URL is missing; it accepts an https:// URL (http:// on loopback only) without credentials and fragment',
    ],
  ],
  [
    'an issuer with os1',
    { ...TENANT, TOKEN_ISSUER: 'https://issuer.example' },
    [
      'TOKEN_ISSUER is set without TOKEN_GRANT=oauth2; it accepts an https:// URL (http:// on loopback only) without credentials, query and fragment, with TOKEN_GRANT=oauth2',
    ],
  ],
];

for (const [name, environment, faults] of combinations) {
  test(`64: ${name} is refused`, () => {
    expect(faultsOf(environment)).toEqual(faults);
  });
}

test('64: what stands in a faulty URL besides its scheme is not shown when it may be a secret', () => {
  const urls = [
    `https://user:canary${'x'.repeat(80)}@tenant.example`,
    'https://u:can/ary@h',
    'https://x.example/t?client_secret=canary',
    'ftp:user:canary@host',
  ];
  for (const url of urls) {
    const [fault] = faultsOf({ ...TENANT, PARTICIPANT_SERVICE_URL: url });
    expect(fault).toMatch(
      /^PARTICIPANT_SERVICE_URL is "(https:\/\/|ftp:)\[not shown\]"; it accepts /,
    );
  }
});

test('90: production does not run on made-up batches unless it is told to', () => {
  const production = { NODE_ENV: 'production' };
  const missing = (why: string) => [
    `PARTICIPANT_SERVICE_URL is missing, although ${why}; it accepts an https:// URL (http:// on loopback only) without credentials, query and fragment`,
  ];
  const inProduction = missing('NODE_ENV is production (SANDBOX=on answers with made-up batches)');
  expect(faultsOf(production)).toEqual(inProduction);
  expect(faultsOf({ NODE_ENV: 'production\r' })).toEqual(inProduction);
  expect(faultsOf({ ...production, SANDBOX: 'off' })).toEqual(missing('SANDBOX is off'));
  expect(faultsOf({ SANDBOX: 'off' })).toEqual(missing('SANDBOX is off'));
  expect(faultsOf({ ...production, SANDBOX: 'on' })).toEqual([]);
  expect(faultsOf({ NODE_ENV: 'development' })).toEqual([]);
  expect(faultsOf({ ...TENANT, ...production })).toEqual([]);
  expect(faultsOf({ ...TENANT, SANDBOX: 'on' })).toEqual([
    'SANDBOX is on together with PARTICIPANT_SERVICE_URL: one of them; it accepts on or off, on without PARTICIPANT_SERVICE_URL',
  ]);
  for (const text of ['prod', 'Production', 'PRODUCTION']) {
    expect(faultsOf({ NODE_ENV: text })).toEqual([
      'NODE_ENV is something like production: write it so',
    ]);
  }
});

/** Whether a variable is accepted with this text. */
function isAccepted(name: VariableName, text: string): boolean {
  return !faultsOf({ [name]: text }).some((fault) => fault.startsWith(`${name} `));
}

const ACCEPTED: [name: VariableName, accepted: string[], refused: string[]][] = [
  ['OTEL_TRACES_SAMPLER_ARG', ['0', '1', '0.1', '.05', '1.0'], ['1.1', '-0.1', '1e-2', '10%']],
  [
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    ['http://collector:4318', 'https://otlp.example/otlp'],
    ['collector:4318', 'grpc://collector', 'http://me:x@collector', 'https://otlp.example?key=x'],
  ],
  [
    'OTEL_EXPORTER_OTLP_HEADERS',
    ['a=b', 'api-key=a%20b, x = y=z', 'a='],
    ['a', '=b', 'a b=c', 'a=%0d%0ab', 'a=%', 'a=b,'],
  ],
  ['OTEL_RESOURCE_ATTRIBUTES', ['a.b=c', 'a=%C3%A9,b=2'], ['a', 'a=%ff', 'a=%00', 'é=b']],
  [
    'TRUSTED_PROXIES',
    [
      '10.0.0.0/8',
      '192.0.2.1',
      'fc00::/7',
      'fd00::/8',
      '2001:db8::/32',
      '::1',
      '::ffff:10.0.0.0/104',
      '10.0.0.0/8, 127.0.0.1,::1',
    ],
    [
      '0.0.0.0/0',
      '0.0.0.0',
      '0.0.0.0/8',
      '128.0.0.0/1',
      '8.0.0.0/7',
      '::/0',
      '::',
      '::/8',
      '::/96',
      '2000::/3',
      '::ffff:0:0/96',
      '::ffff:128.0.0.0/97',
      '::ffff:0:0/90',
      '10.0.0.0/8,0.0.0.0/0',
    ],
  ],
  [
    'CORS_ORIGINS',
    [
      'https://app.example.com',
      'http://localhost:5173',
      'https://*.example.com',
      'https://*.app.example.com:8443',
      'capacitor://localhost',
      'ionic://localhost,https://app.example.com',
    ],
    [
      '*',
      'null',
      'https://*',
      'https://*.com',
      'https://*.example.com/',
      'https://*.*.example.com',
      'https://app.*.com',
      'https://app*.example.com',
      'https://*.192.0.2.1',
      'http://*.example.com',
      'https://app.example.com/',
      'https://app.example.com:443',
      'https://App.example.com',
      'capacitor://*',
      'capacitor://localhost/',
      'htps://app.example.com',
    ],
  ],
  [
    'HTTPS_PROXY',
    [
      'http://proxy.example:3128',
      'https://me:p%40ss@proxy.example/',
      'proxy.example:3128',
      'http://[::1]:3128',
    ],
    [
      'socks5://proxy.example',
      'http://proxy.example/path',
      'http://me:50%@proxy.example',
      'http://',
    ],
  ],
  [
    'REDIS_URL',
    [
      'rediss://redis.example',
      'rediss://me:p%40ss@redis.example:6380/15',
      'rediss://:pass@[2001:db8::1]/',
      'redis://localhost',
      'redis://:pass@127.0.0.1:6380/1',
      'redis://[::1]',
    ],
    [
      'redis://redis.example',
      'redis://10.0.0.1',
      'redis://127.0.0.1.example',
      'redis://',
      'rediss://',
      'https://redis.example',
      'redis.example:6379',
      'rediss://redis.example/one',
      'rediss://redis.example?db=1',
      'rediss://redis.example#1',
      'rediss://me:50%@redis.example',
      'rediss://me:%ff@redis.example',
    ],
  ],
  [
    'NO_PROXY',
    [
      '*',
      'localhost,.svc *.cluster.local 10.0.0.0/8',
      'tenant.example:443',
      '[::1]:443',
      'fd00::/8',
    ],
    ['https://tenant.example', '10.0.0.0/33', 'a*b', 'tenant.example/path'],
  ],
];

for (const [name, accepted, refused] of ACCEPTED) {
  test(`90: ${name} accepts what works, and refuses what would be accepted in vain`, () => {
    expect(accepted.filter((text) => !isAccepted(name, text))).toEqual([]);
    expect(refused.filter((text) => isAccepted(name, text))).toEqual([]);
  });
}

test('HTTPS_PROXY and NO_PROXY are read in lower case, too, which counts first; HTTP_PROXY is not', () => {
  const networkOf = (environment: Environment) => parseSettings(environment, ANY_FILE).network;
  const upper = { HTTPS_PROXY: 'http://upper.example', NO_PROXY: '.upper' };
  const lower = { https_proxy: 'http://lower.example', no_proxy: '.lower' };
  const expected = (name: string) => ({
    proxy: new URL(`http://${name}.example`),
    noProxy: [`.${name}`],
  });
  expect(networkOf(upper)).toMatchObject(expected('upper'));
  expect(networkOf(lower)).toMatchObject(expected('lower'));
  expect(networkOf({ ...upper, ...lower })).toMatchObject(expected('lower'));
  expect(networkOf({ ...upper, https_proxy: '', no_proxy: ' ' })).toMatchObject(expected('upper'));
  const others = { HTTP_PROXY: 'http://x.example', http_proxy: 'http://x.example' };
  expect(networkOf(others)).toMatchObject({ proxy: undefined });
});

test('plain HTTP is taken on loopback only', () => {
  const urls = [
    'http://localhost:1',
    'http://127.0.0.1:1',
    'http://[::1]:1',
    'https://x.example/a',
  ];
  for (const url of urls) expect(faultsOf({ ...TENANT, PARTICIPANT_SERVICE_URL: url })).toEqual([]);
  const refused = [
    'http://127.0.0.1.evil.example',
    'http://0.0.0.0',
    'ftp://localhost',
    'localhost',
  ];
  for (const url of refused) {
    expect(faultsOf({ ...TENANT, PARTICIPANT_SERVICE_URL: url })).toHaveLength(1);
  }
});

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

test('with TENANTS_DIR there is no sandbox, and the environment has what is common to all tenants', () => {
  const settings = parseSettings(
    {
      NODE_ENV: 'production',
      TENANTS_DIR: ' /etc/tenants ',
      TENANT_CLAIM: 'org.id',
      TENANT_HEADER: 'X-Tenant',
      MAX_ACTIVE_TENANTS: '9',
      TRUSTED_PROXIES: '10.0.0.1',
      AUTH_MODE: 'jwt',
      AUTH_AUDIENCE: 'gateway',
      SANDBOX: 'off',
      CORS_ORIGINS: 'https://app.example.com',
      HOME: '/not/ours',
    },
    noFile,
  );
  expect(settings).toMatchObject({
    participantService: undefined,
    errorDetail: 'public',
    metrics: undefined,
    tenantHosts: [],
  });
  expect(settings.tenants).toEqual({
    directory: '/etc/tenants',
    claim: 'org.id',
    header: 'x-tenant',
    maxActive: 9,
    environment: {
      NODE_ENV: 'production',
      TENANTS_DIR: '/etc/tenants',
      TENANT_CLAIM: 'org.id',
      TENANT_HEADER: 'X-Tenant',
      MAX_ACTIVE_TENANTS: '9',
      TRUSTED_PROXIES: '10.0.0.1',
      AUTH_MODE: 'jwt',
      AUTH_AUDIENCE: 'gateway',
      SANDBOX: 'off',
      CORS_ORIGINS: 'https://app.example.com',
    },
  });
});

test("64: what is wrong with traces and explanations is the environment's, whoever is served", () => {
  const environment = { TRACE_UPSTREAM: 'on', EXPLAIN: 'scope', AUTH_MODE: 'jwt' };
  const problems = (given: Environment) =>
    faultsOf(given).map((line) => line.trim().replace(/; it accepts .*/, ''));
  const faults = [
    'EXPLAIN_SCOPE is missing, although EXPLAIN is scope',
    'TRACE_UPSTREAM is on without OTEL_EXPORTER_OTLP_ENDPOINT',
  ];
  expect(problems({ ...environment, TENANTS_DIR: '/t', TENANT_CLAIM: 'tenant' })).toEqual(faults);
  expect(problems(environment)).toEqual(faults);
});

test('64: what names one tenant is not set together with TENANTS_DIR, nor what is for many without it', () => {
  const own = VARIABLE_NAMES.filter((name) => infoOf(name).perTenant === 'own');
  expect(own).toContain('PARTICIPANT_SERVICE_URL');
  for (const name of own) {
    const told = faultsOf({ TENANTS_DIR: '/t', [name]: 'x' }).filter((line) =>
      line.startsWith(`${name} `),
    );
    expect(told).toHaveLength(1);
  }
  const problemsOf = (environment: Environment) =>
    faultsOf(environment).map((line) => line.replace(/; it accepts .*/, ''));
  expect(problemsOf({ TENANTS_DIR: '/t', ...TENANT, TENANT_HOSTS: 'acme.example' })).toEqual(
    [
      'PARTICIPANT_SERVICE_URL',
      'PARTICIPANT_SERVICE_TENANT_ID',
      'TENANT_HOSTS',
      'TOKEN_CLIENT_ID',
      'TOKEN_CLIENT_SECRET',
    ].map((name) => `${name} is set together with TENANTS_DIR: set it in each tenant's file`),
  );
  expect(
    problemsOf({
      TENANT_CLAIM: 'org',
      TENANT_HEADER: 'x-tenant',
      TENANT_HOSTS: 'acme.example',
      MAX_ACTIVE_TENANTS: '9',
    }),
  ).toEqual(
    ['TENANT_CLAIM', 'TENANT_HEADER', 'TENANT_HOSTS', 'MAX_ACTIVE_TENANTS'].map(
      (name) => `${name} is set without TENANTS_DIR`,
    ),
  );
  expect(
    problemsOf({
      TENANTS_DIR: '/t',
      SANDBOX: 'on',
      TENANT_CLAIM: 'org',
      TENANT_HEADER: 'x-tenant',
      AUTH_ISSUER: 'https://issuer.example',
    }),
  ).toEqual([
    'SANDBOX is on together with TENANTS_DIR: one of them',
    'TENANT_CLAIM is set without AUTH_MODE=jwt',
    'TENANT_HEADER is set without TRUSTED_PROXIES: whoever calls could write it',
    'AUTH_ISSUER is set without AUTH_MODE=jwt',
  ]);
});

test.each([
  'Host',
  'authorization',
  'X-Forwarded-For',
  'cookie',
  'x tenant',
  'x-tenant:',
  'x'.repeat(65),
])('the header %j cannot name the tenant', (header) => {
  const environment = { TENANTS_DIR: '/t', TRUSTED_PROXIES: '10.0.0.1', TENANT_HEADER: header };
  expect(faultsOf(environment)).toHaveLength(1);
});
