import type { IncomingMessage } from 'node:http';
import type { TenantSettings } from '../config/tenant-settings.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import { AllowedOrigins } from '../server/guards/allowed-origins.ts';
import { type Cors, createCors } from '../server/guards/cors.ts';
import type { RateLimit } from '../server/guards/rate-limit.ts';
import {
  createTenantSelection,
  type TenantSelection,
  type TenantSelectionOptions,
  unknownTenant,
} from '../server/guards/tenant.ts';
import type { ServedTenants } from '../server/pipeline.ts';
import { methodsOf, type Tenant } from './tenant.ts';

interface TenantRegistryOptions {
  /** Those that there are at the start. */
  tenants: Iterable<TenantSettings>;
  selection: Omit<TenantSelectionOptions, 'tenantOfHost'>;
  create(tenant: TenantSettings): Promise<Tenant>;
  /** Ends the streams of a tenant that is not served as it was. */
  endStreams(name: string): void;
  /** For requests that mean none of them; undefined: none. */
  rateLimit: RateLimit | undefined;
  /** Tenants that are served at a time: beyond that, whoever was not asked for longest makes room. */
  maxActive: number;
  /** By then a request that is under way has made its last upstream call, in milliseconds. */
  requestMs: number;
  clock: Clock;
  telemetry: Telemetry;
}

/** A tenant that nobody asked for within so long is not kept ready. */
const IDLE_MS = 3_600_000;
const IDLE_LOOK_MS = 60_000;

/** Who makes room for another lasts until its requests are over: there are as many of them as are served, or so many. */
const MIN_MAKING_ROOM = 16;

/** One self of a tenant: other settings make another. */
interface Entry {
  readonly of: TenantSettings;
  readonly cors: Cors;
  /** Undefined until somebody asks for it. */
  tenant: Tenant | undefined;
  building: Promise<Tenant> | undefined;
  usedAt: number;
}

/**
 * The tenants that are served here. What serves one is made when the first request means it, and let go when none has
 * for an hour. Settings that change make another self: requests under way finish with the old one, streams are ended,
 * and their clients come again to the new one.
 */
export class TenantRegistry implements ServedTenants {
  readonly #options: TenantRegistryOptions;
  readonly #selection: TenantSelection;
  readonly #entries = new Map<string, Entry>();
  readonly #hosts = new Map<string, string>();
  /** Not served any more, with requests that may be under way. */
  readonly #retired = new Set<Tenant>();
  /** For a request that means nobody known: the origins of all. */
  #corsOfAll: Cors | undefined;
  #isLooking = false;
  /** How many have made room for another, and last still. */
  #makingRoom = 0;

