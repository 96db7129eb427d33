import { readFile } from 'node:fs/promises';
import type { GraphQLSchema } from 'graphql';
import { createAccess } from './callers/access.ts';
import { type AccessTokenVerifier, createAccessTokenVerifier } from './callers/access-tokens.ts';
import { createKeySet, type KeySet } from './callers/key-set.ts';
import type { Clock } from './clock.ts';
import {
  createIssuerNetwork,
  createServiceEndpoint,
  createServiceGrant,
  createStatusNetwork,
  createTokenNetwork,
  keySourceOf,
  openService,
} from './composition.ts';
import { EXAMPLE_OPERATIONS } from './graphql/example-operations.ts';
import {
  createAutomaticPersistedQueries,
  createTrustedDocuments,
  type PersistedDocuments,
} from './graphql/persisted-documents.ts';
import { createSchema, createSubgraphSchema } from './graphql/schema.ts';
import { decodeTrustedDocuments } from './graphql/trusted-documents-file.ts';
import { createGraphQLServer } from './graphql/yoga.ts';
import { createAdmission } from './http/admission.ts';
import { createBrowserPolicy } from './http/browsers.ts';
import { createClientAddress } from './http/client-address.ts';
import { createFrontDoor } from './http/front-door.ts';
import { createGraphiQL } from './http/graphiql.ts';
import type { ReadinessChecks } from './http/probes.ts';
import { createRateLimit } from './http/rate-limit.ts';
import type { Log } from './log.ts';
import type { Exchange } from './network/exchange.ts';
import { createBatchStatusCache } from './participants/batch-status-cache.ts';
import { createCircuitBreaker } from './participants/circuit-breaker.ts';
import { createParticipantClient } from './participants/client.ts';
import { createRetryPolicy } from './participants/retry-policy.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import type { Settings } from './settings.ts';
import { createTokenCache } from './tokens/token-cache.ts';

/** The path of the GraphQL endpoint. */
export const GRAPHQL_PATH = '/graphql';

/** Everything under way is ended by then. */
const SHUTDOWN_LIMIT_MS = 9_000;

export interface GatewayDependencies {
  settings: Settings;
  clock: Clock;
  log: Log;
  /** What else `/readyz` looks at. */
  readiness?: ReadinessChecks;
}

/** The whole gateway, not yet listening. */
export interface Gateway {
  /** Resolves to the origin that it listens on. Rejects when the address cannot be had. */
  listen(): Promise<URL>;
  /**
   * Ends without dropping a request, within 10 s: see `FrontDoor.drain`. `noticeMs` is for how long
   * requests are still taken, by default SHUTDOWN_DELAY_MS.
   */
  close(noticeMs?: number): Promise<void>;
  /** An access token to try with, where the sandbox issues callers' tokens. */
  sandboxToken: string | undefined;
}

/**
 * Builds the rooms and hands each what it needs. Starts the sandbox when no Participant Service is set.
 * Rejects with a {@link TrustedDocumentsError} when that file cannot be used.
 */
