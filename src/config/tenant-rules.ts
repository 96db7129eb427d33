import { isLoopbackHost } from '../lib/loopback.ts';
import { type Fault, type Given, infoOf, VARIABLE_NAMES } from './variables.ts';

/** Of the process: what is wrong between TENANTS_DIR and its other variables. */
export function faultyTenants(given: Given): Fault[] {
  if (given.TENANTS_DIR === undefined) {
    return (['TENANT_CLAIM', 'TENANT_HEADER', 'TENANT_HOSTS', 'MAX_ACTIVE_TENANTS'] as const)
      .filter((name) => given[name] !== undefined)
      .map((name) => [name, 'is set without TENANTS_DIR']);
  }
  const faults: Fault[] = VARIABLE_NAMES.filter(
    (name) => given[name] !== undefined && infoOf(name).perTenant === 'own',
  ).map((name) => [name, "is set together with TENANTS_DIR: set it in each tenant's file"]);
  if (given.SANDBOX === 'on') {
    faults.push(['SANDBOX', 'is on together with TENANTS_DIR: one of them']);
  }
  if (given.TENANT_CLAIM !== undefined && given.AUTH_MODE !== 'jwt') {
    faults.push(['TENANT_CLAIM', 'is set without AUTH_MODE=jwt']);
  }
  if (given.TENANT_HEADER !== undefined && given.TRUSTED_PROXIES === undefined) {
    faults.push(['TENANT_HEADER', 'is set without TRUSTED_PROXIES: whoever calls could write it']);
  }
  return faults;
}

/** Of one tenant of many: whether a request can mean it, and nobody else can make one that does. */
export function faultyHosts(given: Given): Fault[] {
  const { TENANT_CLAIM, TENANT_HEADER, TENANT_HOSTS, AUTH_MODE, TRUSTED_PROXIES } = given;
  if (TENANT_HOSTS === undefined) {
    return (TENANT_CLAIM ?? TENANT_HEADER) === undefined
      ? [['TENANT_HOSTS', 'is missing, although neither TENANT_CLAIM nor TENANT_HEADER is set']]
      : [];
  }
  if (AUTH_MODE === undefined && !TENANT_HOSTS.split(',').every(isOwnHost)) {
    return [
      [
        'TENANT_HOSTS',
        'has names of others than this machine, which are not answered without AUTH_MODE: to try it, take names below localhost',
      ],
    ];
  }
  return AUTH_MODE === 'none' && TRUSTED_PROXIES === undefined
    ? [
        [
          'TENANT_HOSTS',
          'is set with AUTH_MODE=none, but without TRUSTED_PROXIES: whoever calls could write any Host',
        ],
      ]
    : [];
}

/** As `server/guards/head.ts` answers them without AUTH_MODE. */
function isOwnHost(host: string): boolean {
  const name = host.trim().toLowerCase().replace(/:\d+$/, '');
  return isLoopbackHost(name) || name.endsWith('.localhost');
}
