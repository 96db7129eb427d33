import { hash } from 'node:crypto';
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose';
import { LRUCache } from 'lru-cache';
import type { Principal } from '../core/principal.ts';
import type { Clock } from '../lib/clock.ts';
import { upTo } from '../lib/entry-bound.ts';
import { InvalidTokenError, KeysUnavailableError } from './errors.ts';
import type { KeySet } from './jwks.ts';
import { toJoseAlgorithms } from './public-keys.ts';

/** What an access token says of who shows it. */
export interface TokenClaims
  extends Pick<Principal, 'subject' | 'name' | 'scopes' | 'participantTypes'> {
  readonly subject: string;
  readonly expiresAt: number;
}

interface AccessTokenOptions {
  tenantId: string;
  keys: Pick<KeySet, 'find' | 'findNewer'>;
  /** `iss`, exactly. */
  issuer: string;
  /** One of these is in the claim that names the audience. */
  audiences: readonly string[];
  /** `aud`, unless the issuer has another one for it. As the other claims here: a name, or a path with dots. */
  audienceClaim: string;
  algorithms: readonly string[];
  /** `typ` is one of these, with or without "application/", in any case; "JWT" also stands for none. */
  tokenTypes: readonly string[];
  /** How far the issuer's clock may be off. */
  leewayMs: number;
  /** The claim that holds the scopes; undefined: `scope`, or `scp`. */
  scopeClaim: string | undefined;
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
  const { tenantId, keys, issuer, audiences, audienceClaim, leewayMs, clock } = options;
  const algorithms = toJoseAlgorithms(options.algorithms);
  const tokenTypes = new Set(options.tokenTypes.map(bareType));
  const underWay = new Map<string, Promise<TokenClaims>>();
  const remembered = new LRUCache<string, Remembered>({
    ...upTo(MAX_REMEMBERED),
    perf: clock,
    ttlResolution: 0,
  });

  async function verify(token: string, key: string): Promise<TokenClaims> {
    const header = decodeHeader(token, { issuer, algorithms, tokenTypes, leewayMs, clock });
    const checks = {
      issuer,
      algorithms,
      requiredClaims: ['exp'],
      clockTolerance: leewayMs / 1000,
      currentDate: clock.date(),
    };
    const found = await keys.find(header);
    let verified = await verifyByOneOf(found.keys, token, checks);
    if (verified === undefined && !found.areNamed) {
      const { keys: newer } = await keys.findNewer(header, found);
      verified = await verifyByOneOf(newer, token, checks);
    }
    if (verified === undefined) throw notValid('none of the keys made its signature');
    const { payload, protectedHeader } = verified;
    if (protectedHeader.b64 === false) throw notValid('an unencoded payload');
    const now = clock.date().getTime();
    if (payload.iat !== undefined && payload.iat * 1000 > now + leewayMs) {
      throw notValid('iat is in the future');
    }
    const named: unknown[] = [claimAt(payload, audienceClaim)].flat();
    if (!audiences.some((audience) => named.includes(audience))) {
      throw notValid(`${audienceClaim} has none of AUTH_AUDIENCE`);
    }
    const claims = toClaims(payload, options);
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
        underWay.get(key) ?? verify(token, key).finally(() => underWay.delete(key));
      underWay.set(key, verification);
      return verification;
    },
  };
}

interface Plausibility extends Pick<AccessTokenOptions, 'issuer' | 'leewayMs' | 'clock'> {
  readonly algorithms: readonly string[];
  readonly tokenTypes: ReadonlySet<string>;
}

/**
 * The header of a token that could be a good one, its signature not yet looked at: so one of another issuer, or one
 * that has ended, causes no fetch of keys, and is told so while its key is not known.
 */
function decodeHeader(token: string, options: Plausibility): ProtectedHeaderParameters {
  const { header, payload } = decode(token);
  const { alg = '', typ = 'JWT', kid } = header;
  if (!options.algorithms.includes(alg)) throw notValid('alg is none of AUTH_ALGORITHMS');
  if (typeof typ !== 'string' || !options.tokenTypes.has(bareType(typ))) {
    throw notValid('typ is none of AUTH_TOKEN_TYPES');
  }
  if (kid !== undefined && typeof kid !== 'string') throw notValid('a kid that is no text');
  const { iss, exp } = payload;
  if (iss !== options.issuer) throw notValid('iss is not AUTH_ISSUER');
  if (typeof exp !== 'number') throw notValid('no exp');
  if (exp * 1000 + options.leewayMs <= options.clock.date().getTime()) throw expired();
  return header;
}

/** What it says of itself. */
function decode(token: string): { header: ProtectedHeaderParameters; payload: JWTPayload } {
  try {
    return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
  } catch {
    throw notValid('it is no JWT');
  }
}

/** Undefined where none of the keys made its signature. */
async function verifyByOneOf(
  keys: readonly CryptoKey[],
  token: string,
  checks: JWTVerifyOptions,
): Promise<JWTVerifyResult | undefined> {
  for (const key of keys) {
    try {
      return await jwtVerify(token, key, checks);
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) continue;
      throw toTokenError(error);
    }
  }
  return undefined;
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

function expired(): InvalidTokenError {
  return new InvalidTokenError('The access token is expired.', 'expired');
}

/** The keys are known to be good, so it is about the token. jose's messages name claims, but never their values. */
function toTokenError(error: unknown): InvalidTokenError {
  if (error instanceof errors.JWTExpired) return expired();
  const isKnown = error instanceof errors.JOSEError;
  return notValid(isKnown ? `${error.code}: ${error.message}` : 'it cannot be checked');
}

function toClaims(
  payload: JWTPayload,
  { scopeClaim, participantTypesClaim }: AccessTokenOptions,
): TokenClaims {
  // RFC 8693, section 4.2; some issuers call it scp, and make it a list.
  const scopes =
    scopeClaim === undefined ? (payload['scope'] ?? payload['scp']) : claimAt(payload, scopeClaim);
  const { sub, name } = payload;
  if (typeof sub !== 'string' || !/^\P{Cc}{1,256}$/u.test(sub)) throw notValid('no usable sub');
  return {
    expiresAt: Number(payload.exp) * 1000,
    subject: sub,
    name: typeof name === 'string' ? name.slice(0, 256).toWellFormed() : undefined,
    scopes: new Set(words(scopes, / +/)),
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
export function claimAt(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let claim: unknown = payload;
  for (const step of name.split('.')) {
    if (typeof claim !== 'object' || claim === null) return undefined;
    claim = Object.getOwnPropertyDescriptor(claim, step)?.value;
  }
  return claim;
}
