import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSettings, SettingsError } from '../../src/config/load.ts';
import { findOddNames } from '../../src/config/variable-names.ts';
import { VARIABLE_NAMES } from '../../src/config/variables.ts';

const misspelt: [name: string, meant: string][] = [
  ['AUTH_REQUIRED_SCOPE', 'AUTH_REQUIRED_SCOPES'],
  ['AUTH_REQUIERD_SCOPES', 'AUTH_REQUIRED_SCOPES'],
  ['AUTH_MODES', 'AUTH_MODE'],
  ['auth_mode', 'AUTH_MODE'],
  ['Auth_Mode', 'AUTH_MODE'],
  ['AUTHMODE', 'AUTH_MODE'],
  ['AUTH_ISSUER_FILE', 'AUTH_ISSUER'],
  ['AUTH_AUDIENCES', 'AUTH_AUDIENCE'],
  ['AUTH_JWKS_URI', 'AUTH_JWKS_URL'],
  ['AUTH_LEEWAY', 'AUTH_LEEWAY_SECONDS'],
  ['AUTH_LEEWAY_MS', 'AUTH_LEEWAY_SECONDS'],
  ['REQUEST_TIMEOUT', 'REQUEST_TIMEOUT_MS'],
  ['UPSTREAM_TIMEOUT_SECONDS', 'UPSTREAM_TIMEOUT_MS'],
  ['STATUS_TTL', 'STATUS_TTL_MS'],
  ['REQUEST_MAX_KB', 'REQUEST_MAX_BYTES'],
  ['RATE_LIMIT', 'RATE_LIMIT_PER_SECOND'],
  ['RATE_LIMIT_PER_MINUTE', 'RATE_LIMIT_PER_SECOND'],
  ['TRUSTED_PROXY', 'TRUSTED_PROXIES'],
  ['TRUSTED_DOCUMENTS_FILE', 'TRUSTED_DOCUMENTS'],
  ['CORS_ORIGIN', 'CORS_ORIGINS'],
  ['PARTICIPANTS_SERVICE_URL', 'PARTICIPANT_SERVICE_URL'],
  ['TOKEN_CLIENT_SECRET_PATH', 'TOKEN_CLIENT_SECRET_FILE'],
  ['UPSTREAM_CLIENT_CERT', 'UPSTREAM_CLIENT_CERT_FILE'],
  ['FEDERATION_SECRETS', 'FEDERATION_SECRET'],
  ['GRAPHQL', 'GRAPHIQL'],
  ['HTTPS_PROXYS', 'HTTPS_PROXY'],
  ['NODE_EVN', 'NODE_ENV'],
];

for (const [name, meant] of misspelt) {
  test(`90: ${name} is refused, and ${meant} is named`, () => {
    const environment = { PORT: '0', [name]: 'canary' };
    expect(() => parseSettings(environment, () => Buffer.of())).toThrow(
      new SettingsError(`The settings are faulty:\n  ${name} is no setting: ${meant} is meant`),
    );
  });
}

interface Edit {
  kind: 'change' | 'add' | 'leave out' | 'swap';
  at: number;
  letter: string;
}

/** The same text with one thing wrong. */
function applyEdit(text: string, { kind, at, letter }: Edit): string {
  const index = at % (text.length - 1);
  const [before, here, rest] = [text.slice(0, index), text.charAt(index), text.slice(index + 1)];
  switch (kind) {
    case 'change':
      return before + letter + rest;
    case 'add':
      return before + letter + here + rest;
    case 'leave out':
      return before + rest;
    case 'swap':
      return before + rest.charAt(0) + here + rest.slice(1);
  }
}

