import type { ServerResponse } from 'node:http';

/** What is longer is written in parts, so that it shows how much of it a client takes. */
const PART_BYTES = 64 * 1024;

/** Writes an answer, head and body. Its length is put into `headers`. `isHead`: the body is only measured. */
export function respond(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | number>,
  body: string | Buffer,
  isHead: boolean,
): void {
  const length = Buffer.byteLength(body);
  headers['content-length'] = length;
  response.writeHead(status, headers);
  if (isHead) response.end();
  else if (length > PART_BYTES) sendInParts(response, Buffer.from(body), 0);
  // ASCII alone is the same in both, and faster as Latin-1.
  else if (typeof body === 'string') response.end(body, length === body.length ? 'latin1' : 'utf8');
  else response.end(body);
}

function sendInParts(response: ServerResponse, body: Buffer, begin: number): void {
  const end = begin + PART_BYTES;
  const part = body.subarray(begin, end);
  if (end >= body.length) response.end(part);
  else response.write(part, (error) => error ?? sendInParts(response, body, end));
}

/** An answer that is not GraphQL. */
export function respondJson(response: ServerResponse, status: number, body: object): void {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  };
  respond(response, status, headers, `${JSON.stringify(body)}\n`, response.req.method === 'HEAD');
}
