import { readFile } from 'node:fs/promises';
import type { GraphQLSchema } from 'graphql';
import { SettingsError } from './config/load.ts';
import type { Settings } from './config/settings.ts';
import type { Audit } from './core/audit.ts';
import type { Telemetry } from './core/telemetry.ts';
import { stateOf } from './gateway-state.ts';
import { createDocuments, type Documents } from './graphql/documents.ts';
import { EXAMPLE_OPERATIONS, EXPLAINED_OPERATION } from './graphql/example-operations.ts';
import { refuse } from './graphql/handler.ts';
import {
  createAutomaticPersistedQueries,
  createPlainDocuments,
  createTrustedDocuments,
  type PersistedDocuments,
} from './graphql/persisted-documents.ts';
import { createResponseCaches } from './graphql/response-cache.ts';
import { toCountingSchema } from './graphql/response-size.ts';
import { createSchema, createSubgraphSchema } from './graphql/schema/index.ts';
import { decodeTrustedDocuments, TrustedDocumentsError } from './graphql/trusted-documents-file.ts';
import type { Clock } from './lib/clock.ts';
import { Deadlines } from './lib/deadlines.ts';
import { EventLoop } from './lib/event-loop.ts';
import { HeldMemory } from './lib/held-memory.ts';
import { Turns } from './lib/turns.ts';
import { loadMetrics, loadSharing, loadTraces } from './optional-parts.ts';
import { createClientIp } from './server/client-ip.ts';
import { createIntake } from './server/guards/intake.ts';
import type { ReadinessCheck, ReadinessChecks } from './server/health.ts';
import { METRICS_PATH } from './server/metrics.ts';
import { createPipeline } from './server/pipeline.ts';
import { createMetricsRoutes, createRoutes } from './server/routes.ts';
import { createSendRoom } from './server/send-room.ts';
import { createHttpServer, type Server, type ServerOptions } from './server/server.ts';
import { createGraphiQL } from './server/static.ts';
import { createStreams } from './server/streams.ts';
import { StatusStore } from './status/store.ts';
import type { MeasuredProcess } from './telemetry/process-metrics.ts';
import { openTenants } from './tenants/open-tenants.ts';
import type { Sharing } from './tenants/services.ts';

/** The path of the GraphQL endpoint. */
export const GRAPHQL_PATH = '/graphql';

/** Bytes of answers that wait for their clients: four answers of the greatest length, and at least so many. */
const MIN_UNSENT_BYTES = 32 * 1024 * 1024;

/** What the statuses may take together that requests under way hold. Those of the cache are bounded there. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Everything under way is ended by then. */
const SHUTDOWN_LIMIT_MS = 9_000;

/** For the last spans, where the rest took less than the time that there is. */
const LAST_SPANS_LIMIT_MS = 1_000;

/** Metrics are shown to the end, and not waited for. */
const METRICS_SHUTDOWN_LIMIT_MS = 200;

