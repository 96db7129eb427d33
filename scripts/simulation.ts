/**
 * What watched batches cost the Participant Service. Batches do not know each other, so one is simulated at a time, from
 * its first look to its last, event by event; `capacity.ts` adds many up. Times are in milliseconds.
 */

/** Replicas, and how they ask. */
export interface Fleet {
  replicas: number;
  /** Whether they share statuses and polls. */
  redis: boolean;
  statusTtlMs: number;
  statusFinishedTtlMs: number;
  followMinMs: number;
  followMaxMs: number;
  /** How long an upstream call takes. */
  latencyMs: number;
}

/** What becomes of a batch, and who looks at it. */
export interface Watched {
  /** From the first look until it is finished. */
  runsMs: number;
  /** How long dashboards look at it after that; followers leave. */
  staysMs: number;
  /** Between two changes, as long as it runs. */
  changesMs: number;
  /** Streams that tell of it, each of one replica; a fraction is by chance. */
  followers: number;
  /** Clients that query it, of any replica in turn; a fraction is by chance. */
  dashboards: number;
  /** Between two queries of a dashboard. */
  everyMs: number;
}

/** What batches have cost. */
export interface Counts {
  calls: number;
  /** Those of `calls` that a poller began. */
  polls: number;
  queries: number;
  /** Those that were answered by what the replica had, by what it found in Redis, by a call under way, and by a new one. */
  cached: number;
  found: number;
  joined: number;
  fetched: number;
  /** Updates told, one for each follower. */
  updates: number;
  /** Scripts run by Redis. */
  scripts: number;
  /** For how long statuses are kept as fresh, all replicas together. */
  keptMs: number;
}

/** As in src/status/poller.ts. */
const GROWTH = 1.5;
const JITTER = 0.1;
/** As in src/status/shared-statuses.ts. */
const LOOK_MS = { first: 10, growth: 1.5, longest: 100 };
/** Followers come within so long. */
const JOIN_MS = 1_000;

