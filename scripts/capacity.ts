import { type Counts, type Fleet, simulate, type Watched } from './simulation.ts';

/** What there is. */
export interface Limits {
  /** Of each replica: UPSTREAM_MAX_CONNECTIONS, MAX_POLLERS, MAX_STREAMS. */
  connections: number;
  pollers: number;
  streams: number;
  /** Calls that the tenant may make in a second, all replicas together; Infinity: any. */
  callsPerSecond: number;
}

/** How much of what there is, is used. */
export interface Use {
  what: string;
  used: number;
  limit: number;
  /** What raises the limit, or lowers what is used. */
  remedy: string;
}

/** What batches cost, and what they use, the scarcest first. */
export interface Capacity {
  /** By all batches, in a second. */
  perSecond: (name: keyof Counts) => number;
  /** Calls in a second that neither connections nor the tenant's limit let through. */
  beyond: number;
  /** How long calls wait for a connection on average, in milliseconds; Infinity: longer and longer. */
  waiting: number;
  uses: Use[];
}

/** Batches that are simulated, whatever their number: they do not know each other. */
const SAMPLE = 500;
/** Entries of a replica's cache, as in src/status/service.ts. */
const CACHE_ENTRIES = 10_000;
/** Batches in one stream: QUERY_MAX_BATCHES. */
const BATCHES_OF_STREAM = 20;

/**
 * Processor time in microseconds, as docs/scale.md has it measured: of a query that the cache answers, of the call that
 * another one begins, of a poll, of an update to one stream, of a script for its caller, and for Redis.
 */
const COSTS_US = { query: 52, fetched: 100, poll: 180, update: 62, scriptOfCaller: 33, script: 17 };

/** Adds up what so many batches cost. One that ends is followed by another. */
export function capacityOf(
  batches: number,
  fleet: Fleet,
  watched: Watched,
  limits: Limits,
): Capacity {
  const counts = simulate(fleet, watched, SAMPLE);
  const lifeSeconds = (watched.runsMs + watched.staysMs) / 1_000;
  const perSecond = (name: keyof Counts) => (counts[name] * batches) / SAMPLE / lifeSeconds;

  const { replicas, redis, latencyMs } = fleet;
  const calls = perSecond('calls');
  const callsAtATime = ((calls / replicas) * latencyMs) / 1_000;
  const mostCalls = (1_000 * replicas * limits.connections) / latencyMs;
  const running = (batches * watched.runsMs) / (watched.runsMs + watched.staysMs);
  const polled = running * (1 - (1 - 1 / replicas) ** watched.followers);
  const streams = (running * watched.followers) / BATCHES_OF_STREAM / replicas;
  const kept = perSecond('keptMs') / 1_000 / replicas;
  const redisCores = (COSTS_US.script * perSecond('scripts')) / 1e6;
  const uses = [
    use('processor cores', coresFor(perSecond) / replicas, 1, 'more replicas'),
    use('upstream calls at a time', callsAtATime, limits.connections, 'UPSTREAM_MAX_CONNECTIONS'),
    use('batches that are polled', polled, limits.pollers, 'MAX_POLLERS'),
    use('streams', streams, limits.streams, 'MAX_STREAMS'),
    use('fresh statuses kept', kept, CACHE_ENTRIES, 'more replicas, or shorter TTLs'),
    ...(redis ? [use("all: Redis's core", redisCores, 1, 'fleets with a Redis each')] : []),
    use(
      'all: calls/s',
      calls,
      limits.callsPerSecond,
      'FOLLOW_MIN_MS, FOLLOW_MAX_MS, STATUS_TTL_MS',
    ),
  ];
  return {
    perSecond,
    beyond: Math.max(0, calls - Math.min(mostCalls, limits.callsPerSecond)),
    waiting: waitFor(limits.connections, callsAtATime, latencyMs),
    uses: uses
      .filter(({ limit }) => limit < Number.POSITIVE_INFINITY)
      .toSorted((a, b) => b.used / b.limit - a.used / a.limit),
  };
}

function use(what: string, used: number, limit: number, remedy: string): Use {
  return { what, used, limit, remedy };
}

/** Cores that all replicas together are busy for. */
function coresFor(perSecond: Capacity['perSecond']): number {
  const us =
    COSTS_US.query * perSecond('queries') +
    COSTS_US.fetched * perSecond('fetched') +
    COSTS_US.poll * perSecond('polls') +
    COSTS_US.update * perSecond('updates') +
    COSTS_US.scriptOfCaller * perSecond('scripts');
  return us / 1e6;
}

/** Of calls that come by chance, and wait in line for one of so many connections (Erlang C). */
function waitFor(connections: number, callsAtATime: number, latencyMs: number): number {
  if (callsAtATime >= connections) return Number.POSITIVE_INFINITY;
  let refused = 1;
  for (let count = 1; count <= connections; count += 1) {
    refused = (callsAtATime * refused) / (count + callsAtATime * refused);
  }
  const waiting = refused / (1 - (callsAtATime / connections) * (1 - refused));
  return (waiting * latencyMs) / (connections - callsAtATime);
}
