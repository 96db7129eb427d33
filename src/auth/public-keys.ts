import { createLocalJWKSet, type JWK } from 'jose';
import { z } from 'zod';

/** Keys beyond these are not kept. */
const MAX_KEYS = 100;

/** RFC 7518, section 3.3. jose accepts shorter keys, and throws a TypeError when a token is checked with one. */
const SHORTEST_RSA_BITS = 2048;

const text = z.string().exactOptional();
const absent = z.never().exactOptional();

/**
 * The members of a public key (RFC 7517, section 4; RFC 7518, section 6; RFC 8037), which are all that is
 * kept. A key with a private one is none: whoever reads it could sign.
 */
const publicKey = z
  .object({ kty: z.string(), crv: text, n: text, e: text, x: text, y: text })
  .extend({ kid: text, use: text, key_ops: z.array(z.string()).exactOptional(), alg: text })
  .extend({ d: absent, p: absent, q: absent, dp: absent, dq: absent, qi: absent, oth: absent })
  .extend({ k: absent, priv: absent });

/** As jose knows them: one has two names, and a token or a key has either. */
export function toJoseAlgorithms(algorithms: readonly string[]): string[] {
  return algorithms.flatMap((name) => (name === 'EdDSA' ? [name, 'Ed25519'] : name));
}

/**
 * The keys of a JWK Set (RFC 7517, section 5) with which tokens by one of `algorithms` can be checked, 1 to
 * 100 of them. The others are left out, whatever they are, as its section 5 has it. Rejects with an Error
 * whose message is fit for an operator, and holds nothing of the document but how many keys it has.
 */
export async function decodeKeySet(
  document: unknown,
  algorithms: readonly string[],
): Promise<{ keys: JWK[] }> {
  const listed =
    typeof document === 'object' && document !== null && 'keys' in document ? document.keys : [];
  const candidates: unknown[] = Array.isArray(listed) ? listed : [];
  const keys: JWK[] = [];
  for (const candidate of candidates) {
    const { data: key } = publicKey.safeParse(candidate);
    if (key !== undefined && (await isUsable(key, algorithms))) keys.push(key);
    if (keys.length === MAX_KEYS) break;
  }
  if (keys.length > 0) return { keys };
  throw new Error(
    candidates.length === 0
      ? "there is no key in the issuer's key set"
      : `none of the keys in the issuer's key set (${candidates.length}) is a public one for signatures by AUTH_ALGORITHMS`,
  );
}

/** Asks jose for it, as a token by each of the algorithms would. */
async function isUsable(key: JWK, algorithms: readonly string[]): Promise<boolean> {
  const find = createLocalJWKSet({ keys: [key] });
  for (const alg of toJoseAlgorithms(algorithms)) {
    try {
      const { algorithm } = await find({ alg });
      return (
        !('modulusLength' in algorithm) || Number(algorithm.modulusLength) >= SHORTEST_RSA_BITS
      );
    } catch {
      // It is not for this algorithm, or is broken.
    }
  }
  return false;
}