test('90: a name of ours with two letters wrong, missing, too much or swapped is never taken for nothing', () => {
  const names = VARIABLE_NAMES.filter((name) => name.length >= 8 && name !== 'HTTPS_PROXY');
  const edit: fc.Arbitrary<Edit> = fc.record({
    kind: fc.constantFrom('change', 'add', 'leave out', 'swap'),
    at: fc.nat(),
    letter: fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZ_'),
  });
  const property = fc.property(fc.constantFrom(...names), edit, edit, (name, first, second) => {
    const middle = name.length / 2;
    const wrong = applyEdit(name.slice(0, middle), first) + applyEdit(name.slice(middle), second);
    fc.pre(!VARIABLE_NAMES.some((each) => each === wrong));
    expect(findOddNames({ [wrong]: 'x' }).misspelt.map(([found]) => found)).toEqual([wrong]);
  });
  fc.assert(property, { numRuns: 2_000 });
});

test('90: another name that begins as ours do is told of, without what it holds', () => {
  const environment = { AUTH_REALM: 'x', UPSTREAM_POOL: 'x', LOG_FILE: 'x', SANDBOX_SEED: 'x' };
  expect(parseSettings(environment, () => Buffer.of()).unknownVariables).toEqual(
    Object.keys(environment),
  );
});

const INJECTED = `
  PARTICIPANT_SERVICE_SERVICE_HOST PARTICIPANT_SERVICE_SERVICE_PORT PARTICIPANT_SERVICE_SERVICE_PORT_HTTPS
  PARTICIPANT_SERVICE_PORT PARTICIPANT_SERVICE_PORT_443_TCP PARTICIPANT_SERVICE_PORT_443_TCP_PROTO
  PARTICIPANT_SERVICE_PORT_443_TCP_PORT PARTICIPANT_SERVICE_PORT_443_TCP_ADDR PARTICIPANT_SERVICE_HOST
  AUTH_SERVICE_HOST AUTH_SERVICE_PORT AUTH_PORT AUTH_PORT_80_TCP TOKEN_PORT UPSTREAM_SERVICE_PORT
  STATUS_PORT_53_UDP_ADDR LOG_PORT_514_SCTP FEDERATION_SERVICE_HOST GRAPHIQL_PORT HOST_PORT PORT_PORT
  REQUEST_METHOD REQUEST_URI REQUEST_SCHEME REQUEST_TIME QUERY_STRING AUTH_TYPE AUTH_USER
  HTTP_PROXY http_proxy https_proxy no_proxy NO_COLOR HOSTNAME HOME PATH PWD LANG HOSTS PORTS POST
  NODE_ENV NODE_OPTIONS NODE_PATH NODE_VERSION npm_config_registry npm_lifecycle_event KUBERNETES_PORT
  KUBERNETES_SERVICE_HOST HOST_IP LOGNAME TERM _
  OTEL_SDK_DISABLED OTEL_LOG_LEVEL OTEL_PROPAGATORS OTEL_TRACES_EXPORTER OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER
  OTEL_BSP_SCHEDULE_DELAY OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT OTEL_METRICS_EXEMPLAR_FILTER OTEL_NODE_RESOURCE_DETECTORS
  OTEL_RESOURCE_ATTRIBUTES_POD_NAME OTEL_RESOURCE_ATTRIBUTES_NODE_NAME OTEL_EXPORTER_OTLP_METRICS_ENDPOINT
  OTEL_EXPORTER_OTLP_LOGS_HEADERS
`;

test('90: what of OpenTelemetry says where traces go, and is not read, is told of', () => {
  const environment = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'x',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_CERTIFICATE: 'x',
  };
  expect(findOddNames(environment)).toEqual({ misspelt: [], unknown: Object.keys(environment) });
});

test('90: what Kubernetes, CGI, OpenTelemetry and others set is ignored', () => {
  const names = INJECTED.trim().split(/\s+/);
  expect(findOddNames(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual({
    misspelt: [],
    unknown: [],
  });
});

test('90: a name that is misspelt and empty counts as not set', () => {
  expect(findOddNames({ AUTH_REQUIRED_SCOPE: '', AUTH_REALM: ' ' })).toEqual({
    misspelt: [],
    unknown: [],
  });
});
