import { z } from 'zod';
import {
  collectorUrl,
  endpointUrl,
  integer,
  isAddressOrNarrowRange,
  isHost,
  isHostPattern,
  isOriginOrPattern,
  isScope,
  listOf,
  matching,
  oneOf,
  onOff,
  pairsOf,
  path,
  proxyUrl,
  redisUrl,
  safeUrl,
  safeUrlText,
  scope,
  share,
  textUpTo,
  where,
} from './decoders.ts';
import { optional, type VariableInfo, variableInfos, withDefault } from './variable-info.ts';

/** What RATE_LIMIT_PER_SECOND is when it is left out with AUTH_MODE=jwt; without that, there is no limit. */
export const RATE_PER_SECOND_WITH_JWT = 100;

const own = { perTenant: 'own' } as const;
const shared = { perTenant: 'shared' } as const;

const timeLimit = integer(1, 600_000, 'milliseconds');
const hostName = matching(/^[\w.:-]{1,253}$/, 'an IP address or a host name of this machine');
const claimName = matching(/^[\x21-\x7e]{1,256}$/, 'the name of a claim, or a path with dots');
const cacheLifetime = integer(0, 86_400_000, 'milliseconds');

const server = {
  HOST: withDefault('127.0.0.1', hostName, 'Address to listen on.'),
  PORT: withDefault('4000', integer(0, 65_535), 'Port to listen on; 0 picks a free one.'),
  TRUSTED_PROXIES: optional(
    listOf(
      'IP addresses and ranges, such as 10.0.0.0/8 (of IPv4 no wider ones, of IPv6 up to /7)',
      isAddressOrNarrowRange,
    ),
    'The proxies in front of the gateway, whose CLIENT_ADDRESS_HEADER is believed; empty: none.',
  ),
  CLIENT_ADDRESS_HEADER: withDefault(
    'x-forwarded-for',
    oneOf('x-forwarded-for', 'forwarded'),
    'The header in which they write from whom a request came. The other one is never read: a client could write it.',
  ),
  KEEP_ALIVE_MS: withDefault(
    '5000',
    timeLimit,
    'How long a connection is kept for the next request, in milliseconds; longer than the idle time-out of a balancer in front.',
  ),
};

const upstream = {
  PARTICIPANT_SERVICE_URL: optional(
    safeUrl,
    "The tenant's address, `https://{tenantSubdomain}`; empty: the embedded sandbox.",
    own,
  ),
  SANDBOX: optional(
    where(onOff, 'on without PARTICIPANT_SERVICE_URL'),
    'Whether the gateway runs on its sandbox where there is no PARTICIPANT_SERVICE_URL; empty: unless NODE_ENV is production.',
  ),
  PARTICIPANT_SERVICE_TENANT_ID: optional(
    matching(
      /^[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?$/,
      '1 to 256 characters of ASCII, no control characters',
    ),
    "The tenant's id (`X-COREOS-TID`). Required with PARTICIPANT_SERVICE_URL.",
    own,
  ),
  PARTICIPANT_TYPES: optional(
    listOf('plural names of participant types', (text) =>
      /^(?!\.{1,2}$)[^/\\\p{Cc}]{1,128}$/u.test(text),
    ),
    'The participant types that may be asked for; empty: any.',
    shared,
  ),
  UPSTREAM_TIMEOUT_MS: withDefault(
    '2000',
    timeLimit,
    'Time limit of one call to the upstream, in milliseconds.',
    shared,
  ),
  REQUEST_DEADLINE_MS: withDefault(
    '5000',
    timeLimit,
    'Time limit of everything that one GraphQL request waits for, in milliseconds.',
  ),
  UPSTREAM_MAX_CONNECTIONS: withDefault(
    '64',
    integer(1, 10_000),
    'Connections to the upstream, and so the bound on concurrent calls.',
    shared,
  ),
  UPSTREAM_MAX_BODY_BYTES: withDefault(
    '1048576',
    integer(1024, 268_435_456, 'bytes'),
    'The longest answer that is read from the upstream, in bytes.',
    shared,
  ),
  STATUS_TTL_MS: withDefault(
    '1000',
    cacheLifetime,
    'How long the status of an unfinished batch is served from the cache, in milliseconds; 0: never.',
    shared,
  ),
  STATUS_FINISHED_TTL_MS: withDefault(
    '30000',
    cacheLifetime,
    'The same for a finished batch.',
    shared,
  ),
  STATUS_STALE_MS: withDefault(
    '60000',
    cacheLifetime,
    'How old the last status may be that is served, as `stale`, when the upstream fails, in milliseconds; 0: none is.',
    shared,
  ),
  FINISHED_STATUSES: withDefault(
    'SUCCESS,PARTIAL_SUCCESS,FAILED,COMPLETED,CANCELLED',
    listOf('statuses', (text) => /^\P{Cc}+$/u.test(text)),
    'The statuses in which a batch is finished; compared without case.',
    shared,
  ),
  ERROR_DETAIL: optional(
    oneOf('public', 'full'),
    "`full` shows the upstream's echo of the request in errors; empty: full on the sandbox, else public.",
    shared,
  ),
};

/** They have a meaning, to the gateway or to HTTP. */
const HEADERS_OF_OTHERS: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'cookie',
  'forwarded',
  'host',
  'origin',
  'router-authorization',
  'transfer-encoding',
  'x-forwarded-for',
]);

