import type { Clock } from '../lib/clock.ts';
import type { Environment } from './load.ts';
import type { TenantSettings } from './tenant-settings.ts';

/** The tenants of TENANTS_DIR, as its files are now. */
export interface TenantsDirectory {
  /** Those in force, by name. */
  readonly tenants: ReadonlyMap<string, TenantSettings>;
  /** What is wrong with a file now, by the tenant's name. Its old self, if there was one, stays in force. */
  readonly faults: ReadonlyMap<string, string>;
  /** Ends the watch. */
  close(): void;
}

export interface TenantsDirectoryOptions {
  directory: string;
  environment: Environment;
  clock: Clock;
  /** A tenant is in force from now on: a new one, or another self of it. Undefined: its file was removed. */
  onChanged(name: string, tenant: TenantSettings | undefined): void;
  /** Once for each change that is faulty. The name is undefined where the directory itself cannot be read. */
  onFault(name: string | undefined, message: string): void;
  /** What was faulty is good again, after `onChanged` where it is another self. */
  onRepaired(name: string | undefined): void;
}

/**
 * Reads all files, then watches them. What is found at the start is in `tenants` and `faults`, and not told by the
 * callbacks. Rejects with a `SettingsError` that names every fault where there is no good tenant.
 */
export async function openTenantsDirectory(
  _options: TenantsDirectoryOptions,
): Promise<TenantsDirectory> {
  return { tenants: new Map(), faults: new Map(), close() {} };
}
