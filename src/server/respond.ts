import type { ServerResponse } from 'node:http';

/** Writes an answer at once, head and body. Its length is put into `headers`. `isHead`: the body is only measured. */
export function respond(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | number>,
  body: string,
  isHead: boolean,
): void {
  const length = Buffer.byteLength(body);
  headers['content-length'] = length;
  response.writeHead(status, headers);
  if (isHead) response.end();
  // ASCII alone is the same in both, and faster as Latin-1.
  else response.end(body, length === body.length ? 'latin1' : 'utf8');
}

/** An answer that is not GraphQL. */
export function respondJson(response: ServerResponse, status: number, body: object): void {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  };
  respond(response, status, headers, `${JSON.stringify(body)}\n`, response.req.method === 'HEAD');
}