const tenants = {
  TENANTS_DIR: optional(
    { schema: z.string(), accepts: 'the path of a directory that can be read' },
    'A directory with a JSON file for each tenant, `<name>.json`: see tenants.md; empty: the environment is the one tenant.',
  ),
  TENANT_CLAIM: optional(
    where(claimName, 'with TENANTS_DIR and AUTH_MODE=jwt'),
    "The claim of a caller's token that names the tenant.",
  ),
  TENANT_HEADER: optional(
    {
      schema: z
        .string()
        .regex(/^[\w-]{1,64}$/)
        .transform((name) => name.toLowerCase())
        .refine((name) => !HEADERS_OF_OTHERS.has(name)),
      accepts: 'the name of a header that means nothing else, with TENANTS_DIR and TRUSTED_PROXIES',
    },
    'The header in which the TRUSTED_PROXIES name the tenant; from others it is not read.',
  ),
  TENANT_HOSTS: optional(
    where(
      listOf('host names, each maybe with a port but 80 and 443', isHost),
      "in a tenant's file; with AUTH_MODE=none only with TRUSTED_PROXIES",
    ),
    'The Hosts that mean the tenant, without a port whatever the port is. Required where there is neither TENANT_CLAIM nor TENANT_HEADER.',
    own,
  ),
  MAX_ACTIVE_TENANTS: withDefault(
    '256',
    where(integer(1, 100_000), 'with TENANTS_DIR'),
    'Tenants that are served at a time; those that were not asked for longest make room.',
  ),
};

const network = {
  HTTPS_PROXY: optional(
    proxyUrl,
    'The proxy by which the service, the token endpoint and the issuer are reached (by CONNECT, so that it cannot read along), never loopback; `https_proxy` counts before it, HTTP_PROXY is not read.',
    { secret: true },
  ),
  HTTPS_PROXY_FILE: optional(path, 'A file that holds it.'),
  NO_PROXY: optional(
    listOf(
      'host names, which stand for those below them, too, IP addresses and ranges, each maybe with a port, or *',
      isHostPattern,
      /[\s,]+/,
    ),
    'What is reached without HTTPS_PROXY; `no_proxy` counts before it.',
  ),
  UPSTREAM_CLIENT_CERT_FILE: optional(
    where(path, 'with UPSTREAM_CLIENT_KEY_FILE'),
    'A certificate, in PEM, with those that lead to its authority, that is shown to PARTICIPANT_SERVICE_URL (mutual TLS).',
    own,
  ),
  UPSTREAM_CLIENT_KEY_FILE: optional(
    where(path, 'with UPSTREAM_CLIENT_CERT_FILE'),
    'Its private key, in PEM, not encrypted.',
    own,
  ),
};

