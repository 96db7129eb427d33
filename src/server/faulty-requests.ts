import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Telemetry } from '../core/telemetry.ts';
import { STATUS_CODES } from '../lib/node-http.ts';
import type { ClientIp } from './client-ip.ts';
import { respondJson } from './respond.ts';

export interface FaultyRequestsOptions {
  /** Those under way. */
  responses: Iterable<ServerResponse>;
  clientIp: ClientIp;
  telemetry: Telemetry;
}

/** By Node's error codes; any other is about what its parser does not accept. */
const FAULTS: Readonly<Record<string, { status: number; reason: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, reason: 'The request did not come whole in time.' },
  HPE_HEADER_OVERFLOW: { status: 431, reason: 'The head of the request is too long.' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, reason: 'The chunk extensions are too long.' },
};
const MALFORMED = { status: 400, reason: 'The request is malformed.' };

/**
 * Answers requests that do not come whole, or are no HTTP, with the statuses that Node would answer, and tells of
 * those that did not come so far as to be told of by who answers them.
 */
export function answerFaultyRequests(server: Server, options: FaultyRequestsOptions): void {
  const { responses, clientIp, telemetry } = options;

  function responseOn(socket: Socket): ServerResponse | undefined {
    for (const response of responses) if (response.socket === socket) return response;
    return undefined;
  }

  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    const response = responseOn(socket);
    const isClientGone = !socket.writable || error.code === 'HPE_INVALID_EOF_STATE';
    if (isClientGone || response?.headersSent || response?.req.complete) {
      socket.destroy();
      return;
    }
    const { status, reason } = FAULTS[error.code ?? ''] ?? MALFORMED;
    if (response !== undefined) {
      response.setHeader('connection', 'close');
      respondJson(response, status, { error: reason });
      return;
    }
    const address = clientIp({ socket, headers: {} });
    telemetry.requestRefused?.({ address, method: undefined, path: undefined, status, reason });
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
    socket.destroy();
  });
}
