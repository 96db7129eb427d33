import type { BatchKey } from '../core/batch-key.ts';
import type { UpstreamEcho } from './envelope.ts';

const STATUS_PATH = /\/participants\/([^/?#]+)\/batch\/status/i;
/** One that is not empty, with all that follows: written as it is, an id may hold what ends a parameter. */
const BATCH_ID = /(?:^|[?&])batchid=([^&#].*)$/is;

/**
 * False for the echo of a request for another participant type or batch: an answer that is out of step
 * on its connection, and somebody else's. The documents leave open how an echo is written, and let it be
 * empty: what it does not say, or says in any known spelling, is ours.
 */
export function isEchoOf({ participantType, batchId }: BatchKey, echo: UpstreamEcho): boolean {
  const uri = echo.uri ?? '';
  const [, type] = STATUS_PATH.exec(uri) ?? [];
  if (type !== undefined && !isSpelling(type, participantType)) return false;
  const [, id] = BATCH_ID.exec(echo.queryString || uri) ?? [];
  if (id === undefined) return true;
  if (batchId === null) return false;
  const [parameter = ''] = id.split(/[&#]/, 1);
  return isSpelling(id, batchId) || isSpelling(parameter, batchId);
}

/** Without regard to case; as it is, or encoded as in a path or a form, or as it was sent and then once more. */
function isSpelling(text: string, original: string): boolean {
  const once = decoded(text);
  const spellings = [text, once, decoded(once), decoded(text.replaceAll('+', ' '))];
  const wanted = original.toLowerCase();
  return spellings.some((spelling) => spelling.toLowerCase() === wanted);
}

/** The text itself where it cannot be decoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