const tokens = {
  TOKEN_GRANT: withDefault(
    'os1',
    oneOf('os1', 'oauth2'),
    "How access tokens are asked for: the platform's own way, or RFC 6749 client credentials.",
    shared,
  ),
  TOKEN_CLIENT_ID: optional(
    textUpTo(1024),
    "The gateway's client id. Required with PARTICIPANT_SERVICE_URL.",
    own,
  ),
  TOKEN_CLIENT_SECRET: optional(
    textUpTo(4096),
    'Its secret. This or TOKEN_CLIENT_SECRET_FILE is required with PARTICIPANT_SERVICE_URL.',
    { secret: true, perTenant: 'own' },
  ),
  TOKEN_CLIENT_SECRET_FILE: optional(
    path,
    'A file that holds the secret; it is read anew when the credentials are refused.',
    own,
  ),
  TOKEN_URL: optional(
    endpointUrl,
    "The token endpoint; empty with os1: the platform's, at the tenant's address.",
    shared,
  ),
  TOKEN_ISSUER: optional(
    where(safeUrl, 'with TOKEN_GRANT=oauth2'),
    'The issuer whose metadata name the token endpoint, instead of TOKEN_URL.',
    shared,
  ),
  TOKEN_CLIENT_AUTH: withDefault(
    'client_secret_basic',
    oneOf('client_secret_basic', 'client_secret_post'),
    'How the secret is sent with oauth2.',
    shared,
  ),
  TOKEN_AUDIENCE: optional(textUpTo(1024), 'Sent as the audience when set.', shared),
  TOKEN_SCOPE: optional(textUpTo(1024), 'Sent as the scope with oauth2, when set.', shared),
  TOKEN_HEADER: optional(
    oneOf('X-COREOS-ACCESS', 'Authorization'),
    'The header that carries the token; empty: X-COREOS-ACCESS with os1, Authorization with oauth2.',
    shared,
  ),
};

