import type { ProtectedHeaderParameters } from 'jose';
import type { Telemetry } from '../core/telemetry.ts';
import type { Send } from '../http-client/client.ts';
import { neverAborted } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import { isPlainLoopback } from '../lib/loopback.ts';
import { createRefresher, type FailedFetch, type Lifetime } from '../lib/refresher.ts';
import { KeysUnavailableError } from './errors.ts';
import { decodeKeySet, NoUsableKeys, type PublicKey, type PublicKeys } from './public-keys.ts';

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

/** The keys that may have made a signature. */
interface Candidates {
  readonly keys: readonly CryptoKey[];
  /** Whether the token's header names them: then it is by one of them, or by nobody. */
  readonly areNamed: boolean;
  /** The key set that they are of, for `KeySet.findNewer`. */
  readonly of: unknown;
}

/**
 * An issuer's public keys (RFC 7517), kept here.
 *
 * - At most one fetch is under way, for all who wait.
 * - Keys older than 5 minutes are fetched anew in the background, and serve meanwhile. Those older than 10 minutes
 *   serve only when it turns out that the issuer is down, then for 24 hours from when they were fetched: so a key
 *   that it has withdrawn is out by then, and an issuer that has no keys any more is believed.
 * - A key that is not there is looked for by a new fetch: so a rotation at the issuer is noticed at once. There is
 *   one such fetch in 30 s at most, whatever callers send; until there may be one, nobody knows whether a name that
 *   is not there is that of a new key.
 * - A failure is never kept as an answer, but the next try waits: from 1 s, doubling up to 30 s, and up to 20 % less
 *   by chance.
 */
export interface KeySet {
  /** Those for a token with that header. Rejects with a {@link KeysUnavailableError} where there are no keys at all. */
  find(header: ProtectedHeaderParameters): Promise<Candidates>;
  /**
   * The same, of newer keys: none of `found`, which were not named, made the signature. Rejects with a
   * {@link KeysUnavailableError} where they cannot be had, or the key that the header names is not looked for yet.
   */
  findNewer(header: ProtectedHeaderParameters, found: Candidates): Promise<Candidates>;
  /** Whether there are keys. */
  usable(): boolean;
  /** Asks for the keys if there are none and they may be asked for; does not wait for them. */
  prime(): void;
}

const RENEW_AFTER_MS = 5 * 60_000;
const FRESH_MS = 10 * 60_000;
const USABLE_MS = 24 * 60 * 60_000;
const UNKNOWN_KEY_INTERVAL_MS = 30_000;
/** An issuer that failed so lately is not waited for. */
const LATELY_MS = 60_000;

interface HeldKeys extends Lifetime {
  readonly keys: readonly PublicKey[];
  readonly freshUntil: number;
}

export function createKeySet(options: KeySetOptions): KeySet {
  const { source, algorithms, send, clock, telemetry, random } = options;
  let unknownKeyNotBefore = Number.NEGATIVE_INFINITY;
  let failedAt = Number.NEGATIVE_INFINITY;
  const tellLeftOut = onChange((reasons) => telemetry.keysLeftOut?.({ reasons }));

  const refresher = createRefresher({
    fetch: () => fetchKeySet(source, algorithms, send),
    toValue({ keys, unusable: reasons }, askedAt): HeldKeys {
      tellLeftOut(reasons);
      return {
        keys,
        renewFrom: askedAt + RENEW_AFTER_MS,
        freshUntil: askedAt + FRESH_MS,
        usableUntil: askedAt + USABLE_MS,
      };
    },
    failed(failure) {
      failedAt = clock.now();
      telemetry.keysFailed?.(failure);
    },
    withdraws: (error) => error instanceof NoUsableKeys,
    toError: cannotBeFetched,
    backoffMs: { first: 1_000, longest: 30_000 },
    clock,
    random,
  });

  async function heldKeys(): Promise<HeldKeys> {
    const held = refresher.usable();
    const servesUntil = Math.max(held?.freshUntil ?? 0, failedAt + LATELY_MS);
    if (held !== undefined && clock.now() < servesUntil) return refresher.get();
    return refresher.refresh().catch((error: unknown) => {
      const last = refresher.usable();
      if (last === undefined) throw error;
      return last;
    });
  }

  const findNewer: KeySet['findNewer'] = async (header, found) => {
    const held = refresher.usable();
    if (held !== undefined && held !== found.of) return candidatesOf(held, header);
    const waitMs = Math.ceil(unknownKeyNotBefore - clock.now());
    if (waitMs > 0 && !refresher.isFetching()) {
      if (header.kid === undefined) return { ...found, keys: [] };
      throw mayBeNew(waitMs);
    }
    const newer = candidatesOf(await refresher.refresh(), header);
    unknownKeyNotBefore = clock.now() + UNKNOWN_KEY_INTERVAL_MS;
    return newer;
  };

  return {
    find: async (header) => candidatesOf(await heldKeys(), header),
    findNewer,
    usable: () => refresher.usable() !== undefined,
    prime: refresher.prime,
  };
}

/** Calls `tell` for each list that is not the same as the one before, nor empty. */
function onChange(tell: (list: readonly string[]) => void): (list: readonly string[]) => void {
  let last = '';
  return (list) => {
    const text = list.join();
    if (text !== last && text !== '') tell(list);
    last = text;
  };
}

/**
 * The keys that a token's header names. Where it names none, or one that is not there, those that it may mean: all,
 * or those without a name.
 */
function candidatesOf(held: HeldKeys, { alg = '', kid }: ProtectedHeaderParameters): Candidates {
  const fitting = held.keys.filter(({ byAlgorithm }) => byAlgorithm.has(alg));
  const named = fitting.filter((key) => key.kid !== undefined && key.kid === kid);
  const areNamed = named.length > 0;
  const unnamed = kid === undefined ? fitting : fitting.filter((key) => key.kid === undefined);
  const keys = (areNamed ? named : unnamed).flatMap((key) => key.byAlgorithm.get(alg) ?? []);
  return { keys, areNamed, of: held };
}

function cannotBeFetched({ retryAfterMs }: FailedFetch): KeysUnavailableError {
  return new KeysUnavailableError(
    "The gateway cannot check access tokens: their issuer's keys cannot be fetched.",
    "the keys of callers' tokens cannot be fetched",
    retryAfterMs,
  );
}

function mayBeNew(retryAfterMs: number): KeysUnavailableError {
  return new KeysUnavailableError(
    "The gateway cannot check this access token yet: it looks for its key among the issuer's in a moment.",
    'none of the known keys made its signature, and a new one is not looked for yet',
    retryAfterMs,
  );
}

/**
 * Fetches an issuer's public keys for signatures by `algorithms`; what else is in its key set is left out. Rejects
 * with {@link NoUsableKeys}, or another Error where there is no key set; their messages are fit for an operator, and
 * hold nothing of the answer but its status and how many keys it has.
 */
export async function fetchKeySet(
  source: KeySource,
  algorithms: readonly string[],
  send: Send,
): Promise<PublicKeys> {
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
