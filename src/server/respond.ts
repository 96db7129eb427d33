import type { ServerResponse } from 'node:http';
import { partsOf } from '../lib/long-text.ts';
import { closeInSteps } from './unread-body.ts';

/** What is longer is written in parts, so that it shows how much of it a client takes. */
const PART_BYTES = 64 * 1024;

/**
 * Writes an answer, head and body. `headers` are names and values in turn, to which the length is added, in bytes, that
 * the body has in UTF-8. `isHead`: the body is only measured.
 */
export function respond(
  response: ServerResponse,
  status: number,
  headers: string[],
  body: string | Buffer,
  isHead: boolean,
  length = Buffer.byteLength(body),
): void {
  headers.push('content-length', String(length));
  if (!response.req.complete) closeInSteps(response.req);
  response.writeHead(status, headers);
  // ASCII alone is the same in both, faster as Latin-1, and has a byte for each character.
  const encoding = length === body.length ? 'latin1' : 'utf8';
  if (isHead) response.end();
  else if (length > PART_BYTES) sendInParts(response, toParts(body), encoding);
  else response.end(body, encoding);
}

/** Texts stay texts: what the kernel takes of them at once is never held outside of V8's heap. */
function toParts(body: string | Buffer): (string | Buffer)[] {
  if (typeof body === 'string') return partsOf(body);
  const count = Math.ceil(body.length / PART_BYTES);
  return Array.from({ length: count }, (_, index) =>
    body.subarray(index * PART_BYTES, (index + 1) * PART_BYTES),
  );
}

function sendInParts(
  response: ServerResponse,
  parts: (string | Buffer)[],
  encoding: BufferEncoding,
): void {
  const part = parts.shift();
  if (parts.length === 0) response.end(part, encoding);
  else response.write(part, encoding, (error) => error ?? sendInParts(response, parts, encoding));
}

/** An answer that is not GraphQL. */
export function respondJson(response: ServerResponse, status: number, body: object): void {
  const headers = [
    ...['content-type', 'application/json; charset=utf-8'],
    ...['cache-control', 'no-store'],
  ];
  respond(response, status, headers, `${JSON.stringify(body)}\n`, response.req.method === 'HEAD');
}
