import type { IncomingHttpHeaders } from 'node:http';
import { decodeJwt, type JWTPayload } from 'jose';
import { claimAt } from './access-token.ts';
import { bearerToken, invalidToken, missingToken } from './authenticate.ts';

/**
 * The tenant that the access token of a request names in this claim. It is not verified: that tenant will do so, or
 * refuse. Throws a `RefusedRequest`, 401, where there is no token, or none that names a tenant.
 */
export function createTenantOfToken(claim: string): (headers: IncomingHttpHeaders) => string {
  return ({ authorization }) => {
    const token = bearerToken(authorization);
    if (token === undefined) throw missingToken(authorization);
    const tenant = claimAt(payloadOf(token), claim);
    if (typeof tenant !== 'string' || tenant === '') {
      throw invalidToken('The access token names no tenant.', `no text in the claim ${claim}`);
    }
    return tenant;
  };
}

function payloadOf(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch {
    throw invalidToken('The access token is not valid.', 'it is no JWT');
  }
}
