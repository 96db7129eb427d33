import type { BatchKey } from '../core/batch-key.ts';
import type { UpstreamEcho } from './envelope.ts';

/**
 * False for the echo of a request for another participant type or batch: an answer that is out of step on its
 * connection, and somebody else's. The documents leave open how an echo is written, and let it be empty: only what
 * names another type or id in every known spelling, compared as a whole, is foreign. What it does not say, or
 * says so that it cannot be read, is ours: whatever a caller asks for, its own echo is never foreign.
 */
export function isEchoOf({ participantType, batchId }: BatchKey, echo: UpstreamEcho): boolean {
  const uri = echo.uri ?? '';
  // As most are: the very path that was called, and the id or nothing.
  const isPath =
    isPlain(participantType) && uri.endsWith(`/participants/${participantType}/batch/status`);
  if (isPath && !echo.queryString) return true;
  const isId = batchId !== null && echo.queryString === `batchId=${batchId}`;
  if (isPath && isId && isPlain(batchId)) return true;
  const path = statusPathIn(uri);
  if (path !== undefined && !spellings(path.type).includes(participantType.toLowerCase())) {
    return false;
  }
  const text = batchIdIn(echo.queryString || (path?.rest ?? uri));
  const parameter = upToNext(text);
  if (parameter === '') return true;
  if (batchId === null) return false;
  const wanted = batchId.toLowerCase();
  if (spellings(text).includes(wanted) || spellings(parameter).includes(wanted)) return true;
  // As it is, it may hold what ends a parameter, and another parameter may follow.
  const shown = text.toLowerCase();
  return shown.startsWith(`${wanted}&`) || shown.startsWith(`${wanted}#`);
}

/** What is the same in every spelling. */
function isPlain(text: string): boolean {
  return /^[\w-]+$/.test(text);
}

/** A type holds no "/", however it is written, but it may hold "?" and "#", and be "participants". */
const STATUS_PATH = /^[^?#]*?\/participants\/([^/]+)\/batch\/status((?:[?#&].*)?)$/is;

/** The type that an echo of a uri names, and what follows; undefined where it names none. */
function statusPathIn(uri: string): { type: string; rest: string } | undefined {
  for (const reading of [uri, decoded(uri), decoded(decoded(uri)), formDecoded(uri)]) {
    const [, type, rest = ''] = STATUS_PATH.exec(reading) ?? [];
    if (type !== undefined) return { type, rest };
  }
  return undefined;
}

/** What follows the first name of the parameter, which a text of a caller's comes after; empty for nothing. */
function batchIdIn(query: string): string {
  return /(?:^|[?&])batchid=(.*)$/is.exec(query)?.[1] ?? '';
}

function upToNext(text: string): string {
  return /^[^&#]*/.exec(text)?.[0] ?? '';
}

/** What a text may stand for, in lower case: as it is, encoded as in a path, encoded twice, as in a form. */
function spellings(text: string): string[] {
  const once = decoded(text);
  return [text, once, decoded(once), formDecoded(text)].map((one) => one.toLowerCase());
}

function formDecoded(text: string): string {
  return decoded(text.replaceAll('+', ' '));
}

/** The text itself where it cannot be decoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
