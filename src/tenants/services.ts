import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { KeySource } from '../auth/jwks.ts';
import type {
  AuthSettings,
  ParticipantServiceSettings,
  Settings,
  TokenSettings,
} from '../config/settings.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { createHttpClient, type HttpClient, type Send } from '../http-client/client.ts';
import { createFindRoute, type FindRoute } from '../http-client/route.ts';
import type { Clock } from '../lib/clock.ts';
import type { Deadlines } from '../lib/deadlines.ts';
import type { HeldMemory } from '../lib/held-memory.ts';
import type { Redis } from '../lib/redis.ts';
import type { Turns } from '../lib/turns.ts';
import { urlBelow } from '../lib/url.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { type CallSlots, createCallSlots } from '../status/call-slots.ts';
import { createFollowService, type FollowService } from '../status/follow.ts';
import { createStatusService, type StatusService } from '../status/service.ts';
import type { createSharedStatuses } from '../status/shared-statuses.ts';
import type { StatusStore } from '../status/store.ts';
import type { Grant, TokenSource } from '../tokens/client-credentials.ts';
import { fixedSecret, secretFromFile } from '../tokens/client-secret.ts';
import { OS1_TOKEN_PATH } from '../tokens/os1.ts';
import { createTokenCache, type TokenCache } from '../tokens/token-cache.ts';
import { createCircuits } from '../upstream/circuits.ts';
import {
  createParticipantService,
  type ParticipantService,
} from '../upstream/participant-service.ts';
import { createStatusCall, type StatusCall } from '../upstream/request.ts';

/** The Participant Service that the settings mean: a tenant's, or the sandbox, which runs until `close`. */
interface ConfiguredService {
  readonly service: ParticipantServiceSettings;
  /** Undefined with a tenant. */
  readonly sandbox: Sandbox | undefined;
  close(): Promise<void>;
}

/** Starts the sandbox when no Participant Service is set. It is loaded only then. */
export async function openService(settings: Settings, clock: Clock): Promise<ConfiguredService> {
  if (settings.participantService !== undefined) {
    return { service: settings.participantService, sandbox: undefined, close: async () => {} };
  }
  const { startSandbox } = await import('../sandbox/sandbox.ts');
  const sandbox = await startSandbox({ clock, port: 0 });
  return {
    sandbox,
    close: () => sandbox.close(),
    service: {
      url: sandbox.url,
      tenantId: sandbox.tenantId,
      token: {
        grant: 'os1',
        clientId: sandbox.credentials.clientId,
        clientSecret: { value: sandbox.credentials.clientSecret },
        source: undefined,
        clientAuthentication: 'client_secret_basic',
        audience: undefined,
        scope: undefined,
        header: 'X-COREOS-ACCESS',
      },
    },
  };
}

/** The routes of all that the gateway calls: the service, the token endpoint and the issuer. */
export function findRouteOf({ network, participantService }: Settings): FindRoute {
  const { proxy, noProxy, clientCertificate: shown } = network;
  const origin = participantService?.url.origin;
  const certificate = shown && origin !== undefined ? { ...shown, origin } : undefined;
  return createFindRoute({ proxy, noProxy, certificate });
}

/** For status calls. */
export function createStatusClient(settings: Settings, clock: Clock): HttpClient {
  return createHttpClient({
    clock,
    maxConnections: settings.upstreamMaxConnections,
    timeoutMs: settings.upstreamTimeoutMs,
    maxBodyBytes: settings.upstreamMaxBodyBytes,
    findRoute: findRouteOf(settings),
  });
}

/** For tokens: connections of their own, because a hanging upstream must not keep one from being renewed. */
export function createTokenClient(settings: Settings, clock: Clock): HttpClient {
  return createHttpClient({
    clock,
    maxConnections: 2,
    timeoutMs: settings.upstreamTimeoutMs,
    maxBodyBytes: 64 * 1024,
    findRoute: findRouteOf(settings),
  });
}

/** For the keys of callers' tokens. */
export function createIssuerClient(settings: Settings, clock: Clock): HttpClient {
  return createHttpClient({
    clock,
    maxConnections: 1,
    timeoutMs: settings.upstreamTimeoutMs,
    maxBodyBytes: 256 * 1024,
    findRoute: findRouteOf(settings),
  });
}

/** Where the keys of callers' tokens are; undefined where no issuer is set. */
export function keySourceOf({ issuer, jwksUrl }: AuthSettings): KeySource | undefined {
  if (jwksUrl !== undefined) return { jwksUrl };
  return issuer === undefined ? undefined : { issuer };
}

/** Where tokens are asked for: unless the settings say so, at the tenant's own endpoint. */
export function tokenSourceOf({ url, token }: ParticipantServiceSettings): TokenSource {
  return token.source ?? { endpoint: urlBelow(url, OS1_TOKEN_PATH) };
}

/** What it takes to ask for a token is loaded when the first one is asked for: no start waits for it. */
export function createServiceGrant(
  service: ParticipantServiceSettings,
  send: Send,
  clock: Clock,
  clientAuthentication: TokenSettings['clientAuthentication'] = service.token.clientAuthentication,
): Grant {
  const { grant, clientId, clientSecret, audience, scope } = service.token;
  const options = {
    send,
    dialect: grant,
    source: tokenSourceOf(service),
    clientId,
    clientSecret:
      'value' in clientSecret
        ? fixedSecret(clientSecret.value)
        : secretFromFile(clientSecret.file, (path) => readFile(path)),
    clientAuthentication,
    audience,
    scope,
    date: () => clock.date(),
  };
  let ask: Grant | undefined;
  return async () => {
    const { createClientCredentialsGrant } = await import('../tokens/client-credentials.ts');
    ask ??= createClientCredentialsGrant(options);
    return ask();
  };
}

