import type { IncomingMessage, ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Clock } from '../lib/clock.ts';

/** The audience of the sandbox's tokens. */
export const AUDIENCE = 'participant-gateway';

const LIFETIME_MS = 8 * 60 * 60 * 1000;
const KEY_ID = 'sandbox';

/** An OpenID provider as small as can be: it has metadata, a key, and a token for who asks by code. */
export interface Issuer {
  /** Answers the metadata and the key set; false for any other path. */
  handle(path: string, request: IncomingMessage, response: ServerResponse): boolean;
  /** An access token (RFC 9068), good for 8 hours, of the sandbox's user unless `claims` say otherwise. */
  issueToken(claims: Readonly<Record<string, unknown>>): Promise<string>;
}

/** Its key is made anew at each start. */
export async function createIssuer(clock: Clock, origin: () => string): Promise<Issuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'ES256', use: 'sig' };

  function documentAt(path: string): object | undefined {
    if (path === '/jwks') return { keys: [jwk] };
    if (path !== '/.well-known/openid-configuration') return undefined;
    return { issuer: origin(), jwks_uri: `${origin()}/jwks` };
  }

  return {
    handle(path, request, response) {
      const document = request.method === 'GET' ? documentAt(path) : undefined;
      if (document === undefined) return false;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(document));
      return true;
    },
    issueToken(claims) {
      const now = clock.date();
      return new SignJWT({
        sub: 'sandbox-user',
        name: 'Sandbox User',
        client_id: 'sandbox',
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: KEY_ID })
        .setIssuer(origin())
        .setAudience(AUDIENCE)
        .setIssuedAt(now)
        .setExpirationTime(new Date(now.getTime() + LIFETIME_MS))
        .sign(privateKey);
    },
  };
}
