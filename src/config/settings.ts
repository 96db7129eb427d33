import type { Environment } from './variables.ts';

/** What the gateway, or one of its tenants, runs with: see `load.ts` and `tenant-settings.ts`. */
export interface Settings {
  host: string;
  port: number;
  /** Undefined: the environment is the one tenant. */
  tenants: TenantsSettings | undefined;
  /** The Hosts that mean this tenant, in lower case; one without a port means any port. Only with many tenants. */
  tenantHosts: readonly string[];
  /** Undefined: the embedded sandbox stands for it; with many tenants, each has its own. */
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
  network: NetworkSettings;
  auth: AuthSettings;
  federationAccess: FederationAccess;
  corsOrigins: ReadonlySet<string>;
  getQueries: boolean;
  requestMaxBytes: number;
  responseMaxBytes: number;
  limits: LimitSettings;
  /** A path; undefined: any document runs. */
  trustedDocuments: string | undefined;
  persistedQueries: boolean;
  trustedProxies: readonly string[];
  /** The header in which those proxies write from whom a request came. */
  clientAddressHeader: 'x-forwarded-for' | 'forwarded';
  /** `perSecond` 0: no limit. */
  rateLimit: { perSecond: number; burst: number };
  intake: { maxRequests: number; maxBytes: number };
  responseTimeoutMs: number;
  /** How batches are followed, for subscriptions. */
  follow: { minMs: number; maxMs: number; maxPollers: number };
  streams: { maxStreams: number; maxStreamsPerCaller: number; heartbeatMs: number; maxMs: number };
  sockets: { requestTimeoutMs: number; keepAliveMs: number; maxSockets: number };
  /** Undefined: the process is on its own. */
  redis: RedisSettings | undefined;
  graphiql: boolean;
  federation: boolean;
  introspection: boolean;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Undefined: pretty on a terminal, else json. */
  logFormat: 'pretty' | 'json' | undefined;
  /** Undefined: there are none. */
  metrics: MetricsSettings | undefined;
  /** Undefined: there are none. */
  traces: TracesSettings | undefined;
  audit: 'off' | 'on' | 'required';
  /** Who may have answers explained; undefined: nobody. */
  explain: ExplainSettings | undefined;
  shutdownDelayMs: number;
  /** Names of variables that look like settings, but are none. */
  unknownVariables: readonly string[];
}

/** Where the tenants are, and how a request says which of them it means, beside its Host. */
export interface TenantsSettings {
  directory: string;
  /** A claim of the caller's token, by name or by a path with dots. */
  claim: string | undefined;
  /** In lower case; believed from `trustedProxies` alone. */
  header: string | undefined;
  /** Tenants that are served at a time. */
  maxActive: number;
  /** The variables that count where a tenant's file does not set them. They may hold secrets. */
  environment: Environment;
}

/** How connections to the service, the token endpoint and the issuer are opened. */
interface NetworkSettings {
  /** With its credentials, if it has some; undefined: there is none. */
  proxy: URL | undefined;
  /** What is reached without it, as NO_PROXY has it. */
  noProxy: readonly string[];
  /** Undefined: none is shown. */
  clientCertificate: ClientCertificate | undefined;
}

/** A certificate and its key, both in PEM. */
export interface ClientCertificate {
  cert: string;
  key: string;
  /** The distinguished name that it is for. */
  subject: string;
  validUntil: Date;
}

/** Whose requests are accepted. */
export interface AuthSettings {
  /** `unchecked-loopback`: nobody said anything, and only this machine can connect. */
  mode: 'jwt' | 'none' | 'unchecked-loopback';
  /** Undefined with jwt: the sandbox. */
  issuer: string | undefined;
  audiences: readonly string[];
  /** The claim that names them. */
  audienceClaim: string;
  /** Undefined: from the issuer's metadata. */
  jwksUrl: URL | undefined;
  algorithms: readonly string[];
  tokenTypes: readonly string[];
  leewayMs: number;
  /** Undefined: `scope`, or `scp`. */
  scopeClaim: string | undefined;
  requiredScopes: readonly string[];
  participantTypesClaim: string | undefined;
  forwardUserInfo: boolean;
}

/** What replicas share, and how many there are. */
interface RedisSettings {
  /** With its credentials, if it has some. */
  url: URL;
  keyPrefix: string;
  replicas: number;
}

/** What makes a request a router's, which may ask for `_service` and `_entities`; with neither, every one is. */
interface FederationAccess {
  secret: string | undefined;
  scope: string | undefined;
  /** Whether nobody else may ask for anything. */
  isRequired: boolean;
}

/** Where metrics are shown. */
interface MetricsSettings {
  host: string;
  /** Undefined: where the gateway itself listens. */
  port: number | undefined;
}

/** Where traces go, and which. */
export interface TracesSettings {
  endpoint: URL;
  headers: Readonly<Record<string, string>>;
  serviceName: string;
  resourceAttributes: Readonly<Record<string, string>>;
  sampler:
    | 'always_on'
    | 'always_off'
    | 'traceidratio'
    | 'parentbased_always_on'
    | 'parentbased_traceidratio';
  /** 0 to 1. */
  ratio: number;
  /** Whether calls to the Participant Service carry `traceparent`. */
  propagates: boolean;
}

interface ExplainSettings {
  /** Whose token has it; undefined: everybody. */
  scope: string | undefined;
}

/** How much one GraphQL request may ask for. */
interface LimitSettings {
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
