import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { DeadlineExceeded, RefusedRequest } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { untilAborted } from '../lib/abort.ts';
import type { AccessTokenVerifier, TokenClaims } from './access-token.ts';
import { InvalidTokenError, KeysUnavailableError } from './errors.ts';

interface AuthenticateOptions {
  tenantId: string;
  /** Undefined: nobody's identity is checked. */
  tokens: AccessTokenVerifier | undefined;
  /** The scopes that a token must have, all of them. */
  requiredScopes: readonly string[];
  /**
   * What makes a request a router's, which may ask for `_service` and `_entities`; with neither, every one is.
   * `isRequired`: nobody else may ask for anything.
   */
  router: { secret: string | undefined; scope: string | undefined; isRequired: boolean };
  /** Whether the upstream is told who calls, so that answers are a user's own. */
  forwardUserInfo: boolean;
  telemetry: Telemetry;
}

/**
 * Tells on whose behalf a request is made. Throws, or rejects with, a {@link RefusedRequest} as RFC 6750, section
 * 3 has it: 401 for a token that is missing or bad, 403 for one without a required scope, or where a router is
 * required and this is none; 503 while the issuer's keys cannot be had, or not before the request's deadline. A
 * token that was verified before costs no wait: then it is no promise.
 */
type Authenticate = (
  headers: IncomingHttpHeaders,
  context: RequestContext,
) => Principal | Promise<Principal>;

/** The header by which a router shows that it is one. */
const ROUTER_HEADER = 'router-authorization';

/** Scheme and token, RFC 6750, section 2.1. Tokens elsewhere (query, form) are not looked for. */
const BEARER = /^bearer +([\w.~+/-]+=*) *$/i;

const NO_SCOPES: ReadonlySet<string> = new Set();

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { tenantId, tokens, requiredScopes, router, forwardUserInfo, telemetry } = options;
  const anyoneIsRouter = router.secret === undefined && router.scope === undefined;
  const secretDigest = router.secret === undefined ? undefined : digest(router.secret);
  /** Principals of tokens that are known, by what their tokens say: as a router, and not as one. */
  const ofRouters = new WeakMap<TokenClaims, Principal>();
  const ofOthers = new WeakMap<TokenClaims, Principal>();
  const unknownRouter = anonymous(true);
  const unknownOther = anonymous(false);

  function anonymous(isRouter: boolean): Principal {
    return {
      tenantId,
      subject: undefined,
      name: undefined,
      scopes: NO_SCOPES,
      participantTypes: undefined,
      isRouter,
      isProvenRouter: isRouter && !anyoneIsRouter,
      expiresAt: undefined,
      cachePartition: JSON.stringify([tenantId, null, null, isRouter]),
    };
  }

  function hasRouterSecret(headers: IncomingHttpHeaders, { id }: RequestContext): boolean {
    const given = headers[ROUTER_HEADER];
    if (secretDigest === undefined || typeof given !== 'string') return false;
    const isRight = timingSafeEqual(digest(given), secretDigest);
    if (!isRight) telemetry.routerSecretWrong?.({ requestId: id });
    return isRight;
  }

  function principalOf(claims: TokenClaims, showsSecret: boolean): Principal {
    const { subject, name, scopes, participantTypes } = claims;
    if (!requiredScopes.every((scope) => scopes.has(scope))) {
      throw missingScope(requiredScopes, claims);
    }
    const isRouter = showsSecret || (router.scope !== undefined && scopes.has(router.scope));
    if (router.isRequired && !isRouter) throw forRouter(subject);
    const known = isRouter ? ofRouters : ofOthers;
    let principal = known.get(claims);
    if (principal === undefined) {
      const types = participantTypes && [...participantTypes].sort();
      const user = forwardUserInfo ? [subject, name] : undefined;
      const cachePartition = JSON.stringify([tenantId, types, user, isRouter]);
      const isProvenRouter = isRouter && !anyoneIsRouter;
      principal = { ...claims, tenantId, isRouter, isProvenRouter, cachePartition };
      known.set(claims, principal);
    }
    return principal;
  }

  async function verify(
    verifier: AccessTokenVerifier,
    token: string,
    showsSecret: boolean,
    { signal }: RequestContext,
  ): Promise<Principal> {
    let claims: TokenClaims;
    try {
      claims = await untilAborted(verifier.verify(token), signal);
    } catch (error) {
      throw toRefusal(error);
    }
    return principalOf(claims, showsSecret);
  }

  return (headers, context) => {
    const showsSecret = anyoneIsRouter || hasRouterSecret(headers, context);
    if (tokens === undefined) {
      if (router.isRequired && !showsSecret) throw forRouter();
      return showsSecret ? unknownRouter : unknownOther;
    }
    const { authorization } = headers;
    const token = bearerToken(authorization);
    if (token === undefined) throw missingToken(authorization);
    const claims = tokens.known(token);
    return claims === undefined
      ? verify(tokens, token, showsSecret, context)
      : principalOf(claims, showsSecret);
  };
}

/** The token of an `authorization` header; undefined: it has none of this scheme. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return BEARER.exec(authorization ?? '')?.[1];
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** RFC 6750, section 3.1: who shows no token is told no error code. */
export function missingToken(authorization: string | undefined): RefusedRequest {
  return authorization === undefined || !/^bearer\b/i.test(authorization)
    ? new RefusedRequest(
        'UNAUTHENTICATED',
        401,
        'The request has no access token: send the header "authorization: Bearer …".',
        { headers: { 'www-authenticate': 'Bearer' }, detail: 'there is no bearer token' },
      )
    : invalidToken('The access token is not valid.', 'it is no bearer token');
}

export function invalidToken(message: string, detail?: string): RefusedRequest {
  const description = message.replace(/\.$/, '');
  return new RefusedRequest('UNAUTHENTICATED', 401, message, {
    headers: {
      'www-authenticate': `Bearer error="invalid_token", error_description="${description}"`,
    },
    detail,
  });
}

/** Of somebody who has shown nothing that makes a request a router's. */
function forRouter(subject?: string): RefusedRequest {
  return new RefusedRequest('FORBIDDEN', 403, 'The gateway is for its router only.', {
    detail:
      'CALLERS is router, and this is none: it shows neither FEDERATION_SECRET nor FEDERATION_SCOPE',
    subject,
  });
}

function missingScope(
  scopes: readonly string[],
  { scopes: given, subject }: TokenClaims,
): RefusedRequest {
  return new RefusedRequest(
    'FORBIDDEN',
    403,
    `The access token needs the ${scopes.length === 1 ? 'scope' : 'scopes'} ${scopes.join(', ')}.`,
    {
      headers: {
        'www-authenticate': `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"`,
      },
      detail: `the token lacks ${scopes.filter((scope) => !given.has(scope)).join(', ')}`,
      subject,
    },
  );
}

function toRefusal(error: unknown): unknown {
  if (error instanceof InvalidTokenError) return invalidToken(error.message, error.reason);
  if (error instanceof KeysUnavailableError) {
    const { message, reason: detail, retryAfterMs } = error;
    return new RefusedRequest('TOKEN_UNAVAILABLE', 503, message, { retryAfterMs, detail });
  }
  if (error instanceof DeadlineExceeded) {
    return new RefusedRequest(
      'TOKEN_UNAVAILABLE',
      503,
      "The gateway cannot check access tokens: their issuer's keys do not come.",
      { detail: "the keys of callers' tokens did not come in time" },
    );
  }
  return error;
}
