import { hash } from 'node:crypto';
import {
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  jwtVerify,
} from 'jose';
import { LRUCache } from 'lru-cache';
import type { Principal } from '../core/principal.ts';
import type { Clock } from '../lib/clock.ts';
import { InvalidTokenError, KeysUnavailableError } from './errors.ts';
import { toJoseAlgorithms } from './public-keys.ts';

/** What an access token says of who shows it. */
export interface TokenClaims
  extends Pick<Principal, 'subject' | 'name' | 'scopes' | 'participantTypes'> {
  readonly subject: string;
  readonly expiresAt: number;
}

interface AccessTokenOptions {
  tenantId: string;
  /** The key that a token's header asks for. */
  findKey: JWTVerifyGetKey;
  /** `iss`, exactly. */
  issuer: string;
  /** `aud` is one of these. */
  audiences: readonly string[];
  algorithms: readonly string[];
  /** `typ` is one of these, with or without "application/", in any case; "JWT" also stands for none. */
  tokenTypes: readonly string[];
  /** How far the issuer's clock may be off. */
  leewayMs: number;
  /** The claim that lists the participant types that a caller may see; undefined: all. */
  participantTypesClaim: string | undefined;
  clock: Clock;
}

/**
 * Checks JWT access tokens (RFC 9068): signature, issuer, audience, type, and times, on the wall
 * clock. A token that was found good is remembered, by its digest, until its end, for 5 minutes at
 * most; bad ones are not.
 */
export interface AccessTokenVerifier {
  /** What a token says that was verified before and is still good. */
  known(token: string): TokenClaims | undefined;
  /** Rejects with an {@link InvalidTokenError}, or a {@link KeysUnavailableError}. */
  verify(token: string): Promise<TokenClaims>;
}

const MAX_REMEMBERED = 10_000;
const LONGEST_REMEMBERED_MS = 5 * 60_000;
const MAX_TOKEN_LENGTH = 16 * 1024;

interface Remembered {
  readonly claims: TokenClaims;
  /** The end on the wall clock, leeway included. */
  readonly goodUntil: number;
}

export function createAccessTokenVerifier(options: AccessTokenOptions): AccessTokenVerifier {
  const { tenantId, findKey, issuer, audiences, leewayMs, participantTypesClaim, clock } = options;
  const algorithms = toJoseAlgorithms(options.algorithms);
  const tokenTypes = new Set(options.tokenTypes.map(bareType));
  const underWay = new Map<string, Promise<TokenClaims>>();
  const remembered = new LRUCache<string, Remembered>({
    max: MAX_REMEMBERED,
    perf: clock,
    ttlResolution: 0,
  });

  async function verify(token: string, key: string): Promise<TokenClaims> {
    const { payload, protectedHeader } = await verifyByAnyKey(token, findKey, {
      issuer,
      audience: [...audiences],
      algorithms,
      requiredClaims: ['exp'],
      clockTolerance: leewayMs / 1000,
      currentDate: clock.date(),
    });
    const { typ, b64 } = protectedHeader;
    if (!tokenTypes.has(bareType(typ ?? 'JWT'))) throw notValid('another typ');
    if (b64 === false) throw notValid('an unencoded payload');
    const now = clock.date().getTime();
    if (payload.iat !== undefined && payload.iat * 1000 > now + leewayMs) {
      throw notValid('iat is in the future');
    }
    const claims = toClaims(payload, participantTypesClaim);
    const goodUntil = claims.expiresAt + leewayMs;
    const ttl = Math.min(goodUntil - now, LONGEST_REMEMBERED_MS);
    if (ttl > 0) remembered.set(key, { claims, goodUntil }, { ttl });
    return claims;
  }

  return {
    known(token) {
      if (token.length > MAX_TOKEN_LENGTH) return undefined;
      const found = remembered.get(accessTokenKey(tenantId, token));
      // Time to live is counted on the monotonic clock: the wall clock may have been put forward.
      return found && clock.date().getTime() < found.goodUntil ? found.claims : undefined;
    },
    async verify(token) {
      if (token.length > MAX_TOKEN_LENGTH) throw notValid('it is too long');
      const key = accessTokenKey(tenantId, token);
      const verification =
        underWay.get(key) ??
        verify(token, key)
          .catch((error: unknown) => {
            throw toTokenError(error);
          })
          .finally(() => underWay.delete(key));
      underWay.set(key, verification);
      return verification;
    },
  };
}

/** By the key that fits the token's header; where several do, by the first of them that made its signature. */
async function verifyByAnyKey(
  token: string,
  findKey: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(token, findKey, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options);
      } catch (reason) {
        if (!(reason instanceof errors.JWSSignatureVerificationFailed)) throw reason;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** Under which a token is remembered: has nothing of it but its digest. */
export function accessTokenKey(tenantId: string, token: string): string {
  return JSON.stringify([tenantId, hash('sha256', token, 'base64url')]);
}

function bareType(type: string): string {
  return type.toLowerCase().replace(/^application\//, '');
}

function notValid(reason: string): InvalidTokenError {
  return new InvalidTokenError('The access token is not valid.', reason);
}

/** jose's messages name claims and headers, but never their values. */
function toTokenError(error: unknown): unknown {
  if (error instanceof InvalidTokenError || error instanceof KeysUnavailableError) return error;
  if (error instanceof errors.JWTExpired) {
    return new InvalidTokenError('The access token is expired.', 'expired');
  }
  return error instanceof errors.JOSEError ? notValid(`${error.code}: ${error.message}`) : error;
}

function toClaims(payload: JWTPayload, participantTypesClaim: string | undefined): TokenClaims {
  const { sub, name } = payload;
  if (typeof sub !== 'string' || !/^\P{Cc}{1,256}$/u.test(sub)) throw notValid('no usable sub');
  return {
    expiresAt: Number(payload.exp) * 1000,
    subject: sub,
    name: typeof name === 'string' ? name.slice(0, 256).toWellFormed() : undefined,
    // RFC 8693, section 4.2; some issuers call it scp, and make it a list.
    scopes: new Set(words(payload['scope'] ?? payload['scp'], / +/)),
    participantTypes:
      participantTypesClaim === undefined
        ? undefined
        : new Set(words(claimAt(payload, participantTypesClaim), /[ ,]+/)),
  };
}

/** A list of texts, or one text that holds several; anything else holds none. */
function words(claim: unknown, separator: RegExp): string[] {
  const list: unknown[] = typeof claim === 'string' ? claim.split(separator) : [claim].flat();
  return list.filter((word) => typeof word === 'string').filter((word) => word !== '');
}

/** A claim by its name, which may have dots in it, or by a path of names. Own members alone. */
function claimAt(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let claim: unknown = payload;
  for (const step of name.split('.')) {
    if (typeof claim !== 'object' || claim === null) return undefined;
    claim = Object.getOwnPropertyDescriptor(claim, step)?.value;
  }
  return claim;
}