/**
 * What an answer may take in memory, as a multiple of the longest that is read. Lists of records take two to three
 * bytes for each of text, and are estimated at up to five; a list of empty objects takes 21.
 */
const PARSED_PER_TEXT = 10;

/** Of the shorter of the two time limits. */
const PATIENCE = 0.8;

/** `onRenewal` is called when connections are renewed because of an answer to another request. */
export function createServiceCall(
  service: ParticipantServiceSettings,
  { upstreamTimeoutMs, requestDeadlineMs, upstreamMaxBodyBytes }: Settings,
  client: HttpClient,
  { clock, turns, onRenewal }: { clock: Clock; turns: Turns; onRenewal(): void },
): StatusCall {
  return createStatusCall({
    send: client.send,
    baseUrl: service.url,
    tenantId: service.tenantId,
    tokenHeader: service.token.header,
    clock,
    turns,
    patienceMs: PATIENCE * Math.min(upstreamTimeoutMs, requestDeadlineMs),
    maxParsedBytes: PARSED_PER_TEXT * upstreamMaxBodyBytes,
    onForeignAnswer({ via }) {
      if (client.renewConnections(via)) onRenewal();
    },
  });
}

/**
 * Tells services apart, and as whom they are asked, where what they said outlives a change of settings, or is shared with
 * a process that has others.
 */
export function serviceIdOf({ url, tenantId, token }: ParticipantServiceSettings): string {
  const service = JSON.stringify([url.href, tenantId, token.clientId]);
  return createHash('sha256').update(service).digest('base64url').slice(0, 16);
}

/** What serves one tenant. */
export interface TenantServices {
  readonly statuses: StatusService;
  readonly followService: FollowService;
  readonly participantService: ParticipantService;
  readonly tokens: TokenCache;
  readonly callSlots: CallSlots;
  /** For status calls. */
  readonly client: HttpClient;
  /** The most of `callSlots`. */
  readonly maxCalls: number;
  /** Ends all connections; calls under way fail. */
  close(): Promise<void>;
}

/** By what replicas share statuses. */
export interface Sharing {
  readonly redis: Redis;
  readonly createSharedStatuses: typeof createSharedStatuses;
}

export interface TenantParts {
  clock: Clock;
  telemetry: Telemetry;
  turns: Turns;
  deadlines: Deadlines;
  /** What requests and pollers hold. */
  heldMemory: HeldMemory;
  /** Of all tenants. */
  statusStore: StatusStore;
  /** Called at each poll of a batch that is followed. */
  onPoll(): void;
  /** Undefined: the process is on its own. */
  sharing?: Sharing | undefined;
}

/**
 * The services of one tenant: its tokens, the upstream under its policies, and its statuses. `tenantId` is what the
 * keys of all that is kept begin with.
 */
export function createTenantServices(
  tenantId: string,
  service: ParticipantServiceSettings,
  settings: Settings,
  { clock, telemetry, turns, deadlines, heldMemory, statusStore, onPoll, sharing }: TenantParts,
): TenantServices {
  const statusClient = createStatusClient(settings, clock);
  const tokenClient = createTokenClient(settings, clock);
  const random = Math.random;
  const tokens = createTokenCache({
    clock,
    telemetry,
    random,
    grant: createServiceGrant(service, tokenClient.send, clock),
  });
  const participantService = createParticipantService({
    call: createServiceCall(service, settings, statusClient, {
      clock,
      turns,
      onRenewal: () => telemetry.foreignAnswer?.({}),
    }),
    tokens,
    circuits: createCircuits({ clock, telemetry, random }),
    clock,
    telemetry,
  });
  const callSlots = createCallSlots({ slots: settings.upstreamMaxConnections, turns, clock });
  const ofStatuses = {
    clock,
    turns,
    tenantId,
    finishedStatuses: settings.finishedStatuses,
    ttlMs: settings.statusTtlMs,
    finishedTtlMs: settings.statusFinishedTtlMs,
    staleMs: settings.statusStaleMs,
  };
  const statuses = createStatusService({
    ...ofStatuses,
    store: statusStore,
    participantService,
    source: sharing?.createSharedStatuses({
      ...ofStatuses,
      upstream: participantService,
      redis: sharing.redis,
      serviceId: serviceIdOf(service),
      random,
      pollMs: settings.follow.minMs,
      callMs: settings.upstreamTimeoutMs,
      maxParsedBytes: PARSED_PER_TEXT * settings.upstreamMaxBodyBytes,
    }),
    callSlots,
  });
  const followService = createFollowService({
    statuses,
    heldMemory,
    clock,
    deadlines,
    random,
    deadlineMs: settings.requestDeadlineMs,
    tenantId,
    onPoll,
    finishedStatuses: settings.finishedStatuses,
    ...settings.follow,
  });
  return {
    statuses,
    followService,
    participantService,
    tokens,
    callSlots,
    maxCalls: settings.upstreamMaxConnections,
    client: statusClient,
    close: async () => {
      await Promise.all([statusClient.close(), tokenClient.close()]);
    },
  };
}
