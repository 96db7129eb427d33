import { hasInvisibleCharacters } from '../lib/text-file.ts';
import { describeValue } from './describe-value.ts';
import { type ReadFile, readClientCertificate, readSecretFiles } from './files.ts';
import { faultyCombinations } from './rules.ts';
import type { AuthSettings, ClientCertificate, Settings, TokenSettings } from './settings.ts';
import { ALSO_IN_LOWER_CASE, findOddNames } from './variable-names.ts';
import {
  type Environment,
  environmentSchema,
  type Fault,
  type Given,
  infoOf,
  isVariableName,
  RATE_PER_SECOND_WITH_JWT,
  SECRET_NAMES,
  VARIABLE_NAMES,
  type VariableName,
  type VariableValues,
} from './variables.ts';

/** Faulty settings, all of them in one message. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export type { Environment };

/** Variables that there were, and what to do instead. */
const RETIRED: readonly (readonly [name: string, advice: string])[] = [
  [
    'MAX_CONCURRENT_REQUESTS',
    'set INTAKE_MAX_REQUESTS for the requests that are held at a time, and UPSTREAM_MAX_CONNECTIONS for the upstream calls',
  ],
];

/**
 * Reads the settings. White space around a variable is not part of it, and one that is empty then counts as not set.
 * Throws a {@link SettingsError} that names every faulty variable, and every one whose name is misspelt, what it got
 * (nothing that may be a secret), and what it accepts.
 */
export function parseSettings(environment: Environment, readFile: ReadFile): Settings {
  const given = textsOf(environment);
  const secrets = readSecretFiles(given, readFile);
  const certificate = readClientCertificate(given, readFile);
  const parsed = environmentSchema.safeParse(secrets.value);
  const nodeEnv = environment['NODE_ENV']?.trim() ?? '';
  const faults = new Map<VariableName, string>();
  for (const [name, problem] of [
    ...invisibleCharacters(given),
    ...(parsed.error?.issues ?? []).flatMap(({ path: [name] }) => toFault(name, given)),
    ...secrets.faults,
    ...certificate.faults,
    ...faultyCombinations(given, { nodeEnv, readFile }),
  ]) {
    if (!faults.has(name)) faults.set(name, problem);
  }
  const { misspelt, unknown } = findOddNames(environment);
  const others = [
    ...misspelt.map(([name, meant]) => `${name} is no setting: ${meant} is meant`),
    ...RETIRED.filter(([name]) => environment[name]).map(
      ([name, advice]) => `${name} is retired: ${advice}`,
    ),
    ...(/^prod/i.test(nodeEnv) && nodeEnv !== 'production'
      ? ['NODE_ENV is something like production: write it so']
      : []),
  ];
  if (parsed.success && faults.size === 0 && others.length === 0) {
    return toSettings(parsed.data, {
      production: nodeEnv === 'production',
      clientCertificate: certificate.value,
      unknownVariables: unknown,
    });
  }
  const lines = VARIABLE_NAMES.filter((name) => faults.has(name)).map(
    (name) => `${name} ${faults.get(name)}; it accepts ${infoOf(name).accepts}`,
  );
  const all = [...lines, ...others].map((line) => `  ${line}`);
  throw new SettingsError(`The settings are faulty:\n${all.join('\n')}`);
}

/** The texts of our variables that are set. */
function textsOf(environment: Environment): Given {
  const texts = VARIABLE_NAMES.map((name) => {
    const lower = ALSO_IN_LOWER_CASE.has(name) ? environment[name.toLowerCase()]?.trim() : '';
    return [name, lower || environment[name]?.trim()] as const;
  });
  return Object.fromEntries(texts.filter(([, text]) => text !== undefined && text !== ''));
}

function invisibleCharacters(given: Given): Fault[] {
  return VARIABLE_NAMES.filter((name) => hasInvisibleCharacters(given[name] ?? '')).map((name) => [
    name,
    'has control or invisible characters, or more than one line',
  ]);
}

/** A secret that came from a file is that file's fault. */
function toFault(name: unknown, given: Given): Fault[] {
  if (!isVariableName(name)) return [];
  const text = given[name];
  const [, fileName] = SECRET_NAMES.find(([secret]) => secret === name) ?? [];
  return text === undefined && fileName !== undefined
    ? [[fileName, `names a file with a text that ${name} does not accept: ${infoOf(name).accepts}`]]
    : [[name, describeValue(name, text ?? '')]];
}

/** What the variables alone do not say. */
interface Beside extends Pick<Settings, 'unknownVariables'> {
  readonly production: boolean;
  readonly clientCertificate: ClientCertificate | undefined;
}

