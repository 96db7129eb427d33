import { readFile } from 'node:fs/promises';
import type { KeySource } from './callers/key-set.ts';
import type { Clock } from './clock.ts';
import { createNetwork, type Exchange, type Network } from './network/exchange.ts';
import { urlBelow } from './network/url-below.ts';
import { createStatusEndpoint, type StatusEndpoint } from './participants/status-endpoint.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import type {
  AuthSettings,
  ParticipantServiceSettings,
  Settings,
  TokenSettings,
} from './settings.ts';
import {
  createClientCredentialsGrant,
  type Grant,
  type TokenSource,
} from './tokens/client-credentials-grant.ts';
import { fixedSecret, secretFromFile } from './tokens/client-secret.ts';
import { OS1_TOKEN_PATH } from './tokens/os1-dialect.ts';

/** The Participant Service that the settings mean: a tenant's, or the sandbox, which runs until `close`. */
export interface ConfiguredService {
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
  const { startSandbox } = await import('./sandbox/sandbox.ts');
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

/** For status calls. */
export function createStatusNetwork(settings: Settings, clock: Clock): Network {
  return createNetwork({
    clock,
    maxConnections: settings.upstreamMaxConnections,
    timeoutMs: settings.upstreamTimeoutMs,
    maxBodyBytes: settings.upstreamMaxBodyBytes,
  });
}

/** For tokens: connections of their own, because a hanging upstream must not keep one from being renewed. */
export function createTokenNetwork(settings: Settings, clock: Clock): Network {
  return createNetwork({
    clock,
    maxConnections: 2,
    timeoutMs: settings.upstreamTimeoutMs,
    maxBodyBytes: 64 * 1024,
  });
}

/** For the keys of callers' tokens. */
export function createIssuerNetwork(settings: Settings, clock: Clock): Network {
  return createNetwork({
    clock,
    maxConnections: 1,
    timeoutMs: settings.upstreamTimeoutMs,
    maxBodyBytes: 256 * 1024,
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

export function createServiceGrant(
  service: ParticipantServiceSettings,
  exchange: Exchange,
  clock: Clock,
  clientAuthentication: TokenSettings['clientAuthentication'] = service.token.clientAuthentication,
): Grant {
  const { grant, clientId, clientSecret, audience, scope } = service.token;
  return createClientCredentialsGrant({
    exchange,
    dialect: grant,
    source: tokenSourceOf(service),
    clientId,
    clientSecret:
      'value' in clientSecret
        ? fixedSecret(clientSecret.value)
        : secretFromFile(clientSecret.file, (path) => readFile(path, 'utf8')),
    clientAuthentication,
    audience,
    scope,
    date: () => clock.date(),
  });
}

/** Of the shorter of the two time limits. */
const PATIENCE = 0.8;

export function createServiceEndpoint(
  service: ParticipantServiceSettings,
  { finishedStatuses, upstreamTimeoutMs, requestDeadlineMs }: Settings,
  network: Network,
  clock: Clock,
  onForeignAnswer: () => void,
): StatusEndpoint {
  return createStatusEndpoint({
    exchange: network.exchange,
    baseUrl: service.url,
    tenantId: service.tenantId,
    tokenHeader: service.token.header,
    finishedStatuses,
    clock,
    patienceMs: PATIENCE * Math.min(upstreamTimeoutMs, requestDeadlineMs),
    onForeignAnswer({ via }) {
      onForeignAnswer();
      network.renewConnections(via);
    },
  });
}
