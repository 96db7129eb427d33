import type { Settings } from './config/settings.ts';
import type { Documents } from './graphql/documents.ts';
import type { ResponseCaches } from './graphql/response-cache.ts';
import type { HeldMemory } from './lib/held-memory.ts';
import type { Redis } from './lib/redis.ts';
import type { Intake } from './server/guards/intake.ts';
import type { SendRoom } from './server/send-room.ts';
import type { Server } from './server/server.ts';
import type { Streams } from './server/streams.ts';
import type { StatusStore } from './status/store.ts';
import type { GatewayState } from './telemetry/gateway-metrics.ts';
import type { TenantServices } from './tenants/services.ts';
import type { Tenants } from './tenants/tenants.ts';

interface MeasuredParts {
  settings: Settings;
  tenants: Tenants;
  statusStore: StatusStore;
  responseCaches: ResponseCaches;
  documents: Documents;
  heldMemory: HeldMemory;
  /** Polls since the start. */
  polls: () => number;
  intake: Intake;
  sendRoom: SendRoom;
  streams: Streams;
  server: Server;
  /** Undefined: the process is on its own. */
  redis: Redis | undefined;
}

/** What the parts know of themselves, for metrics; of several tenants, what they come to together. */
export function stateOf(parts: MeasuredParts): GatewayState {
  const { settings, statusStore, responseCaches, documents, intake, sendRoom, server } = parts;
  const { redis } = parts;
  const each = <T>(read: (tenant: TenantServices) => T) =>
    Array.from(parts.tenants.services(), read);
  const sum = (read: (tenant: TenantServices) => number) =>
    each(read).reduce((total, value) => total + value, 0);
  return {
    redisIsUsable: redis && (() => redis.isUsable),
    requests: () => intake.requests,
    connections: () => server.connections(),
    saturation: async () => ({
      intake_requests: intake.requests / settings.intake.maxRequests,
      intake_bytes: intake.bytes / settings.intake.maxBytes,
      connections: (await server.connections()) / settings.sockets.maxSockets,
      // Of the tenant that is nearest to its bound.
      upstream_calls: Math.max(0, ...each(({ callSlots, maxCalls }) => callSlots.used / maxCalls)),
      held_statuses: parts.heldMemory.share,
      unsent_answers: sendRoom.share,
    }),
    statuses: () => statusStore.served,
    streams: parts.streams.use,
    followed: () => ({
      batches: sum(({ followService }) => followService.use().batches),
      followers: sum(({ followService }) => followService.use().followers),
      polls: parts.polls(),
    }),
    caches: () => ({
      statuses: statusStore.use(),
      responses: responseCaches.use(),
      documents: documents.cacheUse(),
    }),
    upstreamCalls: () => ({
      active: sum(({ callSlots }) => callSlots.used),
      waiting: sum(({ callSlots }) => callSlots.waiting),
    }),
    upstreamConnections: () => ({
      active: sum(({ client }) => client.connections().active),
      idle: sum(({ client }) => client.connections().idle),
    }),
    circuits: () => each(({ participantService }) => participantService.circuits()).flat(),
    // Of those that have one.
    tokenRemainingMs: () => {
      const remaining = each(({ tokens }) => tokens.remainingMs()).filter((ms) => ms > 0);
      return remaining.length === 0 ? 0 : Math.min(...remaining);
    },
  };
}
