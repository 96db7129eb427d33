import type { TenantSettings } from './tenant-settings.ts';
import type { Fault } from './variables.ts';

/**
 * What tenants may not have in common: a Host; tokens that both accept, where no claim tells them apart; and the same
 * tenant of the same service, which most likely is a file that was copied, and not changed.
 */
export class TenantConflicts {
  /** The name of a tenant that has it, by what there can be one of. */
  readonly #holders = new Map<string, string>();

  /** A tenant that others may not be in conflict with. */
  add(tenant: TenantSettings): void {
    for (const key of [serviceKey(tenant), ...tokenKeys(tenant)]) {
      this.#holders.set(key, tenant.name);
    }
    for (const host of tenant.settings.tenantHosts) {
      this.#holders.set(host, tenant.name);
      this.#holders.set(anyPortOf(host), tenant.name);
    }
  }

  /** What is wrong with a tenant beside those that were added. */
  of(tenant: TenantSettings): Fault[] {
    const faults: Fault[] = [];
    for (const host of tenant.settings.tenantHosts) {
      // Without a port, it is in conflict with any.
      const bare = bareHost(host);
      const holder =
        this.#holders.get(host) ?? this.#holders.get(bare === host ? anyPortOf(host) : bare);
      if (holder !== undefined) {
        faults.push(['TENANT_HOSTS', `has ${host}, which means tenant ${holder}`]);
      }
    }
    const [issuing] = tokenKeys(tenant).flatMap((key) => this.#holders.get(key) ?? []);
    if (issuing !== undefined) {
      faults.push([
        'AUTH_AUDIENCE',
        `has one of tenant ${issuing}, whose AUTH_ISSUER is the same, and no TENANT_CLAIM tells their tokens apart`,
      ]);
    }
    const same = this.#holders.get(serviceKey(tenant));
    if (same !== undefined) {
      faults.push([
        'PARTICIPANT_SERVICE_TENANT_ID',
        `is, at the same PARTICIPANT_SERVICE_URL, that of tenant ${same}: callers of each would see the other's batches`,
      ]);
    }
    return faults;
  }
}

function serviceKey({ settings: { participantService: service } }: TenantSettings): string {
  return JSON.stringify([service?.url.href, service?.tenantId]);
}

function tokenKeys({ settings: { auth, tenants } }: TenantSettings): string[] {
  const { issuer, audiences } = auth;
  if (issuer === undefined || tenants?.claim !== undefined) return [];
  return audiences.map((audience) => JSON.stringify([issuer, audience, 'token']));
}

function bareHost(host: string): string {
  return host.replace(/:\d+$/, '');
}

function anyPortOf(host: string): string {
  return `${bareHost(host)}:*`;
}
