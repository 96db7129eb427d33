import { readFile } from 'node:fs/promises';
import type { GraphQLSchema } from 'graphql';
import type { AccessTokenVerifier } from './auth/access-token.ts';
import { createAuthenticate } from './auth/authenticate.ts';
import type { KeySet } from './auth/jwks.ts';
import { SettingsError } from './config/load.ts';
import type { Settings } from './config/settings.ts';
import type { Handler } from './core/answer.ts';
import type { Telemetry } from './core/telemetry.ts';
import { createDocuments, type Documents } from './graphql/documents.ts';
import { EXAMPLE_OPERATIONS } from './graphql/example-operations.ts';
import { createHandler, refuse } from './graphql/handler.ts';
import { createLiveOperations } from './graphql/live-operations.ts';
import {
  createAutomaticPersistedQueries,
  createPlainDocuments,
  createTrustedDocuments,
  type PersistedDocuments,
} from './graphql/persisted-documents.ts';
import { createResponseCache, type ResponseCache } from './graphql/response-cache.ts';
import { toCountingSchema } from './graphql/response-size.ts';
import { createSchema, createSubgraphSchema } from './graphql/schema/index.ts';
import { decodeTrustedDocuments, TrustedDocumentsError } from './graphql/trusted-documents-file.ts';
import type { Send } from './http-client/client.ts';
import type { Clock } from './lib/clock.ts';
import { Deadlines } from './lib/deadlines.ts';
import { HeldMemory } from './lib/held-memory.ts';
import { Turns } from './lib/turns.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import { createClientIp } from './server/client-ip.ts';
import { AllowedOrigins } from './server/guards/allowed-origins.ts';
import { createCors } from './server/guards/cors.ts';
import { createCsrfGuard } from './server/guards/csrf.ts';
import { createIntake, type Intake } from './server/guards/intake.ts';
import { createRateLimit } from './server/guards/rate-limit.ts';
import type { ReadinessCheck, ReadinessChecks } from './server/health.ts';
import { METRICS_PATH } from './server/metrics.ts';
import { createPipeline } from './server/pipeline.ts';
import { createMetricsRoutes, createRoutes } from './server/routes.ts';
import { createSendRoom, type SendRoom } from './server/send-room.ts';
import { createHttpServer, type Server, type ServerOptions } from './server/server.ts';
import { createGraphiQL } from './server/static.ts';
import { createStreams, type Streams } from './server/streams.ts';
import type { GatewayState } from './telemetry/gateway-metrics.ts';
import type { Metrics } from './telemetry/metrics.ts';
import type { MeasuredProcess } from './telemetry/process-metrics.ts';
import {
  createIssuerClient,
  createTenantServices,
  keySourceOf,
  openService,
  type TenantParts,
  type TenantServices,
} from './tenants.ts';

/** The path of the GraphQL endpoint. */
export const GRAPHQL_PATH = '/graphql';

/** Bytes of answers that wait for their clients: four answers of the greatest length, and at least so many. */
const MIN_UNSENT_BYTES = 32 * 1024 * 1024;

/** What the statuses may take together that requests under way hold. Those of the cache are bounded there. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Everything under way is ended by then. */
const SHUTDOWN_LIMIT_MS = 9_000;

/** Metrics are shown to the end, and not waited for. */
const METRICS_SHUTDOWN_LIMIT_MS = 200;

interface GatewayDependencies {
  settings: Settings;
  clock: Clock;
  telemetry: Telemetry;
  /** For metrics; undefined: nothing is told of the process. */
  process?: MeasuredProcess;
  /** What else `/readyz` looks at. */
  readiness?: ReadinessChecks;
}

/** An address that cannot be had. The message is for the operator. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** The whole gateway, not yet listening. */
export interface Gateway {
  /** Resolves to the origin that it listens on. Rejects with a {@link ListenError}. */
  listen(): Promise<URL>;
  /** Where metrics are shown, from when it listens; undefined: nowhere. */
  metricsUrl(): URL | undefined;
  /**
   * Ends without dropping a request, within 10 s: see `Server.drain`. `noticeMs` is for how long
   * requests are still accepted, by default SHUTDOWN_DELAY_MS.
   */
  close(noticeMs?: number): Promise<void>;
  /** An access token to try with, where the sandbox issues callers' tokens. */
  sandboxToken: string | undefined;
}

