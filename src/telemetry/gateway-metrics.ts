import type { CacheUse, CircuitName } from '../core/telemetry.ts';
import type { Instruments, Sample } from './instruments.ts';
import type { KnownNames } from './known-names.ts';

/** What the parts of the gateway know of themselves; each is asked when somebody looks. */
export interface GatewayState {
  /** Requests to the GraphQL endpoint that are held. */
  requests(): number;
  /** Connections of clients. */
  connections(): Promise<number>;
  /** How much is taken of what is bounded, by name; 1 is all of it. */
  saturation(): Promise<Readonly<Record<string, number>>>;
  /** Since the start, by source. */
  statuses(): Readonly<Record<string, number>>;
  /** By name. */
  caches(): Readonly<Record<string, CacheUse>>;
  upstreamCalls(): { readonly active: number; readonly waiting: number };
  /** To the Participant Service. */
  upstreamConnections(): { readonly active: number; readonly idle: number };
  circuits(): readonly { name: CircuitName; state: keyof typeof CIRCUIT_STATES }[];
  /** Open ones, and their events since the start: written, or out of date before they could be. */
  streams(): { readonly open: number; readonly written: number; readonly skipped: number };
  /** Batches that are followed now, by how many streams together, and polls since the start. */
  followed(): { readonly batches: number; readonly followers: number; readonly polls: number };
  /** Of the gateway's own access token, in milliseconds; 0: there is none. */
  tokenRemainingMs(): number;
  /** Whether Redis can be used; undefined: there is none. */
  redisIsUsable?: (() => boolean) | undefined;
}

const CIRCUIT_STATES = { closed: 0, 'half-open': 1, open: 2 } as const;

/** Measures the gateway by what it knows of itself. */
export function measureGateway(
  instruments: Instruments,
  state: GatewayState,
  participantTypes: KnownNames,
): void {
  instruments.observeGauge({
    name: 'http_server_active_requests',
    help: 'Requests to the GraphQL endpoint that are held: from before their bodies are read until their answers are out.',
    read: () => state.requests(),
  });
  instruments.observeGauge({
    name: 'participant_gateway_connections',
    help: 'Open connections of clients.',
    read: () => state.connections(),
  });
  instruments.observeGauge({
    name: 'participant_gateway_saturation_ratio',
    help: 'How much is taken of what is bounded; 1 is all of it, and more is refused or waits.',
    labelNames: ['resource'],
    read: async () => samplesOf('resource', await state.saturation()),
  });
  instruments.observeCounter({
    name: 'participant_gateway_statuses_total',
    help: 'Statuses that were served, by source: the cache, a call that was under way, a call of its own, or the last status because the upstream fails. Those in answers of the response cache are not counted.',
    labelNames: ['source'],
    read: () => samplesOf('source', state.statuses()),
  });
  measureStreams(instruments, state);
  measureCaches(instruments, state);
  measureUpstream(instruments, state, participantTypes);
  instruments.observeGauge({
    name: 'participant_gateway_token_remaining_seconds',
    help: "How long the gateway's own access token is still used; 0: there is none.",
    read: () => state.tokenRemainingMs() / 1_000,
  });
  const { redisIsUsable } = state;
  if (redisIsUsable === undefined) return;
  instruments.observeGauge({
    name: 'participant_gateway_redis_up',
    help: 'With REDIS_URL: 1 while Redis is used, 0 while the replica is on its own.',
    read: () => (redisIsUsable() ? 1 : 0),
  });
}