const callers = {
  AUTH_MODE: optional(
    {
      schema: z.enum(['jwt', 'none']),
      accepts: 'jwt, or none where something in front of the gateway checks who calls',
    },
    'Whether callers need an access token; empty: none where HOST is loopback, else the gateway does not start.',
  ),
  AUTH_ISSUER: optional(
    safeUrlText,
    "The issuer of callers' tokens (`iss`), exactly as it writes itself. Required with AUTH_MODE=jwt, except on the sandbox.",
    shared,
  ),
  AUTH_AUDIENCE: optional(
    listOf('audiences', (text) => /^\P{Cc}{1,256}$/u.test(text)),
    "The gateway's name in tokens (`aud`): one of these. Required with AUTH_ISSUER.",
    shared,
  ),
  AUTH_AUDIENCE_CLAIM: withDefault(
    'aud',
    where(claimName, 'with AUTH_ISSUER'),
    'The claim in which tokens name their audience: `client_id` for issuers that give access tokens no `aud`.',
    shared,
  ),
  AUTH_JWKS_URL: optional(
    where(endpointUrl, 'with AUTH_ISSUER'),
    "The issuer's keys; empty: where its metadata say.",
    shared,
  ),
  AUTH_ALGORITHMS: withDefault(
    'RS256,PS256,ES256,EdDSA',
    listOf('RS, PS or ES with 256, 384 or 512, and EdDSA', (text) =>
      /^(?:[RPE]S(?:256|384|512)|EdDSA)$/.test(text),
    ),
    'The algorithms that tokens may be signed with.',
    shared,
  ),
  AUTH_TOKEN_TYPES: withDefault(
    'at+jwt',
    listOf('media types without "application/"', (text) => /^[\w.+/-]{1,64}$/.test(text)),
    'The `typ` of tokens; add `JWT` for issuers that do not follow RFC 9068 (it also stands for none).',
    shared,
  ),
  AUTH_LEEWAY_SECONDS: withDefault(
    '5',
    integer(0, 300, 'seconds'),
    "How far the issuer's clock may be off, in seconds.",
    shared,
  ),
  AUTH_SCOPE_CLAIM: optional(
    where(claimName, 'with AUTH_MODE=jwt'),
    'The claim that holds the scopes of a token, a list or a text: such as `scp`, `roles`, `permissions`; empty: `scope`, or `scp` where that is missing.',
    shared,
  ),
  AUTH_REQUIRED_SCOPES: optional(
    where(listOf('scopes', isScope), 'with AUTH_MODE=jwt'),
    'The scopes that a token must have, all of them.',
    shared,
  ),
  AUTH_PARTICIPANT_TYPES_CLAIM: optional(
    where(claimName, 'with AUTH_MODE=jwt'),
    'The claim that lists the participant types that the caller may see; empty: all.',
    shared,
  ),
  FORWARD_USER_INFO: withDefault(
    'off',
    where(onOff, 'on with AUTH_MODE=jwt'),
    "Whether the upstream is told the token's `sub` and `name` (`X-COREOS-USERINFO`); answers are then shared within one user only.",
    shared,
  ),
  CALLERS: withDefault(
    'any',
    where(oneOf('any', 'router'), 'router with FEDERATION_SECRET or FEDERATION_SCOPE'),
    'Who may ask at all: anyone whom AUTH_MODE lets in, or of these only a router that shows FEDERATION_SECRET or has FEDERATION_SCOPE.',
    shared,
  ),
  FEDERATION_SECRET: optional(
    matching(/^[\x21-\x7e]{16,1024}$/, '16 to 1024 characters of ASCII without spaces'),
    'Sent by the router as `router-authorization`; then nobody else may ask for `_service` and `_entities`.',
    { secret: true, perTenant: 'shared' },
  ),
  FEDERATION_SECRET_FILE: optional(path, 'A file that holds it.', shared),
  FEDERATION_SCOPE: optional(
    where(scope, 'with AUTH_MODE=jwt'),
    'A scope in place of FEDERATION_SECRET, or beside it: one of them is enough.',
    shared,
  ),
};

const browsers = {
  CORS_ORIGINS: optional(
    listOf(
      'origins, such as https://app.example.com, https://*.example.com or capacitor://localhost',
      isOriginOrPattern,
    ),
    'The origins whose pages may call the gateway from a browser; `*` is one label of a host; empty: none.',
    shared,
  ),
  GET_QUERIES: withDefault(
    'on',
    onOff,
    'Whether queries may come by GET: with the header `graphql-require-preflight: 1`, or from a page of the same origin or of one of CORS_ORIGINS.',
  ),
};