/**
 * The composition root: builds the parts and hands each what it needs. Starts the sandbox when no Participant
 * Service is set. Rejects with a {@link SettingsError} when the file of trusted documents cannot be used.
 */
export async function createGateway(dependencies: GatewayDependencies): Promise<Gateway> {
  const { settings, clock, readiness = {} } = dependencies;
  const metrics = await loadMetrics(dependencies);
  const telemetry = metrics?.telemetry ?? dependencies.telemetry;
  const configured = await openService(settings, clock);
  const { service } = configured;
  const { tenantId } = service;
  const turns = new Turns();
  const issuerClient = createIssuerClient(settings, clock);
  const deadlines = new Deadlines(clock);
  const heldMemory = new HeldMemory(MAX_HELD_BYTES);
  const parts = { clock, telemetry, turns, deadlines, heldMemory };
  const tenant = createTenantServices(service, settings, parts);
  const callers = await createCallers(settings, tenantId, configured.sandbox, {
    clock,
    telemetry,
    send: issuerClient.send,
  });
  const loopbackOnly = settings.auth.mode === 'unchecked-loopback';
  const methods = settings.getQueries ? ['GET', 'HEAD', 'POST'] : ['POST'];
  const origins = new AllowedOrigins(settings.corsOrigins);
  const intake = createIntake(settings.intake);
  const sendRoom = createSendRoom({
    maxBytes: Math.max(MIN_UNSENT_BYTES, 4 * settings.responseMaxBytes),
    maxWaiting: settings.intake.maxRequests,
    turns,
  });
  const clientIp = createClientIp({
    trustedProxies: settings.trustedProxies,
    header: settings.clientAddressHeader,
  });
  const graphql = await createGraphQL(settings, tenant, parts);
  const streams = createStreams({
    ...settings.streams,
    clock,
    telemetry,
    random: Math.random,
    timeoutMs: settings.responseTimeoutMs,
  });
  const pipeline = createPipeline({
    cors: createCors({ origins, methods }),
    csrf: createCsrfGuard({ origins, methods }),
    authenticate: createAuthenticate({
      tenantId,
      tokens: callers?.verifier,
      requiredScopes: settings.auth.requiredScopes,
      router: settings.federationAccess,
      forwardUserInfo: settings.auth.forwardUserInfo,
    }),
    clientIp,
    rateLimit:
      settings.rateLimit.perSecond === 0
        ? undefined
        : await createRateLimit({ ...settings.rateLimit, tenantId, clock, random: Math.random }),
    intake,
    sendRoom,
    streams,
    handler: graphql.handler,
    refuse,
    telemetry,
    clock,
    deadlines,
    turns,
    deadlineMs: settings.requestDeadlineMs,
    maxBodyBytes: settings.requestMaxBytes,
    routerWeight: settings.limits.maxBatches,
  });
  const routes = createRoutes({
    endpoint: GRAPHQL_PATH,
    pipeline,
    graphiql: settings.graphiql
      ? createGraphiQL({
          endpoint: GRAPHQL_PATH,
          title: 'participant-gateway',
          operations: EXAMPLE_OPERATIONS,
        })
      : undefined,
    readiness: {
      ...readiness,
      token: tokenReadiness(tenant),
      upstream: upstreamReadiness(tenant),
      ...(callers && { keys: keysReadiness(callers.keys) }),
      server: { missing: () => server.unready() },
    },
    metrics: settings.metrics?.port === undefined ? metrics : undefined,
    loopbackOnly,
    clientIp,
    telemetry,
  });
  const serverOptions: Omit<ServerOptions, 'routes'> = {
    sockets: settings.sockets,
    slowReaders: {
      timeoutMs: settings.responseTimeoutMs,
      turns,
      isStream: streams.has,
      othersWait: () => intake.isFull || sendRoom.isFull,
    },
    clientIp,
    clock,
    telemetry,
  };
  const server: Server = createHttpServer({ ...serverOptions, routes });
  const ownPort = settings.metrics?.port === undefined ? undefined : settings.metrics;
  const metricsServer =
    metrics &&
    ownPort &&
    createHttpServer({
      ...serverOptions,
      routes: createMetricsRoutes({ metrics, loopbackOnly, clientIp, telemetry }),
    });
  metrics?.measure(stateOf({ settings, tenant, graphql, intake, sendRoom, streams, server }));
  let metricsUrl: URL | undefined;

  return {
    async listen() {
      const metricsOrigin =
        metricsServer && ownPort && (await listenOn(metricsServer, 'METRICS_', ownPort));
      const origin = await listenOn(server, '', settings);
      metricsUrl = metrics && new URL(METRICS_PATH, metricsOrigin ?? origin);
      // A turn later, when it is told that it listens: what is loaded for these takes as long as Node to start.
      setImmediate(() => {
        tenant.tokens.prime();
        callers?.keys.prime();
      });
      return origin;
    },
    metricsUrl: () => metricsUrl,
    async close(noticeMs = settings.shutdownDelayMs) {
      streams.close();
      await server.drain(noticeMs, SHUTDOWN_LIMIT_MS);
      metrics?.close();
      await Promise.all([
        metricsServer?.drain(0, METRICS_SHUTDOWN_LIMIT_MS),
        tenant.close(),
        issuerClient.close(),
        configured.close(),
      ]);
    },
    sandboxToken: callers?.sandboxToken,
  };
}

