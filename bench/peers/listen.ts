import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { listenOnLoopback } from '../loopback.ts';
import { announce, type BatchStatus } from './support.ts';

/** Listens on a free port of loopback, and tells the harness which. */
export function listen(server: Server): void {
  listenOnLoopback(server).then(announce);
}

/** Calls back with the body of a request, when it is there. */
export function readBody(request: IncomingMessage, use: (body: string) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => use(Buffer.concat(chunks).toString()));
}

/** Calls back with the batch that the variables of a GraphQL request name, when it is there. */
export function readKey(
  request: IncomingMessage,
  use: (key: { participantType: string; batchId: string }) => void,
): void {
  readBody(request, (text) => {
    const { variables }: { variables: { t: string; b: string } } = JSON.parse(text);
    use({ participantType: variables.t, batchId: variables.b });
  });
}

/** Answers as a GraphQL server would. */
export function sendStatus(response: ServerResponse, batchStatus: BatchStatus): void {
  sendText(response, JSON.stringify({ data: { batchStatus } }));
}

/** Answers with a text of JSON. */
export function sendText(response: ServerResponse, text: string): void {
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
