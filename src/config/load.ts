import { faultyCombinations } from './rules.ts';
import type { AuthSettings, Settings, TokenSettings } from './settings.ts';
import {
  environmentSchema,
  infoOf,
  isVariableName,
  RATE_PER_SECOND_WITH_JWT,
  VARIABLE_NAMES,
  type VariableName,
  type VariableValues,
} from './variables.ts';

/** Faulty settings, all of them in one message. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** The variables of a process, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that there were, and what to do instead. */
const RETIRED: readonly (readonly [name: string, advice: string])[] = [
  [
    'MAX_CONCURRENT_REQUESTS',
    'set INTAKE_MAX_REQUESTS for the requests that are held at a time, and UPSTREAM_MAX_CONNECTIONS for the upstream calls',
  ],
];

/**
 * Reads the settings. A variable that is empty counts as not set; `canRead` tells whether a file can
 * be read. Throws a {@link SettingsError} that names every faulty variable, what it got (never a
 * secret), and what it accepts.
 */
export function parseSettings(
  environment: Environment,
  canRead: (path: string) => boolean,
): Settings {
  const given = Object.fromEntries(
    VARIABLE_NAMES.map((name) => [name, environment[name]]).filter(
      ([, text]) => text !== undefined && text !== '',
    ),
  );
  const parsed = environmentSchema.safeParse(given);
  const faults = new Map<VariableName, string>();
  for (const { path } of parsed.error?.issues ?? []) {
    const name = path[0];
    if (isVariableName(name)) faults.set(name, describeValue(name, given[name]));
  }
  for (const [name, problem] of faultyCombinations(given, canRead)) {
    if (!faults.has(name)) faults.set(name, problem);
  }
  const retired = RETIRED.filter(([name]) => environment[name]);
  if (parsed.success && faults.size === 0 && retired.length === 0) {
    return toSettings(parsed.data, environment['NODE_ENV'] === 'production');
  }
  const lines = VARIABLE_NAMES.filter((name) => faults.has(name)).map(
    (name) => `  ${name} ${faults.get(name)}; it accepts ${infoOf(name).accepts}`,
  );
  lines.push(...retired.map(([name, advice]) => `  ${name} is retired: ${advice}`));
  throw new SettingsError(`The settings are faulty:\n${lines.join('\n')}`);
}

function describeValue(name: VariableName, text: string | undefined = ''): string {
  if (infoOf(name).secret) return `is not valid (${text.length} characters, not shown)`;
  const shown = /_(URL|ISSUER)$/.test(name) ? withoutCredentials(text) : text;
  return `is ${JSON.stringify(shown.length > 60 ? `${shown.slice(0, 60)}…` : shown)}`;
}

/** A URL can carry a password or a token: of one that does, only its beginning is shown. */
function withoutCredentials(text: string): string {
  const [, scheme = ''] = /^([a-z][a-z0-9+.-]{0,20}:(?:\/\/)?)/i.exec(text) ?? [];
  return /[@?#]/.test(text) ? `${scheme}[not shown]` : text;
}

function toSettings(values: VariableValues, production: boolean): Settings {
  const url = values.PARTICIPANT_SERVICE_URL;
  return {
    host: values.HOST,
    port: values.PORT,
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
    shutdownDelayMs: values.SHUTDOWN_DELAY_MS,
  };
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
