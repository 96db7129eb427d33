import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { BatchStatus, BatchStatusArguments } from './support.ts';
import { announce } from './support.ts';

/** Listens on a free port of loopback, and tells the harness which. */
export function listen(server: Server): void {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    announce(typeof address === 'object' && address !== null ? address.port : 0);
  });
}

/** Calls back with the batch that the variables of a GraphQL request name, when it is there. */
export function readKey(
  request: IncomingMessage,
  use: (key: { participantType: string; batchId: string }) => void,
): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body: { variables: { t: string; b: string } } = JSON.parse(
      Buffer.concat(chunks).toString(),
    );
    use({ participantType: body.variables.t, batchId: body.variables.b });
  });
}

/** Answers as a GraphQL server would. */
export function sendStatus(response: ServerResponse, batchStatus: BatchStatus): void {
  const text = JSON.stringify({ data: { batchStatus } });
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** The key of a map of statuses. */
export function toMapKey({ participantType, batchId }: BatchStatusArguments): string {
  return `${participantType}/${batchId ?? ''}`;
}
