import { createTenant } from './tenant.ts';
import type { OpenTenantsOptions, Tenants } from './tenants.ts';

/** Rejects with a `SettingsError` where none can be served. */
export async function openTenants(options: OpenTenantsOptions): Promise<Tenants> {
  const { tenants } = options.settings;
  if (tenants === undefined) return openOne(options);
  const { openDirectory } = await import('./directory.ts');
  return openDirectory(tenants, options);
}

async function openOne({ settings, shared }: OpenTenantsOptions): Promise<Tenants> {
  const tenant = await createTenant(settings, shared);
  return {
    served: { find: () => tenant, corsOf: () => tenant.cors, rateLimit: undefined },
    readiness: tenant.readiness,
    services: () => [tenant.services],
    several: undefined,
    prime: tenant.prime,
    sandboxToken: tenant.sandboxToken,
    close: tenant.close,
  };
}
