import { isIP } from 'node:net';
import { z } from 'zod';
import { isLoopbackHost, isPlainLoopback } from '../lib/loopback.ts';

/** What the gateway runs with. Read once, from the environment; see {@link parseSettings}. */
export interface Settings {
  host: string;
  port: number;
  /** Undefined: the embedded sandbox stands for it. */
  participantService: ParticipantServiceSettings | undefined;
  participantTypes: ReadonlySet<string>;
  upstreamTimeoutMs: number;
  requestDeadlineMs: number;
  upstreamMaxConnections: number;
  upstreamMaxBodyBytes: number;
  statusTtlMs: number;
  statusFinishedTtlMs: number;
  statusStaleMs: number;
  /** In upper case. */
  finishedStatuses: ReadonlySet<string>;
  errorDetail: 'public' | 'full';
  auth: AuthSettings;
  federationAccess: FederationAccess;
  corsOrigins: ReadonlySet<string>;
  getQueries: boolean;
  requestMaxBytes: number;
  limits: LimitSettings;
  /** A path; undefined: any document runs. */
  trustedDocuments: string | undefined;
  persistedQueries: boolean;
  trustedProxies: readonly string[];
  /** `perSecond` 0: no limit. */
  rateLimit: { perSecond: number; burst: number };
  maxConcurrentRequests: number;
  sockets: { requestTimeoutMs: number; keepAliveMs: number; maxSockets: number };
  graphiql: boolean;
  federation: boolean;
  introspection: boolean;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Undefined: pretty on a terminal, else json. */
  logFormat: 'pretty' | 'json' | undefined;
  shutdownDelayMs: number;
}

/** Whose requests are taken. */
export interface AuthSettings {
  /** `unchecked-loopback`: nobody said anything, and only this machine can connect. */
  mode: 'jwt' | 'none' | 'unchecked-loopback';
  /** Undefined with jwt: the sandbox. */
  issuer: string | undefined;
  audiences: readonly string[];
  /** Undefined: from the issuer's metadata. */
  jwksUrl: URL | undefined;
  algorithms: readonly string[];
  tokenTypes: readonly string[];
  leewayMs: number;
  requiredScopes: readonly string[];
  participantTypesClaim: string | undefined;
  forwardUserInfo: boolean;
}

/** What lets a request have `_service` and `_entities`; with neither, every request may. */
export interface FederationAccess {
  secret: string | undefined;
  scope: string | undefined;
}

/** How much one GraphQL request may ask for. */
export interface LimitSettings {
  maxTokens: number;
  maxDepth: number;
  maxAliases: number;
  maxDirectives: number;
  maxCost: number;
  maxBatches: number;
  maxReferences: number;
}

export interface ParticipantServiceSettings {
  url: URL;
  tenantId: string;
  token: TokenSettings;
}

export interface TokenSettings {
  grant: 'os1' | 'oauth2';
  clientId: string;
  clientSecret: { value: string } | { file: string };
  /** Undefined: the platform's own endpoint, at the tenant's address. */
  source: { endpoint: URL } | { issuer: URL } | undefined;
  clientAuthentication: 'client_secret_basic' | 'client_secret_post';
  audience: string | undefined;
  scope: string | undefined;
  header: 'X-COREOS-ACCESS' | 'Authorization';
}

/** What is told of one environment variable. */
export interface VariableInfo {
  /** What it takes, for whoever got it wrong. */
  takes: string;
  /** One line for `.env.example` and the README. */
  meaning: string;
  /** Its default as it would be written; undefined when it has none. */
  fallback?: string;
  /** Its value is never shown. */
  secret?: true;
}

const infos = z.registry<VariableInfo>();

function optional<T>(schema: z.ZodType<T, string>, info: VariableInfo) {
  return schema.optional().register(infos, info);
}

function withDefault<T>(fallback: string, schema: z.ZodType<T, string>, info: VariableInfo) {
  return schema.prefault(fallback).register(infos, { ...info, fallback });
}

