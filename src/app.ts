import { readFile } from 'node:fs/promises';
import type { GraphQLSchema } from 'graphql';
import type { AccessTokenVerifier } from './auth/access-token.ts';
import { createAuthenticate } from './auth/authenticate.ts';
import type { KeySet } from './auth/jwks.ts';
import { SettingsError } from './config/load.ts';
import type { Settings } from './config/settings.ts';
import type { Handler } from './core/answer.ts';
import type { Telemetry } from './core/telemetry.ts';
import { createDocuments } from './graphql/documents.ts';
import { EXAMPLE_OPERATIONS } from './graphql/example-operations.ts';
import { createHandler, refuse } from './graphql/handler.ts';
import {
  createAutomaticPersistedQueries,
  createPlainDocuments,
  createTrustedDocuments,
  type PersistedDocuments,
} from './graphql/persisted-documents.ts';
import { createResponseCache } from './graphql/response-cache.ts';
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
import { createIntake } from './server/guards/intake.ts';
import { createRateLimit } from './server/guards/rate-limit.ts';
import type { ReadinessCheck, ReadinessChecks } from './server/health.ts';
import { createPipeline } from './server/pipeline.ts';
import { createRoutes } from './server/routes.ts';
import { createSendRoom } from './server/send-room.ts';
import { createHttpServer, type Server } from './server/server.ts';
import { createGraphiQL } from './server/static.ts';
import {
  createIssuerClient,
  createTenantServices,
  keySourceOf,
  openService,
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

interface GatewayDependencies {
  settings: Settings;
  clock: Clock;
  telemetry: Telemetry;
  /** What else `/readyz` looks at. */
  readiness?: ReadinessChecks;
}

/** The whole gateway, not yet listening. */
export interface Gateway {
  /** Resolves to the origin that it listens on. Rejects when the address cannot be had. */
  listen(): Promise<URL>;
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
export async function createGateway({
  settings,
  clock,
  telemetry,
  readiness = {},
}: GatewayDependencies): Promise<Gateway> {
  const configured = await openService(settings, clock);
  const { service } = configured;
  const { tenantId } = service;
  const turns = new Turns();
  const issuerClient = createIssuerClient(settings, clock);
  const tenant = createTenantServices(service, settings, { clock, telemetry, turns });
  const callers = await createCallers(settings, tenantId, configured.sandbox, {
    clock,
    telemetry,
    send: issuerClient.send,
  });
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
    handler: await createGraphQLHandler(settings, tenant, { clock, telemetry, turns }),
    refuse,
    telemetry,
    clock,
    deadlines: new Deadlines(clock),
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
    loopbackOnly: settings.auth.mode === 'unchecked-loopback',
    clientIp,
    telemetry,
  });
  const server: Server = createHttpServer({
    routes,
    sockets: settings.sockets,
    slowReaders: {
      timeoutMs: settings.responseTimeoutMs,
      turns,
      othersWait: () => intake.isFull || sendRoom.isFull,
    },
    clientIp,
    clock,
    telemetry,
  });

  return {
    async listen() {
      const origin = await server.listen(settings.host, settings.port);
      // A turn later, when it is told that it listens: what is loaded for these takes as long as Node to start.
      setImmediate(() => {
        tenant.tokens.prime();
        callers?.keys.prime();
      });
      return origin;
    },
    async close(noticeMs = settings.shutdownDelayMs) {
      await server.drain(noticeMs, SHUTDOWN_LIMIT_MS);
      await Promise.all([tenant.close(), issuerClient.close(), configured.close()]);
    },
    sandboxToken: callers?.sandboxToken,
  };
}

/** Rejects with a {@link SettingsError}. */
async function createGraphQLHandler(
  settings: Settings,
  { statuses }: TenantServices,
  { clock, telemetry, turns }: { clock: Clock; telemetry: Telemetry; turns: Turns },
): Promise<Handler> {
  const { limits, introspection } = settings;
  const createOwnSchema = () =>
    settings.federation ? createSubgraphSchema(limits.maxReferences) : createSchema();
  const schema = createOwnSchema();
  return createHandler({
    documents: createDocuments({
      schema,
      createCountingSchema: () => toCountingSchema(createOwnSchema()),
      limits,
      introspection,
    }),
    persistedDocuments: await createPersistedDocuments(settings, schema),
    responseCache: createResponseCache(clock),
    statuses,
    heldMemory: new HeldMemory(MAX_HELD_BYTES),
    participantTypes: settings.participantTypes,
    maxBatches: limits.maxBatches,
    maxResponseBytes: settings.responseMaxBytes,
    turns,
    forwardUserInfo: settings.auth.forwardUserInfo,
    errorDetail: settings.errorDetail,
    telemetry,
  });
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
      throw new SettingsError(`TRUSTED_DOCUMENTS is faulty. ${error.message}`);
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