async function listenOn(
  server: Server,
  prefix: '' | 'METRICS_',
  { host, port = 0 }: { host: string; port: number | undefined },
): Promise<URL> {
  try {
    return await server.listen(host, port);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new ListenError(
      `Cannot listen on ${prefix}HOST ${host}, ${prefix}PORT ${port} (${code}): take another.`,
      { cause },
    );
  }
}

/** Undefined where there are none, and nothing of that is loaded then. */
async function loadMetrics({
  settings,
  telemetry,
  process,
}: GatewayDependencies): Promise<Metrics | undefined> {
  if (settings.metrics === undefined) return undefined;
  const { createMetrics } = await import('./telemetry/metrics.ts');
  return createMetrics({
    participantTypes: settings.participantTypes,
    hasTrustedDocuments: settings.trustedDocuments !== undefined,
    telemetry,
    process,
  });
}

interface MeasuredParts {
  settings: Settings;
  tenant: TenantServices;
  graphql: GraphQL;
  intake: Intake;
  sendRoom: SendRoom;
  streams: Streams;
  server: Server;
}

/** What the parts know of themselves, for metrics. */
function stateOf({
  settings: { intake: ofIntake, upstreamMaxConnections, sockets },
  tenant: { statuses, followService, callSlots, client, participantService, tokens },
  graphql: { documents, responseCache, heldMemory },
  intake,
  sendRoom,
  streams,
  server,
}: MeasuredParts): GatewayState {
  return {
    requests: () => intake.requests,
    connections: () => server.connections(),
    saturation: async () => ({
      intake_requests: intake.requests / ofIntake.maxRequests,
      intake_bytes: intake.bytes / ofIntake.maxBytes,
      connections: (await server.connections()) / sockets.maxSockets,
      upstream_calls: callSlots.used / upstreamMaxConnections,
      held_statuses: heldMemory.share,
      unsent_answers: sendRoom.share,
    }),
    statuses: () => statuses.served,
    streams: streams.use,
    followed: followService.use,
    caches: () => ({
      statuses: statuses.cacheUse(),
      responses: responseCache.use(),
      documents: documents.cacheUse(),
    }),
    upstreamCalls: () => ({ active: callSlots.used, waiting: callSlots.waiting }),
    upstreamConnections: () => client.connections(),
    circuits: () => participantService.circuits(),
    tokenRemainingMs: () => tokens.remainingMs(),
  };
}

/** What answers GraphQL, and what of it is measured. */
interface GraphQL {
  handler: Handler;
  documents: Documents;
  responseCache: ResponseCache;
  heldMemory: HeldMemory;
}

