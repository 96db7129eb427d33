import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Telemetry } from '../core/telemetry.ts';
import type { Send } from '../http-client/client.ts';
import { neverAborted } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import { isPlainLoopback } from '../lib/loopback.ts';
import { createRefresher, type Lifetime } from '../lib/refresher.ts';
import { KeysUnavailableError } from './errors.ts';
import { decodeKeySet } from './public-keys.ts';

/** The key set itself, or the issuer whose metadata name it. */
export type KeySource = { jwksUrl: URL } | { issuer: string };

interface KeySetOptions {
  source: KeySource;
  /** By which tokens may be signed: keys for others are not kept. */
  algorithms: readonly string[];
  send: Send;
  clock: Clock;
  telemetry: Telemetry;
  /** A number in [0, 1), for jitter. */
  random: () => number;
}

/**
 * An issuer's public keys (RFC 7517), kept here.
 *
 * - At most one fetch is under way, for all who wait.
 * - Keys older than 10 minutes are fetched anew in the background, and serve meanwhile.
 * - A key that is not there is looked for by a new fetch: so a rotation at the issuer is noticed at
 *   once. There is one such fetch in 30 s at most, whatever callers send.
 * - While the issuer is down, known keys serve for 24 hours from when they were fetched. A failure is
 *   never kept as an answer, but the next try waits: from 1 s, doubling up to 30 s, and up to 20 % less
 *   by chance.
 */
export interface KeySet {
  /**
   * The key that a token's header asks for. Rejects with a {@link KeysUnavailableError}, or as jose
   * does: `JWKSNoMatchingKey` where the issuer has no such key; `JWKSMultipleMatchingKeys`, which
   * iterates over them, where it has several.
   */
  find: JWTVerifyGetKey;
  /** Whether there are keys. */
  usable(): boolean;
  /** Asks for the keys if there are none and they may be asked for; does not wait for them. */
  prime(): void;
}

const FRESH_MS = 10 * 60_000;
const USABLE_MS = 24 * 60 * 60_000;
const UNKNOWN_KEY_INTERVAL_MS = 30_000;

interface HeldKeys extends Lifetime {
  readonly find: JWTVerifyGetKey;
}

export function createKeySet(options: KeySetOptions): KeySet {
  const { source, algorithms, send, clock, telemetry, random } = options;
  let unknownKeyNotBefore = Number.NEGATIVE_INFINITY;

  const refresher = createRefresher({
    fetch: () => fetchKeySet(source, algorithms, send),
    toValue(keys): HeldKeys {
      const now = clock.now();
      const find = createLocalJWKSet(keys);
      return { find, renewFrom: now + FRESH_MS, usableUntil: now + USABLE_MS };
    },
    failed: (failure) => telemetry.keysFailed?.(failure),
    toError: ({ retryAfterMs }) => new KeysUnavailableError(retryAfterMs),
    backoffMs: { first: 1_000, longest: 30_000 },
    clock,
    random,
  });

  /** Keys that are newer than `keys`, in which a key was not found; undefined when there will be none now. */
  async function newerKeys(keys: HeldKeys): Promise<HeldKeys | undefined> {
    const held = refresher.usable();
    if (held !== keys && held !== undefined) return held;
    if (!refresher.isFetching()) {
      if (clock.now() < unknownKeyNotBefore) return undefined;
      unknownKeyNotBefore = clock.now() + UNKNOWN_KEY_INTERVAL_MS;
    }
    // Where there are none, the keys that are known still serve: so this one is unknown.
    return refresher.refresh().catch(() => undefined);
  }

  return {
    async find(header, token) {
      const keys = await refresher.get();
      try {
        return await keys.find(header, token);
      } catch (error) {
        const newer = error instanceof errors.JWKSNoMatchingKey ? await newerKeys(keys) : undefined;
        if (newer === undefined) throw error;
        return newer.find(header, token);
      }
    },
    usable: () => refresher.usable() !== undefined,
    prime: refresher.prime,
  };
}

/**
 * Fetches an issuer's public keys for signatures by `algorithms`, 1 to 100 of them; what else is in its key
 * set is left out. Rejects with an Error whose message is fit for an operator, and holds nothing of the
 * answer but its status and how many keys it has.
 */
export async function fetchKeySet(
  source: KeySource,
  algorithms: readonly string[],
  send: Send,
): Promise<JSONWebKeySet> {
  const url = 'jwksUrl' in source ? source.jwksUrl : await locateKeys(source.issuer, send);
  return decodeKeySet(await fetchJson(url, send), algorithms);
}

/** By the issuer's metadata. */
async function locateKeys(issuer: string, send: Send): Promise<URL> {
  const url = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  return decodeMetadata(await fetchJson(url, send), issuer);
}

async function fetchJson(url: URL, send: Send): Promise<unknown> {
  const headers = { accept: 'application/json' };
  const { status, body } = await send({ method: 'GET', url, headers }, neverAborted);
  if (status !== 200) throw new Error(`the issuer answered ${status}`);
  try {
    return JSON.parse(body.replace(/^\ufeff/, ''));
  } catch {
    // Its message would quote the answer.
    throw new Error("the issuer's answer is not JSON");
  }
}

function decodeMetadata(metadata: unknown, issuer: string): URL {
  if (typeof metadata !== 'object' || metadata === null) {
    throw new Error("the issuer's metadata are no object");
  }
  // OpenID Connect Discovery 1.0, section 4.3: or one issuer could speak for another.
  if (!('issuer' in metadata) || metadata.issuer !== issuer) {
    throw new Error("the issuer's metadata name another issuer than AUTH_ISSUER");
  }
  const text = 'jwks_uri' in metadata ? metadata.jwks_uri : undefined;
  if (typeof text !== 'string' || !URL.canParse(text)) {
    throw new Error("the issuer's metadata have no jwks_uri");
  }
  const url = new URL(text);
  if (url.protocol !== 'https:' && !isPlainLoopback(url)) {
    throw new Error("the issuer's jwks_uri is not https");
  }
  return url;
}
