import type { TenantsSettings } from '../config/settings.ts';
import type { TenantSettings } from '../config/tenant-settings.ts';
import { openTenantsDirectory } from '../config/tenants-directory.ts';
import { createTrustedProxies } from '../server/client-ip.ts';
import type { ReadinessCheck } from '../server/health.ts';
import { TenantRegistry } from './registry.ts';
import { createTenant, rateLimitOf } from './tenant.ts';
import type { OpenTenantsOptions, Tenants } from './tenants.ts';

/** Of one tenant, what all that serves it may hold together: the others have the rest. */
const SHARE_OF_MEMORY = 3 / 4;
/** Beyond the deadline of a request: what it still does when its calls are over. */
const LAST_WORK_MS = 1_000;

/** Serves the tenants of a directory, as its files are at any time. Rejects with a `SettingsError` where none is good. */
export async function openDirectory(
  { directory, environment, claim, header, maxActive }: TenantsSettings,
  { settings, clock, telemetry, shared, endStreams }: OpenTenantsOptions,
): Promise<Tenants> {
  const tenantOfToken = claim === undefined ? undefined : await loadTenantOfToken(claim);
  const rateLimit = await rateLimitOf(settings, '', shared);
  // From here on nothing is waited for: a file may change as soon as they are watched.
  const files = await openTenantsDirectory({
    directory,
    environment,
    clock,
    onChanged(name, tenant) {
      const change = tenant === undefined ? 'removed' : registry.has(name) ? 'changed' : 'added';
      if (tenant === undefined) registry.remove(name);
      else registry.put(tenant);
      telemetry.tenantChanged?.({ tenant: name, change });
    },
    onFault: (tenant, fault) => telemetry.tenantFaulty?.({ tenant, fault }),
    onRepaired: (tenant) => telemetry.tenantRepaired?.({ tenant }),
  });
  for (const [tenant, fault] of files.faults) telemetry.tenantFaulty?.({ tenant, fault });
  const isTrusted = createTrustedProxies(settings.trustedProxies);
  const registry: TenantRegistry = new TenantRegistry({
    tenants: files.tenants.values(),
    selection: {
      header,
      isFromTrustedProxy: ({ socket }) => isTrusted(socket.remoteAddress),
      believesClients: settings.auth.mode !== 'none',
      tenantOfToken,
    },
    create: ({ name, settings: ofTenant }: TenantSettings) =>
      createTenant(
        ofTenant,
        { ...shared, heldMemory: shared.heldMemory.part(SHARE_OF_MEMORY) },
        name,
      ),
    endStreams,
    rateLimit,
    maxActive,
    requestMs: settings.requestDeadlineMs + LAST_WORK_MS,
    clock,
    telemetry,
  });
  return {
    served: registry,
    readiness: { tenants: tenantsReadiness(registry, files) },
    *services() {
      for (const { services } of registry.active()) yield services;
    },
    several: {
      counts: () => ({
        configured: registry.size,
        active: [...registry.active()].length,
        faulty: files.faults.size,
      }),
      *each() {
        for (const { name = '', services } of registry.active()) {
          const isFailing = services.participantService.problem() !== undefined;
          yield { name, isFailing, lacksToken: services.tokens.isFailing() };
        }
      },
    },
    prime() {},
    sandboxToken: undefined,
    async close() {
      files.close();
      await registry.close();
    },
  };
}

async function loadTenantOfToken(claim: string) {
  const { createTenantOfToken } = await import('../auth/tenant-claim.ts');
  return createTenantOfToken(claim);
}

/** So many are named. */
const MAX_NAMED = 10;

/** One tenant's trouble is no reason to take the gateway out of service. */
function tenantsReadiness(
  registry: TenantRegistry,
  files: { readonly faults: ReadonlyMap<string, string> },
): ReadinessCheck {
  return {
    missing: () => (registry.size === 0 ? 'no tenant' : undefined),
    degraded() {
      const problems = [...files.faults.keys()].map((name) => `${name}: its file is faulty`);
      for (const { name = '', services } of registry.active()) {
        const problem = services.participantService.problem();
        if (problem !== undefined) problems.push(`${name}: ${problem}`);
        if (services.tokens.isFailing()) problems.push(`${name}: no access token`);
      }
      const more = problems.length - MAX_NAMED;
      if (problems.length === 0) return undefined;
      return [...problems.slice(0, MAX_NAMED), ...(more > 0 ? [`${more} more`] : [])].join('; ');
    },
  };
}
