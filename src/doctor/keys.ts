import { fetchKeySet, type KeySource } from '../auth/jwks.ts';
import type { Send } from '../http-client/client.ts';
import type { Finding } from './report.ts';

/** Fetches the keys of callers' tokens, without which nobody could come in. */
export async function examineKeys(
  source: KeySource,
  algorithms: readonly string[],
  send: Send,
): Promise<Finding> {
  const from = 'jwksUrl' in source ? source.jwksUrl.href : source.issuer;
  try {
    const { keys } = await fetchKeySet(source, algorithms, send);
    return {
      verdict: 'ok',
      message: `${keys.length} ${keys.length === 1 ? 'key' : 'keys'} for callers' tokens, of ${from}`,
      facts: { keys: keys.length },
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown';
    return {
      verdict: 'failed',
      message: `no keys for callers' tokens, of ${from}: ${why}`,
      advice: 'Check AUTH_ISSUER and AUTH_JWKS_URL, and that the issuer can be reached from here.',
    };
  }
}