function toSettings(
  values: VariableValues,
  { production, clientCertificate, unknownVariables }: Beside,
): Settings {
  const url = values.PARTICIPANT_SERVICE_URL;
  return {
    host: values.HOST,
    port: values.PORT,
    tenants: undefined,
    tenantHosts: [],
    participantService:
      url === undefined
        ? undefined
        : {
            url,
            tenantId: values.PARTICIPANT_SERVICE_TENANT_ID ?? '',
            token: toTokenSettings(values),
          },
    participantTypes: new Set(values.PARTICIPANT_TYPES),
    upstreamTimeoutMs: values.UPSTREAM_TIMEOUT_MS,
    requestDeadlineMs: values.REQUEST_DEADLINE_MS,
    upstreamMaxConnections: values.UPSTREAM_MAX_CONNECTIONS,
    upstreamMaxBodyBytes: values.UPSTREAM_MAX_BODY_BYTES,
    statusTtlMs: values.STATUS_TTL_MS,
    statusFinishedTtlMs: values.STATUS_FINISHED_TTL_MS,
    statusStaleMs: values.STATUS_STALE_MS,
    finishedStatuses: new Set(values.FINISHED_STATUSES.map((status) => status.toUpperCase())),
    errorDetail: values.ERROR_DETAIL ?? (url === undefined ? 'full' : 'public'),
    network: {
      proxy: values.HTTPS_PROXY,
      noProxy: values.NO_PROXY ?? [],
      clientCertificate,
    },
    auth: toAuthSettings(values),
    federationAccess: { secret: values.FEDERATION_SECRET, scope: values.FEDERATION_SCOPE },
    corsOrigins: new Set(values.CORS_ORIGINS),
    getQueries: values.GET_QUERIES,
    requestMaxBytes: values.REQUEST_MAX_BYTES,
    responseMaxBytes: values.RESPONSE_MAX_BYTES,
    limits: {
      maxTokens: values.QUERY_MAX_TOKENS,
      maxDepth: values.QUERY_MAX_DEPTH,
      maxAliases: values.QUERY_MAX_ALIASES,
      maxDirectives: values.QUERY_MAX_DIRECTIVES,
      maxCost: values.QUERY_MAX_COST,
      maxBatches: values.QUERY_MAX_BATCHES,
      maxReferences: 5 * values.QUERY_MAX_BATCHES,
    },
    trustedDocuments: values.TRUSTED_DOCUMENTS,
    persistedQueries: values.PERSISTED_QUERIES,
    trustedProxies: values.TRUSTED_PROXIES ?? [],
    clientAddressHeader: values.CLIENT_ADDRESS_HEADER,
    rateLimit: {
      perSecond:
        values.RATE_LIMIT_PER_SECOND ?? (values.AUTH_MODE === 'jwt' ? RATE_PER_SECOND_WITH_JWT : 0),
      burst: values.RATE_LIMIT_BURST,
    },
    intake: { maxRequests: values.INTAKE_MAX_REQUESTS, maxBytes: values.INTAKE_MAX_BYTES },
    responseTimeoutMs: values.RESPONSE_TIMEOUT_MS,
    follow: {
      minMs: values.FOLLOW_MIN_MS,
      maxMs: values.FOLLOW_MAX_MS,
      maxPollers: values.MAX_POLLERS,
    },
    streams: {
      maxStreams: values.MAX_STREAMS,
      maxStreamsPerCaller: values.MAX_STREAMS_PER_CALLER,
      heartbeatMs: values.STREAM_HEARTBEAT_MS,
      maxMs: values.STREAM_MAX_MS,
    },
    sockets: {
      requestTimeoutMs: values.REQUEST_TIMEOUT_MS,
      keepAliveMs: values.KEEP_ALIVE_MS,
      maxSockets: values.MAX_SOCKETS,
    },
    graphiql: values.GRAPHIQL ?? (!production && values.TRUSTED_DOCUMENTS === undefined),
    federation: values.FEDERATION,
    introspection: values.INTROSPECTION ?? !production,
    logLevel: values.LOG_LEVEL,
    logFormat: values.LOG_FORMAT,
    metrics: toMetricsSettings(values),
    shutdownDelayMs: values.SHUTDOWN_DELAY_MS,
    unknownVariables,
  };
}

/** On the sandbox there are metrics to look at; for a tenant, somebody has to say where. */
function toMetricsSettings(values: VariableValues): Settings['metrics'] {
  const { HOST, METRICS_HOST: host = HOST, METRICS_PORT: port } = values;
  const isSandbox = values.PARTICIPANT_SERVICE_URL === undefined;
  return port !== undefined || isSandbox ? { host, port } : undefined;
}

function toAuthSettings(values: VariableValues): AuthSettings {
  return {
    mode: values.AUTH_MODE ?? 'unchecked-loopback',
    issuer: values.AUTH_ISSUER,
    audiences: values.AUTH_AUDIENCE ?? [],
    jwksUrl: values.AUTH_JWKS_URL,
    algorithms: values.AUTH_ALGORITHMS,
    tokenTypes: values.AUTH_TOKEN_TYPES,
    leewayMs: values.AUTH_LEEWAY_SECONDS * 1000,
    requiredScopes: values.AUTH_REQUIRED_SCOPES ?? [],
    participantTypesClaim: values.AUTH_PARTICIPANT_TYPES_CLAIM,
    forwardUserInfo: values.FORWARD_USER_INFO,
  };
}

function toTokenSettings(values: VariableValues): TokenSettings {
  const { TOKEN_GRANT: grant, TOKEN_ISSUER: issuer, TOKEN_URL: endpoint } = values;
  const file = values.TOKEN_CLIENT_SECRET_FILE;
  return {
    grant,
    clientId: values.TOKEN_CLIENT_ID ?? '',
    clientSecret: file === undefined ? { value: values.TOKEN_CLIENT_SECRET ?? '' } : { file },
    source: issuer ? { issuer } : endpoint && { endpoint },
    clientAuthentication: values.TOKEN_CLIENT_AUTH,
    audience: values.TOKEN_AUDIENCE,
    scope: values.TOKEN_SCOPE,
    header: values.TOKEN_HEADER ?? (grant === 'os1' ? 'X-COREOS-ACCESS' : 'Authorization'),
  };
}
