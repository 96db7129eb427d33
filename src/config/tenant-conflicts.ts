import type { TenantSettings } from './tenant-settings.ts';
import type { Fault } from './variables.ts';

/**
 * What makes a tenant one with another: a Host in common; tokens that both accept, where no claim tells them apart;
 * or the same tenant of the same service, where most likely a file was copied, and not changed.
 */
export function conflictsOf(tenant: TenantSettings, others: Iterable<TenantSettings>): Fault[] {
  const faults: Fault[] = [];
  for (const other of others) {
    const [mine, theirs] = [tenant.settings, other.settings];
    const host = mine.tenantHosts.find((each) => theirs.tenantHosts.some((its) => meet(each, its)));
    if (host !== undefined) {
      faults.push(['TENANT_HOSTS', `has ${host}, which means tenant ${other.name}`]);
    }
    const audience = mine.auth.audiences.find((each) => theirs.auth.audiences.includes(each));
    const { issuer } = mine.auth;
    const sameTokens =
      issuer !== undefined && issuer === theirs.auth.issuer && audience !== undefined;
    if (sameTokens && mine.tenants?.claim === undefined) {
      faults.push([
        'AUTH_AUDIENCE',
        `has one of tenant ${other.name}, whose AUTH_ISSUER is the same, and no TENANT_CLAIM tells their tokens apart`,
      ]);
    }
    const [service, its] = [mine.participantService, theirs.participantService];
    if (service?.tenantId === its?.tenantId && service?.url.href === its?.url.href) {
      faults.push([
        'PARTICIPANT_SERVICE_TENANT_ID',
        `is, at the same PARTICIPANT_SERVICE_URL, that of tenant ${other.name}: callers of each would see the other's batches`,
      ]);
    }
  }
  return faults;
}

/** Whether a request can have a Host that is both: without a port it is any. */
function meet(a: string, b: string): boolean {
  return a === b || a === withoutPort(b) || withoutPort(a) === b;
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '');
}