export async function createGateway({
  settings,
  clock,
  log,
  readiness = {},
}: GatewayDependencies): Promise<Gateway> {
  const configured = await openService(settings, clock);
  const { service } = configured;
  const statusNetwork = createStatusNetwork(settings, clock);
  const tokenNetwork = createTokenNetwork(settings, clock);
  const issuerNetwork = createIssuerNetwork(settings, clock);

  const tokens = createTokenCache({
    clock,
    log,
    random: Math.random,
    grant: createServiceGrant(service, tokenNetwork.exchange, clock),
  });
  const breaker = createCircuitBreaker({ clock, log, random: Math.random });
  const client = createParticipantClient({
    endpoint: createServiceEndpoint(service, settings, statusNetwork, clock, () =>
      log.error('the upstream answered a request with the answer to another'),
    ),
    tokens,
    breaker,
    retries: createRetryPolicy({ clock, random: Math.random }),
    clock,
  });
  const cache = createBatchStatusCache({
    client,
    breaker,
    clock,
    tenantId: service.tenantId,
    ttlMs: settings.statusTtlMs,
    finishedTtlMs: settings.statusFinishedTtlMs,
    staleMs: settings.statusStaleMs,
  });
  const callers = await createCallers(settings, service.tenantId, configured.sandbox, {
    clock,
    log,
    exchange: issuerNetwork.exchange,
  });
  const schema = settings.federation
    ? createSubgraphSchema(settings.limits.maxReferences)
    : createSchema();
  const graphql = createGraphQLServer({
    endpoint: GRAPHQL_PATH,
    schema,
    cache,
    participantTypes: settings.participantTypes,
    introspection: settings.introspection,
    forwardUserInfo: settings.auth.forwardUserInfo,
    limits: settings.limits,
    persistedDocuments: await createPersistedDocuments(settings, schema),
    errorDetail: settings.errorDetail,
    log,
  });
  const frontDoor = createFrontDoor({
    endpoint: GRAPHQL_PATH,
    tenantId: service.tenantId,
    graphql,
    graphiql: settings.graphiql
      ? createGraphiQL({
          endpoint: GRAPHQL_PATH,
          title: 'participant-gateway',
          operations: EXAMPLE_OPERATIONS,
        })
      : undefined,
    readiness: {
      ...readiness,
      // Until the first token the credentials are unproven. Later, a token endpoint that is down is
      // an error to tell callers, not a reason to take every instance out of service.
      token: {
        missing() {
          if (tokens.state() !== 'none yet') return undefined;
          tokens.prime();
          return 'no access token yet';
        },
      },
      upstream: {
        degraded: () =>
          breaker.state() === 'closed'
            ? undefined
            : `the Participant Service fails; the circuit is ${breaker.state()}`,
      },
      // Without keys nobody could come in.
      ...(callers && {
        keys: {
          missing() {
            if (callers.keys.usable()) return undefined;
            callers.keys.prime();
            return "none of the keys of callers' tokens yet";
          },
        },
      }),
    },
    access: createAccess({
      tokens: callers?.verifier,
      requiredScopes: settings.auth.requiredScopes,
      router: settings.federationAccess,
      forwardUserInfo: settings.auth.forwardUserInfo,
    }),
    loopbackOnly: settings.auth.mode === 'unchecked-loopback',
    browsers: createBrowserPolicy({
      corsOrigins: settings.corsOrigins,
      getQueries: settings.getQueries,
    }),
    clientAddress: createClientAddress(settings.trustedProxies),
    rateLimit:
      settings.rateLimit.perSecond === 0
        ? undefined
        : createRateLimit({
            ...settings.rateLimit,
            tenantId: service.tenantId,
            clock,
            random: Math.random,
          }),
    admission: createAdmission(settings.maxConcurrentRequests),
    sockets: settings.sockets,
    clock,
    log,
    deadlineMs: settings.requestDeadlineMs,
    requestMaxBytes: settings.requestMaxBytes,
  });

  return {
    async listen() {
      const origin = await frontDoor.listen(settings.host, settings.port);
      tokens.prime();
      callers?.keys.prime();
      return origin;
    },
    async close(noticeMs = settings.shutdownDelayMs) {
      await frontDoor.drain(noticeMs, SHUTDOWN_LIMIT_MS);
      await Promise.all([
        statusNetwork.close(),
        tokenNetwork.close(),
        issuerNetwork.close(),
        configured.close(),
      ]);
    },
    sandboxToken: callers?.sandboxToken,
  };
}

/** Rejects with a {@link TrustedDocumentsError}. */
async function createPersistedDocuments(
  { trustedDocuments, persistedQueries, limits }: Settings,
  schema: GraphQLSchema,
): Promise<PersistedDocuments | undefined> {
  if (trustedDocuments !== undefined) {
    const json = await readFile(trustedDocuments, 'utf8');
    return createTrustedDocuments(decodeTrustedDocuments(json, schema, limits));
  }
  return persistedQueries ? createAutomaticPersistedQueries() : undefined;
}

interface Callers {
  keys: KeySet;
  verifier: AccessTokenVerifier;
  sandboxToken: string | undefined;
}

/** Undefined where nobody's identity is checked. On the sandbox, that is the issuer, unless one is set. */
async function createCallers(
  { auth }: Settings,
  tenantId: string,
  sandbox: Sandbox | undefined,
  { clock, log, exchange }: { clock: Clock; log: Log; exchange: Exchange },
): Promise<Callers | undefined> {
  if (auth.mode !== 'jwt') return undefined;
  const issuer = auth.issuer ?? sandbox?.url.origin;
  if (issuer === undefined) throw new Error('there is no issuer of tokens');
  const keys = createKeySet({
    source: keySourceOf(auth) ?? { issuer },
    exchange,
    clock,
    log,
  });
  const ofSandbox = auth.issuer === undefined ? sandbox?.issuer : undefined;
  const verifier = createAccessTokenVerifier({
    tenantId,
    findKey: keys.find,
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
