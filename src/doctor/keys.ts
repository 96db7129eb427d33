import { fetchKeySet, type KeySource } from '../auth/jwks.ts';
import type { Send } from '../http-client/client.ts';
import type { Finding } from './report.ts';

/** Fetches the keys of callers' tokens, without which nobody could come in. */
export async function examineKeys(
  source: KeySource,
  algorithms: readonly string[],
  send: Send,
): Promise<Finding> {
  const from = 'jwksUrl' in source ? withoutQuery(source.jwksUrl) : source.issuer;
  try {
    const { keys, unusable } = await fetchKeySet(source, algorithms, send);
    const finding = {
      message: `${keys.length} ${keys.length === 1 ? 'key' : 'keys'} for callers' tokens, of ${from}`,
      facts: { keys: keys.length, unusable },
    };
    if (unusable.length === 0) return { ...finding, verdict: 'ok' };
    return {
      ...finding,
      verdict: 'warning',
      message: `${finding.message}; others cannot be used: ${unusable.join('; ')}`,
      advice: 'Tokens by the others are refused. Ask whoever runs the issuer to mend its key set.',
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

/** Which might hold what is nobody's business. */
function withoutQuery({ origin, pathname }: URL): string {
  return origin + pathname;
}