const limits = {
  REQUEST_MAX_BYTES: withDefault(
    '65536',
    integer(1024, 1_048_576, 'bytes'),
    'The longest request body that is read, in bytes.',
  ),
  QUERY_MAX_TOKENS: withDefault(
    '1000',
    integer(1, 10_000),
    'The most lexical tokens (names, punctuators, values) in a document.',
  ),
  QUERY_MAX_DEPTH: withDefault(
    '20',
    integer(1, 100),
    'The most selection sets within each other; introspection by GraphiQL needs 18.',
  ),
  QUERY_MAX_ALIASES: withDefault('30', integer(0, 1_000), 'The most aliases in a document.'),
  QUERY_MAX_DIRECTIVES: withDefault('30', integer(0, 1_000), 'The most directives in a document.'),
  QUERY_MAX_COST: withDefault(
    '10000',
    integer(1, 1_000_000),
    'The most points of an operation: 1 for a field, 10 for `data`, `dataAt`, `failures` and `successes`, and what is selected below these two counts `first` times, below `_entities` and `batchStatuses` once for each reference or batch.',
  ),
  QUERY_MAX_BATCHES: withDefault(
    '20',
    integer(1, 1_000),
    'The most different batches that one request may ask for; of references in `_entities`, equal ones counted, five times as many.',
  ),
  RESPONSE_MAX_BYTES: withDefault(
    '8388608',
    integer(16_384, 268_435_456, 'bytes'),
    'The longest answer, in bytes: the fields that would exceed it are `OPERATION_TOO_COMPLEX`.',
  ),
  RATE_LIMIT_PER_SECOND: optional(
    integer(0, 1_000_000),
    `Requests of one caller in a second: of a subject, else of an address; 0: any; empty: ${RATE_PER_SECOND_WITH_JWT} with AUTH_MODE=jwt, else any.`,
    shared,
  ),
  RATE_LIMIT_BURST: withDefault(
    '100',
    integer(0, 1_000_000),
    'Requests beyond that, in 10 seconds.',
    shared,
  ),
  INTAKE_MAX_REQUESTS: withDefault(
    '4096',
    integer(1, 100_000),
    'Requests that are held at a time, from before their bodies are read until their answers are out; those beyond are refused at once. One address cannot have the last quarter.',
  ),
  INTAKE_MAX_BYTES: withDefault(
    '67108864',
    integer(65_536, 1_073_741_824, 'bytes'),
    'Bytes of their bodies together; not less than REQUEST_MAX_BYTES.',
  ),
  REQUEST_TIMEOUT_MS: withDefault(
    '8000',
    integer(100, 600_000, 'milliseconds'),
    'How long a client may take to send a request, in milliseconds.',
  ),
  RESPONSE_TIMEOUT_MS: withDefault(
    '10000',
    integer(100, 600_000, 'milliseconds'),
    'How long a client may take less than 16 KiB a second of its answer, in milliseconds; then its connection is closed. A tenth of that while others wait for room.',
  ),
  MAX_SOCKETS: withDefault(
    '20000',
    integer(1, 1_000_000),
    'Connections of clients at a time; those beyond are closed.',
  ),
};

const streams = {
  FOLLOW_MIN_MS: withDefault(
    '1000',
    integer(100, 60_000, 'milliseconds'),
    'How long after a change a batch that is followed is polled again, in milliseconds.',
    shared,
  ),
  FOLLOW_MAX_MS: withDefault(
    '10000',
    integer(100, 600_000, 'milliseconds'),
    'The same at most, when nothing changes; not less than FOLLOW_MIN_MS.',
    shared,
  ),
  MAX_POLLERS: withDefault(
    '5000',
    integer(1, 1_000_000),
    'Different batches that are followed at a time, however many follow each.',
    shared,
  ),
  MAX_STREAMS: withDefault(
    '12000',
    integer(0, 1_000_000),
    'Subscriptions at a time; those beyond are refused. 0: none.',
  ),
  MAX_STREAMS_PER_CALLER: withDefault(
    '20',
    integer(1, 1_000_000),
    'The same of one caller: of a subject, else of an address.',
  ),
  STREAM_HEARTBEAT_MS: withDefault(
    '10000',
    integer(100, 600_000, 'milliseconds'),
    'After so long without an event a heartbeat is written, in milliseconds.',
  ),
  STREAM_MAX_MS: withDefault(
    '3600000',
    integer(1_000, 86_400_000, 'milliseconds'),
    'How long a subscription lasts, in milliseconds; then its client is told to come again.',
  ),
};

