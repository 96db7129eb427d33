import type { BatchKey } from './batch-key.ts';
import type { UpstreamEcho } from './envelope.ts';

const STATUS_PATH = /\/participants\/([^/?#]+)\/batch\/status/i;

/**
 * False for the echo of a request for another participant type or batch: an answer that is out of step
 * on its connection, and somebody else's. The documents leave open how an echo is written, and let it be
 * empty: what it does not say, or says in any known spelling, is ours.
 */
export function isEchoOf(key: BatchKey, { uri, queryString }: UpstreamEcho): boolean {
  const [, type] = STATUS_PATH.exec(uri ?? '') ?? [];
  if (type !== undefined && !isSpelling(type, key.participantType)) return false;
  if (key.batchId === null || !queryString) return true;
  for (const [name, value] of new URLSearchParams(queryString)) {
    if (name.toLowerCase() === 'batchid' && value !== '') return isSpelling(value, key.batchId);
  }
  return true;
}

/** Without regard to case, and percent-encoded or not. */
function isSpelling(text: string, original: string): boolean {
  const [a, b] = [text.toLowerCase(), original.toLowerCase()];
  return a === b || a === encodeURIComponent(original).toLowerCase() || decoded(a) === b;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text).toLowerCase();
  } catch {
    return undefined;
  }
}
