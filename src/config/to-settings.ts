import type {
  AuthSettings,
  ClientCertificate,
  Settings,
  TenantsSettings,
  TokenSettings,
} from './settings.ts';
import { type Environment, RATE_PER_SECOND_WITH_JWT, type VariableValues } from './variables.ts';

/** What the variables alone do not say. */
interface Beside extends Pick<Settings, 'unknownVariables'> {
  readonly production: boolean;
  readonly clientCertificate: ClientCertificate | undefined;
  /** What the files of tenants go back to. */
  readonly environment: Environment;
}

/** Variables that are good become the settings that they mean. */
export function toSettings(
  values: VariableValues,
  { production, clientCertificate, environment, unknownVariables }: Beside,
): Settings {
  const url = values.PARTICIPANT_SERVICE_URL;
  const isSandbox = url === undefined && values.TENANTS_DIR === undefined;
  return {
    host: values.HOST,
    port: values.PORT,
    tenants: toTenantsSettings(values, environment),
    tenantHosts: (values.TENANT_HOSTS ?? []).map((host) => host.toLowerCase()),
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
    errorDetail: values.ERROR_DETAIL ?? (isSandbox ? 'full' : 'public'),
    network: {
      proxy: values.HTTPS_PROXY,
      noProxy: values.NO_PROXY ?? [],
      clientCertificate,
    },
    auth: toAuthSettings(values),
    federationAccess: {
      secret: values.FEDERATION_SECRET,
      scope: values.FEDERATION_SCOPE,
      isRequired: values.CALLERS === 'router',
    },
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
    redis: values.REDIS_URL && {
      url: values.REDIS_URL,
      keyPrefix: values.REDIS_KEY_PREFIX,
      replicas: values.REPLICAS,
    },
    graphiql:
      values.GRAPHIQL ??
      (!production && values.TRUSTED_DOCUMENTS === undefined && values.CALLERS === 'any'),
    federation: values.FEDERATION,
    introspection: values.INTROSPECTION ?? !production,
    logLevel: values.LOG_LEVEL,
    logFormat: values.LOG_FORMAT,
    metrics: toMetricsSettings(values, isSandbox),
    traces: toTracesSettings(values),
    audit: values.AUDIT,
    explain: toExplainSettings(values),
    shutdownDelayMs: values.SHUTDOWN_DELAY_MS,
    unknownVariables,
  };
}

function toTenantsSettings(
  { TENANTS_DIR, TENANT_CLAIM, TENANT_HEADER, MAX_ACTIVE_TENANTS }: VariableValues,
  environment: Environment,
): TenantsSettings | undefined {
  return TENANTS_DIR === undefined
    ? undefined
    : {
        directory: TENANTS_DIR,
        claim: TENANT_CLAIM,
        header: TENANT_HEADER,
        maxActive: MAX_ACTIVE_TENANTS,
        environment,
      };
}

/** On the sandbox there are metrics to look at; for a tenant, somebody has to say where. */
function toMetricsSettings(values: VariableValues, isSandbox: boolean): Settings['metrics'] {
  const { HOST, METRICS_HOST: host = HOST, METRICS_PORT: port } = values;
  return port !== undefined || isSandbox ? { host, port } : undefined;
}

function toTracesSettings(values: VariableValues): Settings['traces'] {
  const endpoint = values.OTEL_EXPORTER_OTLP_ENDPOINT;
  return (
    endpoint && {
      endpoint,
      headers: values.OTEL_EXPORTER_OTLP_HEADERS ?? {},
      serviceName: values.OTEL_SERVICE_NAME,
      resourceAttributes: values.OTEL_RESOURCE_ATTRIBUTES ?? {},
      sampler: values.OTEL_TRACES_SAMPLER,
      ratio: values.OTEL_TRACES_SAMPLER_ARG,
      propagates: values.TRACE_UPSTREAM,
    }
  );
}

function toExplainSettings(values: VariableValues): Settings['explain'] {
  const { EXPLAIN: mode, EXPLAIN_SCOPE: scope } = values;
  const isSandbox = (values.PARTICIPANT_SERVICE_URL ?? values.TENANTS_DIR) === undefined;
  if (mode === 'scope') return { scope };
  return mode === 'sandbox' && isSandbox ? { scope: undefined } : undefined;
}

function toAuthSettings(values: VariableValues): AuthSettings {
  return {
    mode: values.AUTH_MODE ?? 'unchecked-loopback',
    issuer: values.AUTH_ISSUER,
    audiences: values.AUTH_AUDIENCE ?? [],
    audienceClaim: values.AUTH_AUDIENCE_CLAIM,
    jwksUrl: values.AUTH_JWKS_URL,
    algorithms: values.AUTH_ALGORITHMS,
    tokenTypes: values.AUTH_TOKEN_TYPES,
    leewayMs: values.AUTH_LEEWAY_SECONDS * 1000,
    requiredScopes: values.AUTH_REQUIRED_SCOPES ?? [],
    scopeClaim: values.AUTH_SCOPE_CLAIM,
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