function integer(min: number, max: number): z.ZodType<number, string> {
  return z
    .string()
    .regex(/^\d{1,12}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max);
}

const onOff = z.enum(['on', 'off']).transform((value) => value === 'on');

const safeUrl = z
  .string()
  .refine((value) => URL.canParse(value))
  .transform((value) => new URL(value))
  .refine((url) => url.protocol === 'https:' || isPlainLoopback(url))
  .refine(({ username, password, search, hash }) => !username && !password && !search && !hash);
const SAFE_URL =
  'an https:// URL (http:// on loopback only) without credentials, query and fragment';

/** An origin as browsers send it: scheme, host, and a port that is not the scheme's own. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

function isAddressOrRange(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const bits = isIP(address) === 4 ? 32 : 128;
  return (
    isIP(address) !== 0 &&
    more.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
}

function matching(pattern: RegExp): (text: string) => boolean {
  return (text) => pattern.test(text);
}

function listOf(isItem: (text: string) => boolean): z.ZodType<string[], string> {
  return z
    .string()
    .transform((value) =>
      value
        .split(',')
        .map((text) => text.trim())
        .filter((text) => text !== ''),
    )
    .refine((items) => items.length > 0 && items.every(isItem));
}

/** One scope, as RFC 6749, section 3.3 has it. */
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/);

const ALGORITHM = /^(?:[RPE]S(?:256|384|512)|EdDSA)$/;

const TIME_LIMIT = 'milliseconds, 1 to 600000';
const COPY_LIFETIME = 'milliseconds, 0 to 86400000';