/** Rejects with a {@link SettingsError}. */
async function createGraphQL(
  settings: Settings,
  { statuses, followService }: TenantServices,
  { clock, telemetry, turns, heldMemory }: TenantParts,
): Promise<GraphQL> {
  const { limits, introspection, participantTypes, responseMaxBytes, errorDetail } = settings;
  const createOwnSchema = () =>
    settings.federation ? createSubgraphSchema(limits.maxReferences) : createSchema();
  const schema = createOwnSchema();
  const documents = createDocuments({
    schema,
    createCountingSchema: () => toCountingSchema(createOwnSchema()),
    limits,
    introspection,
  });
  const responseCache = createResponseCache(clock);
  const handler = createHandler({
    documents,
    persistedDocuments: await createPersistedDocuments(settings, schema),
    responseCache,
    statuses,
    liveOperations:
      settings.streams.maxStreams === 0
        ? undefined
        : createLiveOperations({
            followService,
            heldMemory,
            participantTypes,
            maxBatches: limits.maxBatches,
            maxResponseBytes: responseMaxBytes,
            errorDetail,
            telemetry,
          }),
    heldMemory,
    participantTypes,
    maxBatches: limits.maxBatches,
    maxResponseBytes: responseMaxBytes,
    turns,
    forwardUserInfo: settings.auth.forwardUserInfo,
    errorDetail,
    telemetry,
  });
  return { handler, documents, responseCache, heldMemory };
}

/** Rejects with a {@link SettingsError}. */
async function createPersistedDocuments(
  { trustedDocuments, persistedQueries, limits }: Settings,
  schema: GraphQLSchema,
): Promise<PersistedDocuments> {
  if (trustedDocuments !== undefined) {
    const bytes = await readFile(trustedDocuments);
    try {
      return createTrustedDocuments(decodeTrustedDocuments(bytes, schema, limits));
    } catch (error) {
      if (!(error instanceof TrustedDocumentsError)) throw error;
      throw new SettingsError(`TRUSTED_DOCUMENTS ${trustedDocuments} is faulty. ${error.message}`);
    }
  }
  return persistedQueries ? createAutomaticPersistedQueries() : createPlainDocuments();
}

/**
 * Until the first token the credentials are unproven. Later, a token endpoint that is down is an error to tell
 * callers, not a reason to take every instance out of service.
 */
function tokenReadiness({ tokens }: TenantServices): ReadinessCheck {
  return {
    missing() {
      if (tokens.state() !== 'none yet') return undefined;
      tokens.prime();
      return 'no access token yet';
    },
  };
}

function upstreamReadiness({ participantService }: TenantServices): ReadinessCheck {
  return { degraded: () => participantService.problem() };
}

/** Without keys nobody could come in. */
function keysReadiness(keys: KeySet): ReadinessCheck {
  return {
    missing() {
      if (keys.usable()) return undefined;
      keys.prime();
      return "none of the keys of callers' tokens yet";
    },
  };
}

interface Callers {
  keys: KeySet;
  verifier: AccessTokenVerifier;
  sandboxToken: string | undefined;
}

/**
 * Undefined where nobody's identity is checked, and nothing of that is loaded then. The sandbox is the issuer,
 * unless one is set.
 */
async function createCallers(
  { auth }: Settings,
  tenantId: string,
  sandbox: Sandbox | undefined,
  { clock, telemetry, send }: { clock: Clock; telemetry: Telemetry; send: Send },
): Promise<Callers | undefined> {
  if (auth.mode !== 'jwt') return undefined;
  const [{ createAccessTokenVerifier }, { createKeySet }] = await Promise.all([
    import('./auth/access-token.ts'),
    import('./auth/jwks.ts'),
  ]);
  const issuer = auth.issuer ?? sandbox?.url.origin;
  if (issuer === undefined) throw new Error('there is no issuer of tokens');
  const keys = createKeySet({
    source: keySourceOf(auth) ?? { issuer },
    algorithms: auth.algorithms,
    send,
    clock,
    telemetry,
    random: Math.random,
  });
  const ofSandbox = auth.issuer === undefined ? sandbox?.issuer : undefined;
  const verifier = createAccessTokenVerifier({
    tenantId,
    keys,
    issuer,
    audiences: ofSandbox === undefined ? auth.audiences : [ofSandbox.audience],
    algorithms: auth.algorithms,
    tokenTypes: auth.tokenTypes,
    leewayMs: auth.leewayMs,
    participantTypesClaim: auth.participantTypesClaim,
    clock,
  });
  const claim = auth.participantTypesClaim;
  const sandboxToken = await ofSandbox?.issueToken({
    scope: auth.requiredScopes.join(' '),
    ...(claim === undefined ? {} : { [claim]: ofSandbox.participantTypes }),
  });
  return { keys, verifier, sandboxToken };
}
