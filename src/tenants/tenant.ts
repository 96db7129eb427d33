import type { AccessTokenVerifier } from '../auth/access-token.ts';
import { createAuthenticate } from '../auth/authenticate.ts';
import type { KeySet } from '../auth/jwks.ts';
import type { Settings } from '../config/settings.ts';
import { type Telemetry, tellOfTenant } from '../core/telemetry.ts';
import type { Documents } from '../graphql/documents.ts';
import { createHandler } from '../graphql/handler.ts';
import { createLiveOperations } from '../graphql/live-operations.ts';
import type { PersistedDocuments } from '../graphql/persisted-documents.ts';
import type { ResponseCaches } from '../graphql/response-cache.ts';
import type { Send } from '../http-client/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { AllowedOrigins } from '../server/guards/allowed-origins.ts';
import { createCors } from '../server/guards/cors.ts';
import { createCsrfGuard } from '../server/guards/csrf.ts';
import { createRateLimit, type RateLimit } from '../server/guards/rate-limit.ts';
import type { ReadinessCheck, ReadinessChecks } from '../server/health.ts';
import type { ServedTenant } from '../server/pipeline.ts';
import {
  createIssuerClient,
  createTenantServices,
  keySourceOf,
  openService,
  type TenantParts,
  type TenantServices,
} from './services.ts';

/** What all tenants share. */
export interface SharedParts extends TenantParts {
  documents: Documents;
  persistedDocuments: PersistedDocuments;
  responseCaches: ResponseCaches;
  /** Whether somebody keeps account of who reads what. */
  isAudited: boolean;
}

/** Everything that serves one tenant. */
export interface Tenant extends ServedTenant {
  readonly services: TenantServices;
  /** What it needs, by name. */
  readonly readiness: ReadinessChecks;
  /** An access token to try with, where the sandbox issues callers' tokens. */
  readonly sandboxToken: string | undefined;
  /** Asks for its access token, and the keys of callers' tokens, ahead of the first request. */
  prime(): void;
  /** Drops what is kept of it, and keeps nothing from now on; requests under way finish. */
  retire(): void;
  /** Ends its connections; calls under way fail. */
  close(): Promise<void>;
}

/** How often callers of a tenant may come, counted for all replicas where they share; undefined: as they like. */
export async function rateLimitOf(
  { rateLimit, redis }: Settings,
  tenantId: string,
  { clock, sharing }: Pick<TenantParts, 'clock' | 'sharing'>,
): Promise<RateLimit | undefined> {
  if (rateLimit.perSecond === 0) return undefined;
  const shared = redis && sharing && { redis: sharing.redis, replicas: redis.replicas };
  return createRateLimit({ ...rateLimit, tenantId, shared, clock, random: Math.random });
}

/** The methods that the GraphQL endpoint accepts. */
export function methodsOf({ getQueries }: Settings): readonly string[] {
  return getQueries ? ['GET', 'HEAD', 'POST'] : ['POST'];
}

/**
 * One tenant, as its settings have it: by its name among several, or the only one. Starts the sandbox where no
 * Participant Service is set.
 */
export async function createTenant(
  settings: Settings,
  shared: SharedParts,
  name?: string,
): Promise<Tenant> {
  const { clock } = shared;
  const telemetry = name === undefined ? shared.telemetry : tellOfTenant(shared.telemetry, name);
  const configured = await openService(settings, clock);
  const { service, sandbox } = configured;
  const tenantId = name ?? service.tenantId;
  const parts = { ...shared, telemetry };
  const services = createTenantServices(tenantId, service, settings, parts);
  const issuerClient = createIssuerClient(settings, clock);
  const { send } = issuerClient;
  const callers = await createCallers(settings, tenantId, sandbox, { clock, telemetry, send });
  const origins = new AllowedOrigins(settings.corsOrigins);
  const methods = methodsOf(settings);
  const responseCache = shared.responseCaches.ofTenant(tenantId);
  let isRetired = false;
  return {
    name,
    get isRetired() {
      return isRetired;
    },
    services,
    cors: createCors({ origins, methods, telemetry }),
    csrf: createCsrfGuard({ origins, methods }),
    authenticate: createAuthenticate({
      tenantId,
      tokens: callers?.verifier,
      requiredScopes: settings.auth.requiredScopes,
      router: settings.federationAccess,
      forwardUserInfo: settings.auth.forwardUserInfo,
      telemetry,
    }),
    rateLimit: await rateLimitOf(settings, tenantId, shared),
    handler: createTenantHandler(settings, services, { ...parts, responseCache }),
    readiness: {
      token: tokenReadiness(services),
      upstream: { degraded: () => services.participantService.problem() },
      ...(callers && { keys: keysReadiness(callers.keys) }),
    },
    sandboxToken: callers?.sandboxToken,
    prime() {
      services.tokens.prime();
      callers?.keys.prime();
    },
    retire() {
      isRetired = true;
      responseCache.close();
      services.statuses.close();
    },
    async close() {
      await Promise.all([services.close(), issuerClient.close(), configured.close()]);
    },
  };
}

type HandlerParts = SharedParts & Pick<Parameters<typeof createHandler>[0], 'responseCache'>;

function createTenantHandler(
  { limits, participantTypes, responseMaxBytes, errorDetail, streams, auth, explain }: Settings,
  { statuses, followService }: TenantServices,
  parts: HandlerParts,
): ServedTenant['handler'] {
  const { documents, persistedDocuments, responseCache, heldMemory, turns, telemetry } = parts;
  const common = {
    heldMemory,
    participantTypes,
    maxBatches: limits.maxBatches,
    maxResponseBytes: responseMaxBytes,
    errorDetail,
    telemetry,
  };
  return createHandler({
    ...common,
    documents,
    persistedDocuments,
    responseCache,
    statuses,
    liveOperations:
      streams.maxStreams === 0 ? undefined : createLiveOperations({ ...common, followService }),
    turns,
    forwardUserInfo: auth.forwardUserInfo,
    explain: explain && { ...explain, clock: parts.clock },
    isAudited: parts.isAudited,
  });
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
    import('../auth/access-token.ts'),
    import('../auth/jwks.ts'),
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
    audienceClaim: auth.audienceClaim,
    algorithms: auth.algorithms,
    tokenTypes: auth.tokenTypes,
    leewayMs: auth.leewayMs,
    scopeClaim: auth.scopeClaim,
    participantTypesClaim: auth.participantTypesClaim,
    clock,
  });
  const claim = auth.participantTypesClaim;
  const sandboxToken = await ofSandbox?.issueToken({
    [auth.scopeClaim ?? 'scope']: auth.requiredScopes.join(' '),
    ...(claim === undefined ? {} : { [claim]: ofSandbox.participantTypes }),
  });
  return { keys, verifier, sandboxToken };
}
