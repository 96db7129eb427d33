import { createLocalJWKSet, type JWK } from 'jose';
import { z } from 'zod';

/** Keys beyond these are not kept. */
const MAX_KEYS = 100;
/** Nor are there more reasons of keys that are left out. */
const MAX_REASONS = 10;

/** RFC 7518, section 3.3. jose accepts shorter keys, and throws a TypeError when a token is checked with one. */
const SHORTEST_RSA_BITS = 2048;

/** A key with which signatures are checked. */
export interface PublicKey {
  readonly kid: string | undefined;
  /** The algorithms that it is for, in jose's names. At least one. */
  readonly byAlgorithm: ReadonlyMap<string, CryptoKey>;
}

/** What an issuer's key set holds for signatures by the algorithms that are asked for. */
export interface PublicKeys {
  /** 1 to 100. */
  readonly keys: readonly PublicKey[];
  /** Keys that are meant for such signatures and cannot be used, each with why, in words for an operator. At most 10. */
  readonly unusable: readonly string[];
}

/** A key set that is one, and has no key to use. The message is fit for an operator. */
export class NoUsableKeys extends Error {
  override readonly name = 'NoUsableKeys';
}

const text = z.string().exactOptional();
const absent = z.never().exactOptional();

/**
 * The members of a public key (RFC 7517, section 4; RFC 7518, section 6; RFC 8037), which are all that is
 * kept. A key with a private one is none: whoever reads it could sign. What is null counts as absent.
 */
const publicKey = z.preprocess(
  withoutNulls,
  z
    .object({ kty: z.string(), crv: text, n: text, e: text, x: text, y: text })
    .extend({ kid: text, use: text, key_ops: z.array(z.string()).exactOptional(), alg: text })
    .extend({ d: absent, p: absent, q: absent, dp: absent, dq: absent, qi: absent, oth: absent })
    .extend({ k: absent, priv: absent }),
);

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
}

const keySet = z.object({ keys: z.array(z.unknown()) });

/** As jose knows them: one has two names, and a token or a key has either. */
export function toJoseAlgorithms(algorithms: readonly string[]): string[] {
  return algorithms.flatMap((name) => (name === 'EdDSA' ? [name, 'Ed25519'] : name));
}

/**
 * The keys of a JWK Set (RFC 7517, section 5) with which tokens by one of `algorithms` can be checked. The others
 * are left out, whatever they are, as its section 5 has it. Rejects with {@link NoUsableKeys}, or with another Error
 * for what is no key set; neither message holds anything of the document but how many keys it has.
 */
export async function decodeKeySet(
  document: unknown,
  algorithms: readonly string[],
): Promise<PublicKeys> {
  const { data: set } = keySet.safeParse(document);
  if (set === undefined) throw new Error("the issuer's answer is no key set");
  const keys: PublicKey[] = [];
  const unusable: string[] = [];
  for (const [index, candidate] of set.keys.entries()) {
    const key = await decodeKey(candidate, toJoseAlgorithms(algorithms));
    if (typeof key === 'object') keys.push(key);
    else if (key !== undefined) unusable.push(`key ${index + 1} of ${set.keys.length}: ${key}`);
    if (keys.length === MAX_KEYS) break;
  }
  if (keys.length > 0) return { keys, unusable: unusable.slice(0, MAX_REASONS) };
  throw new NoUsableKeys(
    set.keys.length === 0
      ? "there is no key in the issuer's key set"
      : `none of the keys in the issuer's key set (${set.keys.length}) is a public one for signatures by AUTH_ALGORITHMS`,
  );
}

/** Or why it cannot be used; undefined: it is meant for something else. */
async function decodeKey(
  candidate: unknown,
  algorithms: readonly string[],
): Promise<PublicKey | string | undefined> {
  const { data: jwk } = publicKey.safeParse(candidate);
  if (jwk === undefined) return 'its members are not those of a public key';
  if (!isMeantFor(jwk, algorithms)) return undefined;
  const find = createLocalJWKSet({ keys: [jwk] });
  const byAlgorithm = new Map<string, CryptoKey>();
  for (const alg of algorithms) {
    try {
      byAlgorithm.set(alg, await find({ alg }));
    } catch {
      // It is not for this algorithm, or is broken.
    }
  }
  const [key] = byAlgorithm.values();
  if (key === undefined) return 'a member is missing or wrong, or key_ops has more than "verify"';
  const bits = 'modulusLength' in key.algorithm ? Number(key.algorithm.modulusLength) : undefined;
  return bits !== undefined && bits < SHORTEST_RSA_BITS
    ? `RSA of ${bits} bits, and less than ${SHORTEST_RSA_BITS} are not safe`
    : { kid: jwk.kid, byAlgorithm };
}

/** Whether it is for signatures by one of the algorithms, as far as it says. */
function isMeantFor({ use = 'sig', alg, kty, crv }: JWK, algorithms: readonly string[]): boolean {
  const kind = kty === 'EC' || kty === 'OKP' ? crv : kty;
  return (
    use === 'sig' &&
    (alg === undefined || algorithms.includes(alg)) &&
    (kind === undefined || algorithms.some((algorithm) => kindOf(algorithm) === kind))
  );
}

/** The kind of key that an algorithm works with: a curve, or RSA. */
function kindOf(algorithm: string): string {
  return CURVES.get(algorithm) ?? 'RSA';
}

const CURVES: ReadonlyMap<string, string> = new Map([
  ['ES256', 'P-256'],
  ['ES384', 'P-384'],
  ['ES512', 'P-521'],
  ['EdDSA', 'Ed25519'],
  ['Ed25519', 'Ed25519'],
]);
