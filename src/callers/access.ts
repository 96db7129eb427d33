import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { untilAborted } from '../abort.ts';
import type { Caller, RequestScope } from '../graphql/context.ts';
import { RefusedRequest } from '../graphql/refused-request.ts';
import { type AccessTokenVerifier, InvalidTokenError } from './access-tokens.ts';
import { KeysUnavailableError } from './key-set.ts';

export interface AccessOptions {
  /** Undefined: nobody's identity is checked. */
  tokens: AccessTokenVerifier | undefined;
  /** The scopes that a token must have, all of them. */
  requiredScopes: readonly string[];
  /** What lets a request have `_service` and `_entities`; with neither, every request may. */
  router: { secret: string | undefined; scope: string | undefined };
  /** Whether the upstream is told who calls, so that answers are a user's own. */
  forwardUserInfo: boolean;
}

/** Who may come in, and what they may. */
export interface Access {
  /**
   * Fills in the scope's caller, `isRouter` and `cachePartition`. Throws, or rejects with, a
   * {@link RefusedRequest} as RFC 6750, section 3 has it: 401 for a token that is missing or bad, 403
   * for one without a required scope; 503 while the issuer's keys cannot be had, or not before the
   * request's deadline. A token that was verified before costs no wait: then nothing is returned.
   */
  admit(request: IncomingMessage, scope: RequestScope): Promise<void> | undefined;
}

/** The header by which a router shows that it is one. */
const ROUTER_HEADER = 'router-authorization';

/** Scheme and token, RFC 6750, section 2.1. Tokens elsewhere (query, form) are not looked for. */
const BEARER = /^bearer +([\w.~+/-]+=*) *$/i;

export function createAccess(options: AccessOptions): Access {
  const { tokens, requiredScopes, router, forwardUserInfo } = options;
  const anyoneIsRouter = router.secret === undefined && router.scope === undefined;
  const secretDigest = router.secret === undefined ? undefined : digest(router.secret);
  const cachePartitions = new WeakMap<Caller, string>();

  function hasRouterSecret(headers: IncomingHttpHeaders): boolean {
    const given = headers[ROUTER_HEADER];
    return (
      secretDigest !== undefined &&
      typeof given === 'string' &&
      timingSafeEqual(digest(given), secretDigest)
    );
  }

  function cachePartitionOf(caller: Caller): string {
    const known = cachePartitions.get(caller);
    if (known !== undefined) return known;
    const types = caller.participantTypes && [...caller.participantTypes].sort();
    const user = forwardUserInfo ? [caller.subject, caller.name] : undefined;
    const partition = JSON.stringify([types, user]);
    cachePartitions.set(caller, partition);
    return partition;
  }

  function enter(caller: Caller, scope: RequestScope): void {
    scope.caller = caller;
    if (!requiredScopes.every((name) => caller.scopes.has(name)))
      throw missingScope(requiredScopes);
    if (router.scope !== undefined && caller.scopes.has(router.scope)) scope.isRouter = true;
    scope.cachePartition = cachePartitionOf(caller);
  }

  async function verify(
    verifier: AccessTokenVerifier,
    token: string,
    scope: RequestScope,
  ): Promise<void> {
    let caller: Caller;
    try {
      caller = await untilAborted(verifier.verify(token), scope.signal);
    } catch (error) {
      throw toRefusal(error, scope);
    }
    enter(caller, scope);
  }

  return {
    admit(request, scope) {
      scope.isRouter = anyoneIsRouter || hasRouterSecret(request.headers);
      if (tokens === undefined) return undefined;
      const { authorization } = request.headers;
      const token = BEARER.exec(authorization ?? '')?.[1];
      if (token === undefined) throw missingToken(authorization);
      const known = tokens.known(token);
      if (known === undefined) return verify(tokens, token, scope);
      enter(known, scope);
      return undefined;
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** RFC 6750, section 3.1: who shows no token is told no error code. */
function missingToken(authorization: string | undefined): RefusedRequest {
  return authorization === undefined || !/^bearer\b/i.test(authorization)
    ? new RefusedRequest(
        'UNAUTHENTICATED',
        401,
        'The request has no access token: send the header "authorization: Bearer …".',
        { headers: { 'www-authenticate': 'Bearer' } },
      )
    : invalidToken('The access token is not valid.');
}

function invalidToken(message: string, cause?: Error): RefusedRequest {
  const description = message.replace(/\.$/, '');
  return new RefusedRequest('UNAUTHENTICATED', 401, message, {
    headers: {
      'www-authenticate': `Bearer error="invalid_token", error_description="${description}"`,
    },
    cause,
  });
}

function missingScope(scopes: readonly string[]): RefusedRequest {
  return new RefusedRequest(
    'FORBIDDEN',
    403,
    `The access token takes the ${scopes.length === 1 ? 'scope' : 'scopes'} ${scopes.join(', ')}.`,
    {
      headers: {
        'www-authenticate': `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"`,
      },
    },
  );
}

function toRefusal(error: unknown, scope: RequestScope): unknown {
  if (error instanceof InvalidTokenError) {
    scope.report.refusal = error.reason;
    return invalidToken(error.message, error);
  }
  if (error instanceof KeysUnavailableError) {
    scope.report.refusal = error.message;
    return new RefusedRequest(
      'TOKEN_UNAVAILABLE',
      503,
      "The gateway cannot check access tokens: their issuer's keys cannot be fetched.",
      { retryAfterMs: error.retryAfterMs, cause: error },
    );
  }
  if (scope.signal.aborted && error === scope.signal.reason) {
    scope.report.refusal = "the keys of callers' tokens did not come in time";
    return new RefusedRequest(
      'TOKEN_UNAVAILABLE',
      503,
      "The gateway cannot check access tokens: their issuer's keys do not come.",
      { cause: error },
    );
  }
  return error;
}
