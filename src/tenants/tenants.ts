import type { Settings } from '../config/settings.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import type { ReadinessChecks } from '../server/health.ts';
import type { ServedTenants } from '../server/pipeline.ts';
import type { TenantServices } from './services.ts';
import type { SharedParts } from './tenant.ts';

export interface OpenTenantsOptions {
  settings: Settings;
  clock: Clock;
  telemetry: Telemetry;
  shared: SharedParts;
  /** Ends the streams of a tenant that is not served as it was. */
  endStreams(name: string): void;
}

/** Whom the gateway serves: the one tenant of the environment, or those of TENANTS_DIR. */
export interface Tenants {
  readonly served: ServedTenants;
  readonly readiness: ReadinessChecks;
  /** The services of those that are served now. */
  services(): Iterable<TenantServices>;
  /** What there is of several tenants; undefined: there is one. */
  readonly several: SeveralTenants | undefined;
  /** Asks for tokens and keys ahead of the first request, where there is one tenant. */
  prime(): void;
  readonly sandboxToken: string | undefined;
  close(): Promise<void>;
}

/** For metrics. */
export interface SeveralTenants {
  counts(): Readonly<Record<'configured' | 'active' | 'faulty', number>>;
  each(): Iterable<{ name: string; isFailing: boolean; lacksToken: boolean }>;
}
