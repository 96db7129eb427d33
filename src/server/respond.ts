import type { ServerResponse } from 'node:http';
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
  if (isHead) response.end();
  // ASCII alone is the same in both, faster as Latin-1, and has a byte for each character.
  else if (length === body.length) sendInParts(response, body, 0);
  else if (length <= PART_BYTES) response.end(body);
  else sendInParts(response, Buffer.from(body), 0);
}

function sendInParts(response: ServerResponse, body: string | Buffer, begin: number): void {
  const end = begin + PART_BYTES;
  const part = begin === 0 && end >= body.length ? body : body.slice(begin, end);
  if (end >= body.length) response.end(part, 'latin1');
  else response.write(part, 'latin1', (error) => error ?? sendInParts(response, body, end));
}

/** An answer that is not GraphQL. */
export function respondJson(response: ServerResponse, status: number, body: object): void {
  const headers = [
    ...['content-type', 'application/json; charset=utf-8'],
    ...['cache-control', 'no-store'],
  ];
  respond(response, status, headers, `${JSON.stringify(body)}\n`, response.req.method === 'HEAD');
}