/** Numbers in [0, 1), always the same ones (mulberry32). */
export function createRandom(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The lives of so many batches, one after the other, and what they have cost together. */
export function simulate(fleet: Fleet, watched: Watched, batches: number): Counts {
  const random = createRandom();
  const counts: Counts = {
    calls: 0,
    polls: 0,
    queries: 0,
    cached: 0,
    found: 0,
    joined: 0,
    fetched: 0,
    updates: 0,
    scripts: 0,
    keptMs: 0,
  };
  for (let batch = 0; batch < batches; batch += 1) new Life(fleet, watched, random, counts).run();
  return counts;
}

/** How often a replica looks in Redis that waits so long for another's call. */
function looksWithin(ms: number): number {
  let looks = 0;
  let lookMs = LOOK_MS.first;
  for (let at = 0; at < ms; looks += 1) {
    at += lookMs;
    lookMs = Math.min(LOOK_MS.growth * lookMs, LOOK_MS.longest);
  }
  return looks;
}

/** Where a status is kept and asked for: by each replica on its own, or by all together. */
interface Source {
  freshUntil: number;
  /** When the call under way has its answer, who waits for it, and what it will say. */
  landsAt: number | undefined;
  waiting: Set<number>;
  version: number;
  /** Replicas that poll by it, and their followers. */
  pollers: Set<number>;
  followers: number;
  pollAt: number | undefined;
  waitMs: number;
  told: number | undefined;
  isSettling: boolean;
}

class Life {
  readonly #fleet: Fleet;
  readonly #watched: Watched;
  readonly #random: () => number;
  /** The last is the next. */
  readonly #agenda: { at: number; run: () => void }[] = [];
  readonly #sources = new Map<number, Source>();
  /** Until when each replica serves what it has. */
  readonly #cachedUntil = new Map<number, number>();
  readonly #changeOffset: number;
  #now = 0;
  readonly #counts: Counts;

  constructor(fleet: Fleet, watched: Watched, random: () => number, counts: Counts) {
    this.#fleet = fleet;
    this.#watched = watched;
    this.#random = random;
    this.#counts = counts;
    this.#changeOffset = random() * watched.changesMs;
  }

  run(): void {
    const { runsMs, staysMs, followers, dashboards, everyMs } = this.#watched;
    for (let count = this.#countOf(followers); count > 0; count -= 1) {
      this.#at(this.#random() * Math.min(JOIN_MS, runsMs), () => this.#join());
    }
    for (let count = this.#countOf(dashboards); count > 0; count -= 1) {
      this.#at(this.#random() * everyMs, () => this.#query());
    }
    for (let next = this.#agenda.pop(); next; next = this.#agenda.pop()) {
      if (next.at >= runsMs + staysMs) break;
      this.#now = next.at;
      next.run();
    }
  }

  #at(at: number, run: () => void): void {
    const index = this.#agenda.findLastIndex((other) => other.at > at);
    this.#agenda.splice(index + 1, 0, { at, run });
  }

  #countOf(mean: number): number {
    return Math.floor(mean + this.#random());
  }

  #anyReplica(): number {
    return Math.floor(this.#random() * this.#fleet.replicas);
  }

  #sourceOf(replica: number): Source {
    const id = this.#fleet.redis ? 0 : replica;
    const known = this.#sources.get(id);
    if (known !== undefined) return known;
    const source: Source = {
      freshUntil: 0,
      landsAt: undefined,
      waiting: new Set(),
      version: 0,
      pollers: new Set(),
      followers: 0,
      pollAt: undefined,
      waitMs: this.#fleet.followMinMs,
      told: undefined,
      isSettling: false,
    };
    this.#sources.set(id, source);
    return source;
  }

  get #isFinished(): boolean {
    return this.#now >= this.#watched.runsMs;
  }

  #query(): void {
    this.#counts.queries += 1;
    this.#at(this.#now + this.#watched.everyMs, () => this.#query());
    const replica = this.#anyReplica();
    if (this.#now < (this.#cachedUntil.get(replica) ?? 0)) this.#counts.cached += 1;
    else this.#counts[this.#get(replica)] += 1;
  }

  /** What a replica does that has nothing fresh. */
  #get(replica: number): 'found' | 'joined' | 'fetched' {
    const source = this.#sourceOf(replica);
    if (source.waiting.has(replica)) return 'joined';
    if (this.#fleet.redis) this.#counts.scripts += 1;
    if (this.#now < source.freshUntil) {
      this.#keep(replica, source);
      return 'found';
    }
    if (source.landsAt !== undefined) {
      if (this.#fleet.redis) this.#counts.scripts += looksWithin(source.landsAt - this.#now);
      source.waiting.add(replica);
      return 'joined';
    }
    this.#call(source, replica);
    return 'fetched';
  }

  #call(source: Source, replica: number): void {
    this.#counts.calls += 1;
    source.landsAt = this.#now + this.#fleet.latencyMs;
    source.waiting.add(replica);
    const { changesMs } = this.#watched;
    source.version = this.#isFinished
      ? Number.POSITIVE_INFINITY
      : Math.floor((this.#now + this.#changeOffset) / changesMs);
    this.#at(source.landsAt, () => this.#land(source));
  }

  #land(source: Source): void {
    const { statusTtlMs, statusFinishedTtlMs, redis } = this.#fleet;
    const isFinal = source.version === Number.POSITIVE_INFINITY;
    source.freshUntil = this.#now + (isFinal ? statusFinishedTtlMs : statusTtlMs);
    source.landsAt = undefined;
    // It is published, and read by all who poll.
    if (redis) this.#counts.scripts += Math.max(1, source.pollers.size);
    for (const replica of new Set([...source.waiting, ...source.pollers])) {
      this.#keep(replica, source);
    }
    source.waiting.clear();
    if (source.pollers.size > 0) this.#tell(source);
  }

  #keep(replica: number, { freshUntil }: Source): void {
    this.#cachedUntil.set(replica, freshUntil);
    this.#counts.keptMs += freshUntil - this.#now;
  }

  #join(): void {
    const replica = this.#anyReplica();
    const source = this.#sourceOf(replica);
    source.followers += 1;
    const isFirst = !source.pollers.has(replica);
    source.pollers.add(replica);
    if (isFirst && this.#get(replica) !== 'found') return;
    if (source.pollAt === undefined) this.#tell(source);
    else this.#counts.updates += 1;
  }

  /** Followers are told what is new, and the next poll is set. */
  #tell(source: Source): void {
    const { followMinMs, followMaxMs } = this.#fleet;
    const isNews = source.version !== source.told;
    if (isNews) this.#counts.updates += source.followers;
    if (isNews || source.isSettling) source.waitMs = followMinMs;
    else source.waitMs = Math.min(followMaxMs, GROWTH * source.waitMs);
    source.isSettling = isNews;
    source.told = source.version;
    if (source.version === Number.POSITIVE_INFINITY) {
      source.pollAt = undefined;
      source.pollers.clear();
      return;
    }
    // Each replica that polls has a wait of its own, and the shortest one counts.
    const chances = Array.from(source.pollers, this.#random);
    const pollAt = this.#now + source.waitMs * (1 - JITTER * Math.max(...chances));
    source.pollAt = pollAt;
    this.#at(pollAt, () => {
      if (source.pollAt === pollAt) this.#poll(source);
    });
  }

  #poll(source: Source): void {
    source.pollAt = undefined;
    // A call that a query began is as good.
    if (source.landsAt !== undefined) return;
    const [replica = 0] = source.pollers;
    this.#counts.polls += 1;
    if (this.#fleet.redis) this.#counts.scripts += 1;
    this.#call(source, replica);
  }
}
