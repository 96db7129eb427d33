import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { echoOf, sendData, sendError } from './envelope.ts';

type Fault = (request: IncomingMessage, response: ServerResponse, token: string) => void;

/** Longer than any gateway should read. */
const HUGE_CHUNKS = 512;

/** By batch id: each does what its name says, so that every error can be seen. */
export function createFaults(): ReadonlyMap<string, Fault> {
  let refusedToken: string | undefined;

  const faults: Record<string, Fault> = {
    'fault-400': (request, response) =>
      sendError(request, response, 400, '101100120001', 'The batch request is malformed.', {
        field: 'batchId',
      }),
    'fault-401': (request, response) =>
      sendError(request, response, 401, '100100120002', 'The identity of the client is unknown.'),
    /** Refuses the first token that it sees, for good. */
    'fault-401-once': (request, response, token) => {
      refusedToken ??= token;
      if (token === refusedToken) {
        sendError(request, response, 401, '100100120003', 'The access token was revoked.');
      } else {
        sendData(request, response, { meta: { status: 'SUCCESS' }, errors: [], success: [] });
      }
    },
    'fault-403': (request, response) =>
      sendError(request, response, 403, '101100120004', 'The client may not read this batch.'),
    'fault-404': (request, response) =>
      sendError(request, response, 404, '101100120005', 'The batch does not exist.'),
    'fault-429': (request, response) => {
      response.setHeader('retry-after', '2');
      sendError(request, response, 429, '101100120006', 'Too many requests.');
    },
    'fault-500': (request, response) =>
      sendError(request, response, 500, '101100120007', 'The service failed.'),
    'fault-503': (request, response) => {
      response.setHeader('retry-after', '5');
      sendError(request, response, 503, '101100120008', 'The service is under maintenance.');
    },
    'fault-timeout': () => {
      // Says nothing until the client gives up.
    },
    'fault-reset': (request) => {
      request.socket.resetAndDestroy();
    },
    'fault-html': (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<!doctype html><title>Sign in</title>');
    },
    'fault-truncated': (request, response) => {
      const whole = JSON.stringify({
        data: { meta: { status: 'SUCCESS' } },
        request: echoOf(request),
      });
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(whole.slice(0, whole.length / 2));
    },
    'fault-empty': (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 0 });
      response.end();
    },
    'fault-huge': (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      Readable.from(hugeBody())
        .on('error', () => response.destroy())
        .pipe(response);
    },
  };
  return new Map(Object.entries(faults));
}

function* hugeBody(): Generator<string> {
  yield '{"data":{"filler":"';
  for (let chunk = 0; chunk < HUGE_CHUNKS; chunk += 1) yield 'x'.repeat(64 * 1024);
  yield '"},"request":{}}';
}