function measureStreams(instruments: Instruments, state: GatewayState): void {
  instruments.observeGauge({
    name: 'participant_gateway_streams',
    help: 'Subscriptions that are open.',
    read: () => state.streams().open,
  });
  instruments.observeCounter({
    name: 'participant_gateway_stream_events_total',
    help: 'Events of subscriptions: written, or skipped because a later one of the same batch was there before the client took them.',
    labelNames: ['result'],
    read: () => {
      const { written, skipped } = state.streams();
      return samplesOf('result', { written, skipped });
    },
  });
  instruments.observeGauge({
    name: 'participant_gateway_followed_batches',
    help: 'Batches that are polled because somebody follows them.',
    read: () => state.followed().batches,
  });
  instruments.observeGauge({
    name: 'participant_gateway_followers',
    help: 'Those who follow them: by batches, the followers of a poll.',
    read: () => state.followed().followers,
  });
  instruments.observeCounter({
    name: 'participant_gateway_polls_total',
    help: 'Statuses that were asked for because somebody follows the batch.',
    read: () => state.followed().polls,
  });
}

function measureCaches(instruments: Instruments, state: GatewayState): void {
  instruments.observeCounter({
    name: 'participant_gateway_cache_lookups_total',
    help: 'Lookups in a cache, by whether what was found could be served.',
    labelNames: ['cache', 'result'],
    read: () =>
      Object.entries(state.caches()).flatMap(([cache, { hits, misses }]): Sample[] => [
        [{ cache, result: 'hit' }, hits],
        [{ cache, result: 'miss' }, misses],
      ]),
  });
  const ofCaches = (what: 'entries' | 'bytes') =>
    Object.entries(state.caches()).map(([cache, use]): Sample => [{ cache }, use[what]]);
  instruments.observeGauge({
    name: 'participant_gateway_cache_entries',
    help: 'What a cache holds.',
    labelNames: ['cache'],
    read: () => ofCaches('entries'),
  });
  instruments.observeGauge({
    name: 'participant_gateway_cache_size_bytes',
    help: 'What that takes in memory, by an estimate on the safe side.',
    labelNames: ['cache'],
    read: () => ofCaches('bytes'),
  });
}

function measureUpstream(
  instruments: Instruments,
  state: GatewayState,
  participantTypes: KnownNames,
): void {
  instruments.observeGauge({
    name: 'http_client_active_requests',
    help: 'Calls to the Participant Service that are under way.',
    read: () => state.upstreamCalls().active,
  });
  instruments.observeGauge({
    name: 'participant_gateway_upstream_queue_calls',
    help: 'Calls that wait because UPSTREAM_MAX_CONNECTIONS are under way.',
    read: () => state.upstreamCalls().waiting,
  });
  instruments.observeGauge({
    name: 'http_client_open_connections',
    help: 'Open connections to the Participant Service.',
    labelNames: ['http_connection_state'],
    read: () => samplesOf('http_connection_state', state.upstreamConnections()),
  });
  instruments.observeGauge({
    name: 'participant_gateway_circuit_state',
    help: 'Circuits, by what for: 0 closed, 1 half-open, 2 open. service has no participant type; new stands for all types that have not answered; other for the worst of those that have no label. With many tenants, the worst of theirs.',
    labelNames: ['circuit', 'participant_type'],
    read: () => circuitSamples(state, participantTypes),
  });
}

/** Of circuits that have one label, as those of several tenants do, the worst. */
function circuitSamples(state: GatewayState, participantTypes: KnownNames): Sample[] {
  const worst = new Map<string, Sample>();
  for (const { name, state: now } of state.circuits()) {
    const labels = circuitLabels(name, participantTypes);
    const key = JSON.stringify(labels);
    const [, before = 0] = worst.get(key) ?? [];
    worst.set(key, [labels, Math.max(before, CIRCUIT_STATES[now])]);
  }
  return [...worst.values()];
}

function circuitLabels(name: CircuitName, participantTypes: KnownNames): Sample[0] {
  if (name.circuit === 'participant type') {
    const participant_type = participantTypes.labelOf(name.participantType);
    return { circuit: 'participant_type', participant_type };
  }
  return { circuit: name.circuit === 'service' ? 'service' : 'new', participant_type: '' };
}

function samplesOf(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => [{ [label]: name }, value]);
}
