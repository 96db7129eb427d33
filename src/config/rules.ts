import { isLoopbackHost, isPlainLoopback } from '../lib/loopback.ts';
import { faultOfFile, type ReadFile } from './files.ts';
import { faultyTenants } from './tenant-rules.ts';
import { type Fault, type Given, infoOf, VARIABLE_NAMES, type VariableName } from './variables.ts';

/** Of the world around the variables. */
interface Surroundings {
  /** The text of NODE_ENV. */
  readonly nodeEnv: string;
  readonly readFile: ReadFile;
}

/**
 * What is wrong not in one variable, but between them, or with the files that they name. A variable can come more
 * than once: the first says most.
 */
export function faultyCombinations(given: Given, { nodeEnv, readFile }: Surroundings): Fault[] {
  return [
    ...faultyDocuments(given, readFile),
    ...faultyMode(given),
    ...faultyIntake(given),
    ...faultyMetrics(given),
    ...faultyReplicas(given),
    ...faultyTraces(given),
    ...faultyExplain(given),
    ...faultyTenants(given),
    ...(given.TENANTS_DIR === undefined
      ? [...faultyService(given, nodeEnv), ...faultyTenant(given)]
      : faultyWithoutJwt(given)),
  ];
}

/** The same of what is a tenant's: with many, what its file and the environment say together. */
export function faultyTenant(given: Given): Fault[] {
  return [
    ...faultyToken(given),
    ...faultyAuth(given),
    ...faultyCallers(given),
    ...faultyFollow(given),
  ];
}

function numberOf(given: Given, name: VariableName): number {
  return Number(given[name] ?? infoOf(name).fallback);
}

function faultyFollow(given: Given): Fault[] {
  return numberOf(given, 'FOLLOW_MAX_MS') < numberOf(given, 'FOLLOW_MIN_MS')
    ? [['FOLLOW_MAX_MS', 'is less than FOLLOW_MIN_MS']]
    : [];
}

function faultyReplicas(given: Given): Fault[] {
  if (given.REDIS_URL !== undefined || given.REDIS_URL_FILE !== undefined) return [];
  return (['REDIS_KEY_PREFIX', 'REPLICAS'] as const)
    .filter((name) => given[name] !== undefined && given[name] !== infoOf(name).fallback)
    .map((name) => [name, 'is set without REDIS_URL']);
}

function faultyTraces(given: Given): Fault[] {
  const faults: Fault[] = [];
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, TRACE_UPSTREAM: propagates } = given;
  if (propagates === 'on' && endpoint === undefined) {
    faults.push(['TRACE_UPSTREAM', 'is on without OTEL_EXPORTER_OTLP_ENDPOINT']);
  }
  for (const name of ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_HEADERS_FILE'] as const) {
    if (given[name] !== undefined && endpoint !== undefined && isReadable(endpoint)) {
      faults.push([name, 'would be sent to OTEL_EXPORTER_OTLP_ENDPOINT unencrypted']);
    }
  }
  return faults;
}

/** By others on the network. */
function isReadable(url: string): boolean {
  return URL.canParse(url) && new URL(url).protocol === 'http:' && !isPlainLoopback(new URL(url));
}

function faultyExplain({ EXPLAIN: mode, EXPLAIN_SCOPE: scope, AUTH_MODE: auth }: Given): Fault[] {
  if (mode === 'scope' && scope === undefined) {
    return [['EXPLAIN_SCOPE', 'is missing, although EXPLAIN is scope']];
  }
  if (mode !== 'scope' && scope !== undefined) {
    return [['EXPLAIN_SCOPE', 'is set without EXPLAIN=scope']];
  }
  return mode === 'scope' && auth !== 'jwt' ? [['EXPLAIN', 'is scope without AUTH_MODE=jwt']] : [];
}

function faultyIntake(given: Given): Fault[] {
  return numberOf(given, 'INTAKE_MAX_BYTES') < numberOf(given, 'REQUEST_MAX_BYTES')
    ? [['INTAKE_MAX_BYTES', 'is less than REQUEST_MAX_BYTES']]
    : [];
}

function faultyMetrics(given: Given): Fault[] {
  const { METRICS_PORT: port, METRICS_HOST: host } = given;
  if (port === undefined) {
    return host === undefined ? [] : [['METRICS_HOST', 'is set without METRICS_PORT']];
  }
  const isTaken = port !== '0' && Number(port) === Number(given.PORT ?? infoOf('PORT').fallback);
  return isTaken ? [['METRICS_PORT', 'is the same as PORT']] : [];
}

function faultyToken(given: Given): Fault[] {
  const faults: Fault[] = [];
  if (given.TOKEN_ISSUER === undefined) return faults;
  if (given.TOKEN_GRANT !== 'oauth2') {
    faults.push(['TOKEN_ISSUER', 'is set without TOKEN_GRANT=oauth2']);
  }
  if (given.TOKEN_URL !== undefined) {
    faults.push(['TOKEN_URL', 'is set together with TOKEN_ISSUER: one of them']);
  }
  return faults;
}