  constructor(options: TenantRegistryOptions) {
    this.#options = options;
    this.#selection = createTenantSelection({
      ...options.selection,
      tenantOfHost: (host) => this.#hosts.get(host) ?? this.#hosts.get(host.replace(/:\d*$/, '')),
    });
    for (const tenant of options.tenants) this.put(tenant);
  }

  get rateLimit(): RateLimit | undefined {
    return this.#options.rateLimit;
  }

  /** How many tenants there are. */
  get size(): number {
    return this.#entries.size;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Those that are served now. */
  *active(): Generator<Tenant> {
    for (const { tenant } of this.#entries.values()) if (tenant !== undefined) yield tenant;
  }

  find(request: IncomingMessage): Tenant | Promise<Tenant> {
    const entry = this.#entries.get(this.#selection.ofRequest(request));
    if (entry === undefined) throw unknownTenant();
    entry.usedAt = this.#options.clock.now();
    return entry.tenant ?? entry.building ?? this.#build(entry);
  }

  corsOf(request: IncomingMessage): Cors {
    const name = this.#selection.ofConnection(request);
    const entry = name === undefined ? undefined : this.#entries.get(name);
    if (entry !== undefined) return entry.cors;
    this.#corsOfAll ??= corsOf(
      [...this.#entries.values()].map(({ of }) => of),
      this.#options.telemetry,
    );
    return this.#corsOfAll;
  }

  /** A tenant that is new, or has other settings. */
  put(tenant: TenantSettings): void {
    this.remove(tenant.name);
    const entry = {
      of: tenant,
      cors: corsOf([tenant], this.#options.telemetry),
      tenant: undefined,
      building: undefined,
    };
    this.#entries.set(tenant.name, { ...entry, usedAt: this.#options.clock.now() });
    for (const host of tenant.settings.tenantHosts) this.#hosts.set(host, tenant.name);
    this.#corsOfAll = undefined;
  }

  /** Ends the connections of all. */
  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    const built = await Promise.allSettled(entries.map(({ building }) => building));
    const tenants = [
      ...this.#retired,
      ...entries.map(({ tenant }) => tenant),
      ...built.map((result) => (result.status === 'fulfilled' ? result.value : undefined)),
    ];
    await Promise.all([...new Set(tenants)].map((tenant) => tenant?.close()));
  }

  /** Rejects with a {@link RefusedRequest} where too many take each other's places. */
  async #build(entry: Entry): Promise<Tenant> {
    const { maxActive } = this.#options;
    const areMany = this.#makingRoom >= Math.max(maxActive, MIN_MAKING_ROOM);
    if (areMany && [...this.active()].length >= maxActive) throw tooManyTenants();
    const building = this.#options.create(entry.of);
    entry.building = building;
    try {
      const tenant = await building;
      // It may have changed meanwhile.
      if (this.#entries.get(entry.of.name) === entry) {
        entry.tenant = tenant;
        this.#makeRoomFor(entry);
      } else this.#retire(tenant);
      this.#lookLater();
      return tenant;
    } finally {
      entry.building = undefined;
    }
  }

  /** A tenant that is not served here any more. */
  remove(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    // One that another tenant has by now stays that one's.
    for (const host of entry.of.settings.tenantHosts) {
      if (this.#hosts.get(host) === name) this.#hosts.delete(host);
    }
    this.#corsOfAll = undefined;
    this.#letGo(entry);
  }

  /** Has what serves a tenant ended. */
  #letGo(entry: Entry): void {
    const { tenant } = entry;
    entry.tenant = undefined;
    this.#options.endStreams(entry.of.name);
    if (tenant !== undefined) this.#retire(tenant);
  }

  /** Its requests under way finish first. */
  #retire(tenant: Tenant): void {
    const { clock, requestMs } = this.#options;
    this.#retired.add(tenant);
    tenant.retire();
    clock.after(requestMs, () => {
      this.#retired.delete(tenant);
      void tenant.close();
    });
  }

  /** Lets another go where one too many is served now. */
  #makeRoomFor(entry: Entry): void {
    const others = [...this.#entries.values()].filter(
      (other) => other.tenant !== undefined && other !== entry,
    );
    if (others.length < this.#options.maxActive) return;
    const byUse = others.sort((a, b) => a.usedAt - b.usedAt);
    const [oldest] = byUse;
    const spared = byUse.find(({ tenant }) => !isFollowed(tenant)) ?? oldest;
    if (spared === undefined) return;
    this.#letGo(spared);
    this.#makingRoom += 1;
    this.#options.clock.after(this.#options.requestMs, () => {
      this.#makingRoom -= 1;
    });
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#options.clock.after(IDLE_LOOK_MS, () => this.#look());
  }

  /** Lets go what is idle. */
  #look(): void {
    const now = this.#options.clock.now();
    let isAnyActive = false;
    for (const entry of this.#entries.values()) {
      if (entry.tenant === undefined) continue;
      if (isFollowed(entry.tenant)) entry.usedAt = now;
      if (now - entry.usedAt >= IDLE_MS) this.#letGo(entry);
      else isAnyActive = true;
    }
    this.#isLooking = false;
    if (isAnyActive) this.#lookLater();
  }
}

function tooManyTenants(): RefusedRequest {
  return new RefusedRequest(
    'OVERLOADED',
    503,
    'The gateway has more tenants to serve than it can at a time: try again in a moment.',
    { retryAfterMs: 1_000, detail: 'more tenants are asked for in turn than MAX_ACTIVE_TENANTS' },
  );
}

function isFollowed(tenant: Tenant | undefined): boolean {
  return tenant !== undefined && tenant.services.followService.use().followers > 0;
}

function corsOf(tenants: readonly TenantSettings[], telemetry: Telemetry): Cors {
  const origins = new AllowedOrigins(tenants.flatMap(({ settings }) => [...settings.corsOrigins]));
  // Whether queries may come by GET is the same for all.
  const [first] = tenants;
  return createCors({ origins, telemetry, methods: first ? methodsOf(first.settings) : ['POST'] });
}
