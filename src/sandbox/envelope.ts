import type { IncomingMessage, ServerResponse } from 'node:http';

/** The `request` member of every envelope. */
export function echoOf(request: IncomingMessage): object {
  const [uri, ...query] = (request.url ?? '/').split('?');
  return {
    uri,
    method: request.method,
    queryString: query.join('?'),
    body: {},
  };
}

export function sendData(request: IncomingMessage, response: ServerResponse, data: object): void {
  send(response, 200, { data, request: echoOf(request) });
}

/** `code`: 4 digits service (1011 Participant, 1001 AAA), 4 method, 4 unique. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  code: string,
  description: string,
  additionalInfo: object = {},
): void {
  const error = { code, description, additionalInfo };
  send(response, status, { error, request: echoOf(request) });
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