/** Every setting, in the order in which they are documented. */
const environmentSchema = z.object({
  HOST: withDefault('127.0.0.1', z.string().regex(/^[\w.:-]{1,253}$/), {
    takes: 'an IP address or a host name of this machine',
    meaning: 'Address to listen on.',
  }),
  PORT: withDefault('4000', integer(0, 65_535), {
    takes: 'a whole number from 0 to 65535',
    meaning: 'Port to listen on; 0 picks a free one.',
  }),
  PARTICIPANT_SERVICE_URL: optional(safeUrl, {
    takes: SAFE_URL,
    meaning: "The tenant's address, `https://{tenantSubdomain}`; empty: the embedded sandbox.",
  }),
  PARTICIPANT_SERVICE_TENANT_ID: optional(
    z.string().regex(/^[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?$/),
    {
      takes: '1 to 256 characters of ASCII, no control characters',
      meaning: "The tenant's id (`X-COREOS-TID`). Required with PARTICIPANT_SERVICE_URL.",
    },
  ),
  PARTICIPANT_TYPES: optional(listOf(matching(/^(?!\.{1,2}$)[^/\\\p{Cc}]{1,128}$/u)), {
    takes: 'plural names of participant types, separated by commas',
    meaning: 'The participant types that may be asked for; empty: any.',
  }),
  TOKEN_GRANT: withDefault('os1', z.enum(['os1', 'oauth2']), {
    takes: 'os1 or oauth2',
    meaning:
      "How access tokens are asked for: the platform's own way, or RFC 6749 client credentials.",
  }),
  TOKEN_CLIENT_ID: optional(z.string().max(1024), {
    takes: 'up to 1024 characters',
    meaning: "The gateway's client id. Required with PARTICIPANT_SERVICE_URL.",
  }),
  TOKEN_CLIENT_SECRET: optional(z.string().max(4096), {
    takes: 'up to 4096 characters',
    meaning:
      'Its secret. This or TOKEN_CLIENT_SECRET_FILE is required with PARTICIPANT_SERVICE_URL.',
    secret: true,
  }),
  TOKEN_CLIENT_SECRET_FILE: optional(z.string(), {
    takes: 'the path of a file that can be read',
    meaning: 'A file that holds the secret; it is read anew when the credentials are refused.',
  }),
  TOKEN_URL: optional(safeUrl, {
    takes: SAFE_URL,
    meaning: "The token endpoint; empty with os1: the platform's, at the tenant's address.",
  }),
  TOKEN_ISSUER: optional(safeUrl, {
    takes: `${SAFE_URL}, with TOKEN_GRANT=oauth2`,
    meaning: 'The issuer whose metadata name the token endpoint, instead of TOKEN_URL.',
  }),
  TOKEN_CLIENT_AUTH: withDefault(
    'client_secret_basic',
    z.enum(['client_secret_basic', 'client_secret_post']),
    {
      takes: 'client_secret_basic or client_secret_post',
      meaning: 'How the secret is sent with oauth2.',
    },
  ),
  TOKEN_AUDIENCE: optional(z.string().max(1024), {
    takes: 'up to 1024 characters',
    meaning: 'Sent as the audience when set.',
  }),
  TOKEN_SCOPE: optional(z.string().max(1024), {
    takes: 'up to 1024 characters',
    meaning: 'Sent as the scope with oauth2, when set.',
  }),
  TOKEN_HEADER: optional(z.enum(['X-COREOS-ACCESS', 'Authorization']), {
    takes: 'X-COREOS-ACCESS or Authorization',
    meaning:
      'The header that carries the token; empty: X-COREOS-ACCESS with os1, Authorization with oauth2.',
  }),
  UPSTREAM_TIMEOUT_MS: withDefault('2000', integer(1, 600_000), {
    takes: TIME_LIMIT,
    meaning: 'Time limit of one call to the upstream, in milliseconds.',
  }),
  REQUEST_DEADLINE_MS: withDefault('5000', integer(1, 600_000), {
    takes: TIME_LIMIT,
    meaning: 'Time limit of everything that one GraphQL request waits for, in milliseconds.',
  }),
  UPSTREAM_MAX_CONNECTIONS: withDefault('64', integer(1, 10_000), {
    takes: 'a whole number from 1 to 10000',
    meaning: 'Connections to the upstream, and so the bound on concurrent calls.',
  }),
  UPSTREAM_MAX_BODY_BYTES: withDefault('1048576', integer(1024, 268_435_456), {
    takes: 'bytes, 1024 to 268435456',
    meaning: 'The longest answer that is read from the upstream, in bytes.',
  }),
  STATUS_TTL_MS: withDefault('1000', integer(0, 86_400_000), {
    takes: COPY_LIFETIME,
    meaning:
      "How long a copy of an unfinished batch's status is served, in milliseconds; 0: never.",
  }),
  STATUS_FINISHED_TTL_MS: withDefault('30000', integer(0, 86_400_000), {
    takes: COPY_LIFETIME,
    meaning: 'The same for a finished batch.',
  }),
  STATUS_STALE_MS: withDefault('60000', integer(0, 86_400_000), {
    takes: COPY_LIFETIME,
    meaning:
      'How old a copy may be that is served, as `stale`, when the upstream fails, in milliseconds; 0: none is.',
  }),
  FINISHED_STATUSES: withDefault(
    'SUCCESS,PARTIAL_SUCCESS,FAILED,COMPLETED,CANCELLED',
    listOf(matching(/^\P{Cc}+$/u)),
    {
      takes: 'statuses, separated by commas',
      meaning: 'The statuses in which a batch is finished; compared without case.',
    },
  ),
  ERROR_DETAIL: optional(z.enum(['public', 'full']), {
    takes: 'public or full',
    meaning:
      "`full` shows the upstream's echo of the request in errors; empty: full on the sandbox, else public.",
  }),
  FEDERATION: withDefault('on', onOff, {
    takes: 'on or off',
    meaning:
      'Whether the schema is a subgraph; off leaves `_entities` and `_service`, which routers ask for, out of it.',
  }),
  FEDERATION_SECRET: optional(z.string().regex(/^[\x21-\x7e]{16,1024}$/), {
    takes: '16 to 1024 characters of ASCII without spaces',
    meaning:
      'Sent by the router as `router-authorization`; then nobody else may ask for `_service` and `_entities`.',
    secret: true,
  }),
  FEDERATION_SCOPE: optional(scope, {
    takes: 'one scope, with AUTH_MODE=jwt',
    meaning: 'A scope in place of FEDERATION_SECRET, or beside it: one of them is enough.',
  }),
  AUTH_MODE: optional(z.enum(['jwt', 'none']), {
    takes: 'jwt, or none where something in front of the gateway checks who calls',
    meaning:
      'Whether callers need an access token; empty: none where HOST is loopback, else the gateway does not start.',
  }),
  AUTH_ISSUER: optional(
    z.string().refine((value) => safeUrl.safeParse(value).success),
    {
      takes: SAFE_URL,
      meaning:
        "The issuer of callers' tokens (`iss`), exactly as it writes itself. Required with AUTH_MODE=jwt, except on the sandbox.",
    },
  ),
  AUTH_AUDIENCE: optional(listOf(matching(/^\P{Cc}{1,256}$/u)), {
    takes: 'audiences, separated by commas',
    meaning: "The gateway's name in tokens (`aud`): one of these. Required with AUTH_ISSUER.",
  }),
  AUTH_JWKS_URL: optional(safeUrl, {
    takes: `${SAFE_URL}, with AUTH_ISSUER`,
    meaning: "The issuer's keys; empty: where its metadata say.",
  }),
  AUTH_ALGORITHMS: withDefault('RS256,PS256,ES256,EdDSA', listOf(matching(ALGORITHM)), {
    takes: 'RS, PS or ES with 256, 384 or 512, and EdDSA, separated by commas',
    meaning: 'The algorithms that tokens may be signed with.',
  }),
  AUTH_TOKEN_TYPES: withDefault('at+jwt', listOf(matching(/^[\w.+/-]{1,64}$/)), {
    takes: 'media types without "application/", separated by commas',
    meaning:
      'The `typ` of tokens; add `JWT` for issuers that do not follow RFC 9068 (it also stands for none).',
  }),
  AUTH_LEEWAY_SECONDS: withDefault('5', integer(0, 300), {
    takes: 'seconds, 0 to 300',
    meaning: "How far the issuer's clock may be off, in seconds.",
  }),
  AUTH_REQUIRED_SCOPES: optional(
    listOf((text) => scope.safeParse(text).success),
    {
      takes: 'scopes, separated by commas, with AUTH_MODE=jwt',
      meaning: 'The scopes that a token must have, all of them.',
    },
  ),
  AUTH_PARTICIPANT_TYPES_CLAIM: optional(z.string().regex(/^[\x21-\x7e]{1,256}$/), {
    takes: 'the name of a claim, or a path with dots, with AUTH_MODE=jwt',
    meaning: 'The claim that lists the participant types that the caller may see; empty: all.',
  }),
  FORWARD_USER_INFO: withDefault('off', onOff, {
    takes: 'on or off, on with AUTH_MODE=jwt',
    meaning:
      "Whether the upstream is told the token's `sub` and `name` (`X-COREOS-USERINFO`); answers are then shared within one user only.",
  }),
  CORS_ORIGINS: optional(listOf(isOrigin), {
    takes: 'origins, such as https://app.example.com, separated by commas',
    meaning: 'The origins whose pages may call the gateway from a browser; empty: none.',
  }),
  GET_QUERIES: withDefault('on', onOff, {
    takes: 'on or off',
    meaning: 'Whether queries may come by GET, with the header `graphql-require-preflight: 1`.',
  }),
  REQUEST_MAX_BYTES: withDefault('65536', integer(1024, 1_048_576), {
    takes: 'bytes, 1024 to 1048576',
    meaning: 'The longest request body that is read, in bytes.',
  }),
  QUERY_MAX_TOKENS: withDefault('1000', integer(1, 10_000), {
    takes: 'a whole number from 1 to 10000',
    meaning: 'The most lexical tokens (names, punctuators, values) in a document.',
  }),
  QUERY_MAX_DEPTH: withDefault('20', integer(1, 100), {
    takes: 'a whole number from 1 to 100',
    meaning: 'The most selection sets within each other; introspection by GraphiQL takes 18.',
  }),
  QUERY_MAX_ALIASES: withDefault('30', integer(0, 1_000), {
    takes: 'a whole number from 0 to 1000',
    meaning: 'The most aliases in a document.',
  }),
  QUERY_MAX_DIRECTIVES: withDefault('30', integer(0, 1_000), {
    takes: 'a whole number from 0 to 1000',
    meaning: 'The most directives in a document.',
  }),
  QUERY_MAX_COST: withDefault('500', integer(1, 100_000), {
    takes: 'a whole number from 1 to 100000',
    meaning:
      'The most points of a document: 1 for a field, 10 for `data`, `dataAt`, `failures` and `successes`.',
  }),
  QUERY_MAX_BATCHES: withDefault('20', integer(1, 1_000), {
    takes: 'a whole number from 1 to 1000',
    meaning:
      'The most different batches that one request may ask for; of references in `_entities`, equal ones counted, five times as many.',
  }),
  TRUSTED_DOCUMENTS: optional(z.string(), {
    takes: 'the path of a file that can be read',
    meaning:
      "A JSON file of hash to document, or Apollo's manifest: then nothing else runs, and requests carry the hash alone.",
  }),
  PERSISTED_QUERIES: withDefault('off', onOff, {
    takes: 'on or off, off with TRUSTED_DOCUMENTS',
    meaning:
      "Apollo's automatic persisted queries: clients may send a document's hash once its text is known.",
  }),
  TRUSTED_PROXIES: optional(listOf(isAddressOrRange), {
    takes: 'IP addresses and ranges, such as 10.0.0.0/8, separated by commas',
    meaning:
      'The proxies in front of the gateway, whose `X-Forwarded-For` is believed; empty: none.',
  }),
  RATE_LIMIT_PER_SECOND: optional(integer(0, 1_000_000), {
    takes: 'a whole number from 0 to 1000000',
    meaning:
      'Requests of one caller in a second: of a subject, else of an address; 0: any; empty: 100 with AUTH_MODE=jwt, else any.',
  }),
  RATE_LIMIT_BURST: withDefault('100', integer(0, 1_000_000), {
    takes: 'a whole number from 0 to 1000000',
    meaning: 'Requests beyond that, in 10 seconds.',
  }),
  MAX_CONCURRENT_REQUESTS: withDefault('256', integer(1, 100_000), {
    takes: 'a whole number from 1 to 100000',
    meaning:
      'Requests that are worked on at a time; those beyond are refused at once. Four for each upstream connection: who waits behind more would wait too long.',
  }),
  MAX_SOCKETS: withDefault('10000', integer(1, 1_000_000), {
    takes: 'a whole number from 1 to 1000000',
    meaning: 'Connections of clients at a time; those beyond are closed.',
  }),
  REQUEST_TIMEOUT_MS: withDefault('8000', integer(100, 600_000), {
    takes: 'milliseconds, 100 to 600000',
    meaning: 'How long a client may take to send a request, in milliseconds.',
  }),
  KEEP_ALIVE_MS: withDefault('5000', integer(1, 600_000), {
    takes: TIME_LIMIT,
    meaning:
      'How long a connection is kept for the next request, in milliseconds; longer than the idle time-out of a balancer in front.',
  }),
  GRAPHIQL: optional(onOff, {
    takes: 'on or off, not on with TRUSTED_DOCUMENTS',
    meaning:
      'GraphiQL at /graphql; empty: on, unless NODE_ENV is production or TRUSTED_DOCUMENTS is set.',
  }),
  INTROSPECTION: optional(onOff, {
    takes: 'on or off',
    meaning:
      'Whether introspection is answered (`_service`: see FEDERATION); empty: on, unless NODE_ENV is production.',
  }),
  LOG_LEVEL: withDefault(
    'info',
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    {
      takes: 'trace, debug, info, warn, error, fatal or silent',
      meaning: 'The least important entries that are logged.',
    },
  ),
  LOG_FORMAT: optional(z.enum(['pretty', 'json']), {
    takes: 'pretty or json',
    meaning: 'How log entries are written; empty: pretty on a terminal, else json.',
  }),
  SHUTDOWN_DELAY_MS: withDefault('1000', integer(0, 8_000), {
    takes: 'milliseconds, 0 to 8000',
    meaning: 'How long requests are still taken after SIGTERM, so that a balancer can notice.',
  }),
});

type Name = keyof typeof environmentSchema.shape;
type Values = z.output<typeof environmentSchema>;

function isName(text: unknown): text is Name {
  return typeof text === 'string' && Object.hasOwn(environmentSchema.shape, text);
}

const NAMES = Object.keys(environmentSchema.shape).filter(isName);

function infoOf(name: Name): VariableInfo {
  const info = infos.get(environmentSchema.shape[name]);
  if (info === undefined) throw new Error(`${name} is not described`);
  return info;
}

/** Every environment variable that the gateway reads, for the documents and their test. */
export const VARIABLES: readonly (VariableInfo & { name: string })[] = NAMES.map((name) => ({
  name,
  ...infoOf(name),
}));

/** Faulty settings, all of them in one message. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings. A variable that is empty counts as not set; `canRead` tells whether a file can
 * be read. Throws a {@link SettingsError} that names every faulty variable, what it got (never a
 * secret), and what it takes.
 */
export function parseSettings(
  environment: Environment,
  canRead: (path: string) => boolean,
): Settings {
  const given = Object.fromEntries(
    NAMES.map((name) => [name, environment[name]]).filter(
      ([, text]) => text !== undefined && text !== '',
    ),
  );
  const parsed = environmentSchema.safeParse(given);
  const faults = new Map<Name, string>();
  for (const { path } of parsed.error?.issues ?? []) {
    const name = path[0];
    if (isName(name)) faults.set(name, describeValue(name, given[name]));
  }
  for (const [name, problem] of faultyCombinations(given, canRead)) {
    if (!faults.has(name)) faults.set(name, problem);
  }
  if (parsed.success && faults.size === 0) {
    return toSettings(parsed.data, environment['NODE_ENV'] === 'production');
  }
  const lines = NAMES.filter((name) => faults.has(name)).map(
    (name) => `  ${name} ${faults.get(name)}; it takes ${infoOf(name).takes}`,
  );
  throw new SettingsError(`The settings are faulty:\n${lines.join('\n')}`);
}

function describeValue(name: Name, text: string | undefined = ''): string {
  if (infoOf(name).secret) return `is not valid (${text.length} characters, not shown)`;
  const shown = /_(URL|ISSUER)$/.test(name) ? withoutCredentials(text) : text;
  return `is ${JSON.stringify(shown.length > 60 ? `${shown.slice(0, 60)}…` : shown)}`;
}

/** A URL can carry a password or a token: of one that does, only its beginning is shown. */
function withoutCredentials(text: string): string {
  const [, scheme = ''] = /^([a-z][a-z0-9+.-]{0,20}:(?:\/\/)?)/i.exec(text) ?? [];
  return /[@?#]/.test(text) ? `${scheme}[not shown]` : text;
}

type Given = Readonly<Partial<Record<string, string>>>;

/** What is wrong not in one variable, but between them. */
function faultyCombinations(
  given: Given,
  canRead: (path: string) => boolean,
): [name: Name, problem: string][] {
  const faults: [Name, string][] = [];
  const file = given['TOKEN_CLIENT_SECRET_FILE'];
  if (given['TOKEN_CLIENT_SECRET'] !== undefined && file !== undefined) {
    faults.push([
      'TOKEN_CLIENT_SECRET',
      'is set together with TOKEN_CLIENT_SECRET_FILE: one of them',
    ]);
  }
  if (file !== undefined && !canRead(file)) {
    faults.push(['TOKEN_CLIENT_SECRET_FILE', `is ${JSON.stringify(file)}, which cannot be read`]);
  }
  const issuer = given['TOKEN_ISSUER'] !== undefined;
  const oauth2 = given['TOKEN_GRANT'] === 'oauth2';
  if (issuer && !oauth2) faults.push(['TOKEN_ISSUER', 'is set without TOKEN_GRANT=oauth2']);
  if (issuer && given['TOKEN_URL'] !== undefined) {
    faults.push(['TOKEN_URL', 'is set together with TOKEN_ISSUER: one of them']);
  }

  const documents = given['TRUSTED_DOCUMENTS'];
  if (documents !== undefined) {
    if (!canRead(documents)) {
      faults.push(['TRUSTED_DOCUMENTS', `is ${JSON.stringify(documents)}, which cannot be read`]);
    }
    for (const name of ['PERSISTED_QUERIES', 'GRAPHIQL'] as const) {
      if (given[name] === 'on') faults.push([name, 'is on together with TRUSTED_DOCUMENTS']);
    }
  }
  faults.push(...faultyAuth(given));

  const required: Name[] = ['PARTICIPANT_SERVICE_TENANT_ID', 'TOKEN_CLIENT_ID'];
  if (file === undefined) required.push('TOKEN_CLIENT_SECRET');
  if (oauth2 && !issuer) required.push('TOKEN_URL');
  if (given['PARTICIPANT_SERVICE_URL'] !== undefined) {
    for (const name of required) {
      if (given[name] === undefined) faults.push([name, 'is missing']);
    }
    return faults;
  }
  // Somebody means a real tenant: do not serve them the sandbox's answers.
  const meant = NAMES.find(
    (name) =>
      given[name] !== undefined &&
      /^(PARTICIPANT_SERVICE_TENANT_ID|TOKEN_(CLIENT_ID|CLIENT_SECRET|CLIENT_SECRET_FILE|URL|ISSUER))$/.test(
        name,
      ),
  );
  if (meant !== undefined) {
    faults.push(['PARTICIPANT_SERVICE_URL', `is missing, although ${meant} is set`]);
  }
  return faults;
}

/** Settings of AUTH_MODE=jwt mean that somebody wants callers checked: without it nobody would. */
function faultyAuth(given: Given): [name: Name, problem: string][] {
  const faults: [Name, string][] = [];
  const mode = given['AUTH_MODE'];
  if (mode === undefined && !isLoopbackHost(given['HOST'] ?? '127.0.0.1')) {
    faults.push([
      'AUTH_MODE',
      "is missing, although others than this machine can connect to HOST: whoever does could read the tenant's batches",
    ]);
  }
  if (mode === 'jwt') {
    const issuer = given['AUTH_ISSUER'] !== undefined;
    if (!issuer && given['PARTICIPANT_SERVICE_URL'] !== undefined) {
      faults.push(['AUTH_ISSUER', 'is missing, although AUTH_MODE is jwt']);
    }
    if (issuer && given['AUTH_AUDIENCE'] === undefined) {
      faults.push(['AUTH_AUDIENCE', 'is missing, although AUTH_ISSUER is set']);
    }
    for (const name of ['AUTH_AUDIENCE', 'AUTH_JWKS_URL'] as const) {
      if (!issuer && given[name] !== undefined) {
        faults.push([name, 'is set without AUTH_ISSUER']);
      }
    }
    return faults;
  }
  for (const name of NEED_JWT) {
    const text = given[name];
    if (text !== undefined && text !== infoOf(name).fallback) {
      faults.push([name, 'is set without AUTH_MODE=jwt']);
    }
  }
  return faults;
}

const NEED_JWT = NAMES.filter(
  (name) =>
    (name.startsWith('AUTH_') && name !== 'AUTH_MODE') ||
    name === 'FEDERATION_SCOPE' ||
    name === 'FORWARD_USER_INFO',
);

function toSettings(values: Values, production: boolean): Settings {
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
    rateLimit: {
      perSecond: values.RATE_LIMIT_PER_SECOND ?? (values.AUTH_MODE === 'jwt' ? 100 : 0),
      burst: values.RATE_LIMIT_BURST,
    },
    maxConcurrentRequests: values.MAX_CONCURRENT_REQUESTS,
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

function toAuthSettings(values: Values): AuthSettings {
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

function toTokenSettings(values: Values): TokenSettings {
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