interface GatewayDependencies {
  settings: Settings;
  clock: Clock;
  telemetry: Telemetry;
  /** Undefined: nobody keeps account of who reads what. */
  audit?: Audit | undefined;
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
 * Service is set. Rejects with a {@link SettingsError} when the file of trusted documents cannot be used, or none of
 * TENANTS_DIR.
 */
export async function createGateway(dependencies: GatewayDependencies): Promise<Gateway> {
  const { settings, clock, audit, readiness = {} } = dependencies;
  const metrics = await loadMetrics(dependencies);
  const measured = metrics?.telemetry ?? dependencies.telemetry;
  const traces = await loadTraces(dependencies, measured);
  const telemetry = traces?.telemetry ?? measured;
  const turns = new Turns();
  const deadlines = new Deadlines(clock);
  const heldMemory = new HeldMemory(MAX_HELD_BYTES);
  const statusStore = new StatusStore();
  const sharing = await loadSharing(settings, { clock, telemetry });
  const responseCaches = createResponseCaches(clock);
  const { documents, persistedDocuments } = await createDocumentParts(settings);
  let polls = 0;
  const onPoll = () => {
    polls += 1;
  };
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
  const streams = createStreams({
    ...settings.streams,
    clock,
    telemetry,
    random: Math.random,
    timeoutMs: settings.responseTimeoutMs,
  });
  const tenants = await openTenants({
    settings,
    clock,
    telemetry,
    shared: {
      ...{ clock, telemetry, turns, deadlines, heldMemory, statusStore, onPoll },
      ...{ documents, persistedDocuments, responseCaches, sharing },
      isAudited: audit !== undefined,
    },
    endStreams: streams.endOfTenant,
  });
  const pipeline = createPipeline({
    tenants: tenants.served,
    clientIp,
    intake,
    sendRoom,
    streams,
    refuse,
    telemetry,
    audit,
    clock,
    deadlines,
    turns,
    eventLoop: new EventLoop(),
    deadlineMs: settings.requestDeadlineMs,
    maxBodyBytes: settings.requestMaxBytes,
    routerWeight: settings.limits.maxBatches,
  });
  const loopbackOnly = settings.auth.mode === 'unchecked-loopback';
  const routes = createRoutes({
    endpoint: GRAPHQL_PATH,
    pipeline,
    graphiql: settings.graphiql
      ? createGraphiQL({
          endpoint: GRAPHQL_PATH,
          title: 'participant-gateway',
          operations:
            settings.explain === undefined || settings.explain.scope !== undefined
              ? EXAMPLE_OPERATIONS
              : [...EXAMPLE_OPERATIONS, EXPLAINED_OPERATION],
        })
      : undefined,
    readiness: {
      ...readiness,
      ...tenants.readiness,
      ...(sharing && { redis: redisReadiness(sharing) }),
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
  metrics?.measure(
    stateOf({
      ...{ settings, tenants, statusStore, responseCaches, documents, heldMemory },
      ...{ intake, sendRoom, streams, server },
      polls: () => polls,
      redis: sharing?.redis,
    }),
    tenants.several,
  );
  let metricsUrl: URL | undefined;

  return {
    async listen() {
      const metricsOrigin =
        metricsServer && ownPort && (await listenOn(metricsServer, 'METRICS_', ownPort));
      const origin = await listenOn(server, '', settings);
      sharing?.redis.connect();
      metricsUrl = metrics && new URL(METRICS_PATH, metricsOrigin ?? origin);
      // A turn later, when it is told that it listens: what is loaded for these takes as long as Node to start.
      setImmediate(() => {
        tenants.prime();
        documents.load();
      });
      return origin;
    },
    metricsUrl: () => metricsUrl,
    async close(noticeMs = settings.shutdownDelayMs) {
      const begunAt = clock.now();
      streams.close();
      await server.drain(noticeMs, SHUTDOWN_LIMIT_MS);
      metrics?.close();
      sharing?.redis.close();
      await traces?.close(Math.min(LAST_SPANS_LIMIT_MS, SHUTDOWN_LIMIT_MS - clock.now() + begunAt));
      await Promise.all([metricsServer?.drain(0, METRICS_SHUTDOWN_LIMIT_MS), tenants.close()]);
    },
    sandboxToken: tenants.sandboxToken,
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

/** What is known of documents, whoever sends them. Rejects with a {@link SettingsError}. */
async function createDocumentParts(settings: Settings): Promise<{
  documents: Documents;
  persistedDocuments: PersistedDocuments;
}> {
  const { limits, introspection, federation } = settings;
  const createOwnSchema = () =>
    federation ? createSubgraphSchema(limits.maxReferences) : createSchema();
  const schema = createOwnSchema();
  const documents = createDocuments({
    schema,
    createCountingSchema: () => toCountingSchema(createOwnSchema()),
    limits,
    introspection,
  });
  return { documents, persistedDocuments: await createPersistedDocuments(settings, schema) };
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

function redisReadiness({ redis }: Sharing): ReadinessCheck {
  return {
    degraded() {
      const problem = redis.problem();
      return problem && `it cannot be used (${problem}): this replica is on its own`;
    },
  };
}
