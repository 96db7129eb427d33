import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { RefusedRequest } from '../../core/errors.ts';

export interface TenantSelectionOptions {
  /** The header in which a trusted proxy names the tenant, in lower case; undefined: there is none. */
  header: string | undefined;
  isFromTrustedProxy(request: IncomingMessage): boolean;
  /** Whether the Host of a client that is no trusted proxy means a tenant, too: it may write there what it likes. */
  believesClients: boolean;
  /** The tenant that a Host means, in lower case; undefined: none. */
  tenantOfHost(host: string): string | undefined;
  /**
   * The tenant that the caller's token names, not yet verified. Throws a {@link RefusedRequest} where it names none.
   * Undefined: tokens do not say it.
   */
  tenantOfToken: ((headers: IncomingHttpHeaders) => string) | undefined;
}

/** Tells which tenant a request means. It only selects: what a caller may see is for that tenant to decide. */
export interface TenantSelection {
  /** By the Host, or by what a trusted proxy says; undefined: neither tells. */
  ofConnection(request: IncomingMessage): string | undefined;
  /**
   * By all that tells. Throws a {@link RefusedRequest}: 404 where nothing does, 403 where two disagree, 401 for a token
   * that names none.
   */
  ofRequest(request: IncomingMessage): string;
}

export function createTenantSelection(options: TenantSelectionOptions): TenantSelection {
  const { header, isFromTrustedProxy, believesClients, tenantOfHost, tenantOfToken } = options;

  /** What the connection says, by header and by Host. Two at most. */
  function named(request: IncomingMessage): readonly string[] {
    const isTrusted = isFromTrustedProxy(request);
    const { host = '', [header ?? '']: given } = request.headers;
    const ofHost = isTrusted || believesClients ? tenantOfHost(host.toLowerCase()) : undefined;
    const ofHeader = isTrusted && header !== undefined && given !== undefined ? [given].flat() : [];
    return ofHost === undefined ? ofHeader : [ofHost, ...ofHeader];
  }

  return {
    ofConnection: (request) => onlyOne(named(request)),
    ofRequest(request) {
      const names = [...named(request), ...(tenantOfToken ? [tenantOfToken(request.headers)] : [])];
      const [first] = names;
      if (first === undefined) throw unknownTenant();
      const name = onlyOne(names);
      if (name === undefined) {
        throw new RefusedRequest(
          'FORBIDDEN',
          403,
          'The request means two tenants: its Host, its access token and what a proxy says do not agree.',
        );
      }
      return name;
    },
  };
}

/** Undefined where there is none, or they differ. */
function onlyOne(names: readonly string[]): string | undefined {
  const [first] = names;
  return names.every((name) => name === first) ? first : undefined;
}

/** A tenant that is not served here, or none that is meant. */
export function unknownTenant(): RefusedRequest {
  return new RefusedRequest(
    'UNKNOWN_TENANT',
    404,
    'The request means no tenant that is served here: its Host, its access token or a proxy says which.',
  );
}