const replicas = {
  REDIS_URL: optional(
    redisUrl,
    'A Redis or Valkey by which replicas share statuses and rates; empty: each is on its own.',
    { secret: true },
  ),
  REDIS_URL_FILE: optional(path, 'A file that holds it.'),
  REDIS_KEY_PREFIX: withDefault(
    'participant-gateway',
    where(matching(/^[\w.-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ . -'), 'with REDIS_URL'),
    'What every key and channel in it begins with.',
  ),
  REPLICAS: withDefault(
    '1',
    where(integer(1, 1_000), 'with REDIS_URL'),
    'How many replicas there are: while Redis is away, each lets so large a part of RATE_LIMIT_PER_SECOND and RATE_LIMIT_BURST through.',
  ),
};

const graphql = {
  FEDERATION: withDefault(
    'on',
    onOff,
    'Whether the schema is a subgraph; off leaves `_entities` and `_service`, which routers ask for, out of it.',
  ),
  TRUSTED_DOCUMENTS: optional(
    path,
    "A JSON file of hash to document, or Apollo's manifest: then nothing else runs, and requests carry the hash alone.",
  ),
  PERSISTED_QUERIES: withDefault(
    'off',
    where(onOff, 'off with TRUSTED_DOCUMENTS'),
    "Apollo's automatic persisted queries: clients may send a document's hash once its text is known.",
  ),
  GRAPHIQL: optional(
    where(onOff, 'not on with TRUSTED_DOCUMENTS'),
    'GraphiQL at /graphql; empty: on, unless NODE_ENV is production, TRUSTED_DOCUMENTS is set or CALLERS is router.',
  ),
  INTROSPECTION: optional(
    onOff,
    'Whether introspection is answered (`_service`: see FEDERATION); empty: on, unless NODE_ENV is production.',
  ),
};

const explain = {
  EXPLAIN: withDefault(
    'sandbox',
    oneOf('off', 'sandbox', 'scope'),
    'Who may have an answer explained, by the header `x-explain: 1`: nobody, everybody on the sandbox, or whose token has EXPLAIN_SCOPE.',
  ),
  EXPLAIN_SCOPE: optional(
    where(scope, 'with EXPLAIN=scope and AUTH_MODE=jwt'),
    'The scope for that.',
  ),
};

const traces = {
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(
    collectorUrl,
    "The collector that spans are sent to, by OTLP/HTTP as JSON, at `/v1/traces` below; empty: there are no traces. These six are OpenTelemetry's own variables.",
  ),
  OTEL_EXPORTER_OTLP_HEADERS: optional(
    where(
      pairsOf('headers', /^[\w!#$%&'*+.^`|~-]{1,64}$/, /^[\x20-\x7e]{0,4096}$/),
      'with https:// or on loopback',
    ),
    'Headers for the collector, such as `api-key=…`.',
    { secret: true },
  ),
  OTEL_EXPORTER_OTLP_HEADERS_FILE: optional(path, 'A file that holds them.'),
  OTEL_SERVICE_NAME: withDefault(
    'participant-gateway',
    textUpTo(256),
    'What the gateway is called in traces.',
  ),
  OTEL_RESOURCE_ATTRIBUTES: optional(
    pairsOf('attributes', /^[\x21-\x7e]{1,256}$/, /^\P{Cc}{0,256}$/u),
    'What else is said of it there, such as `deployment.environment.name=production`.',
  ),
  OTEL_TRACES_SAMPLER: withDefault(
    'parentbased_always_on',
    oneOf(
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_traceidratio',
    ),
    "Which requests are recorded; `parentbased_` goes by the caller's `traceparent`, where there is one.",
  ),
  OTEL_TRACES_SAMPLER_ARG: withDefault(
    '1',
    share,
    'The share of requests that `traceidratio` records; of those with a `traceparent` no greater share, whatever callers send.',
  ),
  TRACE_UPSTREAM: withDefault(
    'off',
    where(onOff, 'on with OTEL_EXPORTER_OTLP_ENDPOINT'),
    'Whether calls to the Participant Service carry `traceparent`.',
  ),
};

const logAndProcess = {
  LOG_LEVEL: withDefault(
    'info',
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    'The least important entries that are logged.',
  ),
  LOG_FORMAT: optional(
    oneOf('pretty', 'json'),
    'How log entries are written; empty: pretty on a terminal, else json.',
  ),
  AUDIT: withDefault(
    'off',
    oneOf('off', 'on', 'required'),
    'Whether the log has a line for each answer with the batches that were read; a lost line makes the gateway not ready. `required`: what cannot be recorded is refused with 503.',
  ),
  METRICS_PORT: optional(
    integer(0, 65_535),
    'Port that shows metrics for Prometheus at /metrics, and nothing else; 0 picks a free one; empty: there are no metrics, on the sandbox they are at PORT.',
  ),
  METRICS_HOST: optional(hostName, 'Address to listen on for that; empty: HOST.'),
  SHUTDOWN_DELAY_MS: withDefault(
    '1000',
    integer(0, 8_000, 'milliseconds'),
    'How long requests are still accepted after SIGTERM, so that a balancer can notice.',
  ),
};

/** Decodes each variable on its own; what has to hold between them is `rules.ts`. */
export const environmentSchema = z.object({
  ...server,
  ...upstream,
  ...tenants,
  ...network,
  ...tokens,
  ...callers,
  ...browsers,
  ...limits,
  ...streams,
  ...replicas,
  ...graphql,
  ...explain,
  ...traces,
  ...logAndProcess,
});

export type VariableName = keyof typeof environmentSchema.shape;
export type VariableValues = z.output<typeof environmentSchema>;

/** The variables of a process, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The texts of the variables that are set; an empty one is not. */
export type Given = Readonly<Partial<Record<VariableName, string | undefined>>>;

/** A variable, and what is wrong with it, as the end of a sentence that begins with its name. */
export type Fault = readonly [name: VariableName, problem: string];

export function isVariableName(text: unknown): text is VariableName {
  return typeof text === 'string' && Object.hasOwn(environmentSchema.shape, text);
}

/** What the table says of a variable. */
export function infoOf(name: VariableName): VariableInfo {
  const info = variableInfos.get(environmentSchema.shape[name]);
  if (info === undefined) throw new Error(`${name} is not described`);
  return info;
}

/** Every environment variable that the gateway reads, in the order in which they are documented. */
export const VARIABLE_NAMES: readonly VariableName[] = Object.keys(environmentSchema.shape).filter(
  isVariableName,
);

/** The same under the headings of the documents, in the same order. */
export const VARIABLE_GROUPS: readonly { heading: string; names: readonly VariableName[] }[] = [
  { heading: 'Server', names: namesOf(server) },
  { heading: 'Upstream', names: namesOf(upstream) },
  { heading: 'Many tenants', names: namesOf(tenants) },
  { heading: 'Network', names: namesOf(network) },
  { heading: 'Tokens', names: namesOf(tokens) },
  { heading: 'Callers', names: namesOf(callers) },
  { heading: 'Browsers and GET', names: namesOf(browsers) },
  { heading: 'Limits', names: namesOf(limits) },
  { heading: 'Subscriptions', names: namesOf(streams) },
  { heading: 'Replicas', names: namesOf(replicas) },
  { heading: 'GraphQL', names: namesOf(graphql) },
  { heading: 'Explanations', names: namesOf(explain) },
  { heading: 'Traces', names: namesOf(traces) },
  { heading: 'Log, metrics and process', names: namesOf(logAndProcess) },
];

/** The secrets, each with the variable of the file that can hold it. */
export const SECRET_NAMES: readonly (readonly [name: VariableName, file: VariableName])[] =
  VARIABLE_NAMES.filter((name) => infoOf(name).secret).map((name) => {
    const file = `${name}_FILE`;
    if (!isVariableName(file)) throw new Error(`${name} cannot come from a file`);
    return [name, file];
  });

function namesOf(group: object): VariableName[] {
  return Object.keys(group).filter(isVariableName);
}