function faultyDocuments(given: Given, readFile: ReadFile): Fault[] {
  const faults: Fault[] = [];
  const documents = given.TRUSTED_DOCUMENTS;
  if (documents === undefined) return faults;
  const fault = faultOfFile(documents, readFile);
  if (fault !== undefined) faults.push(['TRUSTED_DOCUMENTS', fault]);
  for (const name of ['PERSISTED_QUERIES', 'GRAPHIQL'] as const) {
    if (given[name] === 'on') faults.push([name, 'is on together with TRUSTED_DOCUMENTS']);
  }
  return faults;
}

function faultyMode({ AUTH_MODE, HOST, METRICS_HOST }: Given): Fault[] {
  if (AUTH_MODE !== undefined) return [];
  if (!isLoopbackHost(HOST ?? '127.0.0.1')) {
    const problem =
      "is missing, although others than this machine can connect to HOST: whoever does could read the tenant's batches";
    return [['AUTH_MODE', problem]];
  }
  return isLoopbackHost(METRICS_HOST ?? '127.0.0.1')
    ? []
    : [['AUTH_MODE', 'is missing, although others than this machine can connect to METRICS_HOST']];
}

function faultyAuth(given: Given): Fault[] {
  if (given.AUTH_MODE !== 'jwt') return faultyWithoutJwt(given);
  const faults: Fault[] = [];
  const issuer = given.AUTH_ISSUER !== undefined;
  if (!issuer && (given.PARTICIPANT_SERVICE_URL ?? given.TENANTS_DIR) !== undefined) {
    faults.push(['AUTH_ISSUER', 'is missing, although AUTH_MODE is jwt']);
  }
  if (issuer && given.AUTH_AUDIENCE === undefined) {
    faults.push(['AUTH_AUDIENCE', 'is missing, although AUTH_ISSUER is set']);
  }
  for (const name of ['AUTH_AUDIENCE', 'AUTH_AUDIENCE_CLAIM', 'AUTH_JWKS_URL'] as const) {
    if (!issuer && given[name] !== undefined && given[name] !== infoOf(name).fallback) {
      faults.push([name, 'is set without AUTH_ISSUER']);
    }
  }
  return faults;
}

/** Settings of AUTH_MODE=jwt mean that somebody wants callers checked: without it nobody would. */
function faultyWithoutJwt(given: Given): Fault[] {
  if (given.AUTH_MODE === 'jwt') return [];
  return NEED_JWT.filter(
    (name) => given[name] !== undefined && given[name] !== infoOf(name).fallback,
  ).map((name) => [name, 'is set without AUTH_MODE=jwt']);
}

const NEED_JWT = VARIABLE_NAMES.filter(
  (name) =>
    (name.startsWith('AUTH_') && name !== 'AUTH_MODE') ||
    name === 'FEDERATION_SCOPE' ||
    name === 'FORWARD_USER_INFO',
);

function faultyCallers(given: Given): Fault[] {
  const {
    FEDERATION_SECRET: secret,
    FEDERATION_SECRET_FILE: file,
    FEDERATION_SCOPE: scope,
  } = given;
  return given.CALLERS === 'router' && (secret ?? file ?? scope) === undefined
    ? [['CALLERS', 'is router, although neither FEDERATION_SECRET nor FEDERATION_SCOPE is set']]
    : [];
}

/** What it takes to ask a Participant Service; `secret` is where its secret may come from. */
export function missingOfService(given: Given, secret: VariableName): Fault[] {
  const required: VariableName[] = ['PARTICIPANT_SERVICE_TENANT_ID', 'TOKEN_CLIENT_ID'];
  if ((given.TOKEN_CLIENT_SECRET_FILE ?? given.TOKEN_CLIENT_SECRET) === undefined) {
    required.push(secret);
  }
  if (given.TOKEN_GRANT === 'oauth2' && given.TOKEN_ISSUER === undefined) {
    required.push('TOKEN_URL');
  }
  return required.filter((name) => given[name] === undefined).map((name) => [name, 'is missing']);
}

function faultyService(given: Given, nodeEnv: string): Fault[] {
  const faults: Fault[] = [];
  if (given.PARTICIPANT_SERVICE_URL !== undefined) {
    if (given.SANDBOX === 'on') {
      faults.push(['SANDBOX', 'is on together with PARTICIPANT_SERVICE_URL: one of them']);
    }
    return [...faults, ...missingOfService(given, 'TOKEN_CLIENT_SECRET')];
  }
  // Somebody means a real tenant: do not serve them the sandbox's answers.
  const meant = MEAN_A_TENANT.find((name) => given[name] !== undefined);
  const why =
    meant !== undefined
      ? `${meant} is set`
      : given.SANDBOX === 'off'
        ? 'SANDBOX is off'
        : given.SANDBOX === undefined && nodeEnv === 'production'
          ? 'NODE_ENV is production (SANDBOX=on answers with made-up batches)'
          : undefined;
  if (why !== undefined) faults.push(['PARTICIPANT_SERVICE_URL', `is missing, although ${why}`]);
  return faults;
}

const MEAN_A_TENANT: readonly VariableName[] = [
  'PARTICIPANT_SERVICE_TENANT_ID',
  'TOKEN_CLIENT_ID',
  'TOKEN_CLIENT_SECRET',
  'TOKEN_CLIENT_SECRET_FILE',
  'TOKEN_URL',
  'TOKEN_ISSUER',
  'UPSTREAM_CLIENT_CERT_FILE',
  'UPSTREAM_CLIENT_KEY_FILE',
];
