import type { IncomingMessage } from 'node:http';

/** The most headers of a request. Node would leave out those beyond its own limit, without a word. */
const MAX_HEADERS = 100;

/**
 * Headers that have one meaning. Of two of a kind Node takes the first, and something in front of the
 * gateway perhaps the other: then each would answer another request.
 */
const SINGLE = [
  'host',
  'authorization',
  'content-type',
  'content-length',
  'transfer-encoding',
  'origin',
  'router-authorization',
  'x-request-id',
];

/** What is wrong with the head of a request, besides what Node's parser refuses; undefined: nothing. */
export function faultOfHead(
  request: IncomingMessage,
): { status: 400 | 431; error: string } | undefined {
  const { rawHeaders } = request;
  if (rawHeaders.length > 2 * MAX_HEADERS) {
    return { status: 431, error: `A request takes up to ${MAX_HEADERS} headers.` };
  }
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    const bit = 1 << (SINGLE.indexOf(name) + 1);
    if (bit > 1 && (seen & bit) !== 0) {
      return { status: 400, error: `The header ${name} is there twice.` };
    }
    seen |= bit;
  }
  return URL.canParse(`http://${request.headers.host ?? ''}`)
    ? undefined
    : { status: 400, error: 'The Host header is missing or malformed.' };
}
