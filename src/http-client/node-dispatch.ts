import type { OutgoingHttpHeaders } from 'node:http';
import type { buildConnector } from 'undici';
import type { CancelSignal } from '../lib/cancellation.ts';
import { request as sendByNode } from '../lib/node-http.ts';
import { HttpClientError } from './errors.ts';
import type { ResponseCollector } from './response-collector.ts';

interface DispatchedRequest {
  readonly method: string;
  readonly url: { readonly origin: string; readonly pathname: string; readonly search: string };
  /** By name; or names and values in turn. */
  readonly headers: Record<string, string> | string[];
  readonly body?: string | Uint8Array;
}

/**
 * Sends one request by Node's own client, over a connection of its own, and hands the answer to `collector` as
 * undici does. For servers that send 100 Continue though nobody asked for it: by RFC 9110, section 15.2 that is to
 * be ignored, but undici gives the connection up. The collector ends it, or `closing`.
 */
export function dispatchByNode(
  { method, url, headers, body }: DispatchedRequest,
  collector: ResponseCollector,
  { connect, closing }: { connect: buildConnector.connector; closing: CancelSignal },
): void {
  const { protocol, host, hostname, port } = new URL(url.origin);
  // Without the brackets of IPv6.
  const target = { protocol, host, hostname: hostname.replace(/^\[|\]$/g, ''), port };
  const request = sendByNode({
    path: url.pathname + url.search,
    method,
    headers: { host, ...toRecord(headers) },
    createConnection: (_options, connected) => {
      connect(target, (error, socket) => {
        if (socket === null) request.destroy(error ?? undefined);
        else connected(null, socket);
      });
      return undefined;
    },
  });
  const close = () => void request.destroy();
  closing.addEventListener('abort', close);
  request.on('close', () => closing.removeEventListener('abort', close));
  request.on('error', (error) => collector.onResponseError(undefined, error));
  request.on('response', (response) => {
    collector.onResponseStart(undefined, response.statusCode ?? 0, response.headersDistinct);
    response.on('data', (chunk: Buffer) => collector.onResponseData(undefined, chunk));
    response.on('end', () => collector.onResponseEnd());
    response.on('error', () => {
      const error = new HttpClientError('malformed', 'the answer was cut off, or is none');
      collector.onResponseError(undefined, error);
    });
  });
  collector.onRequestStart({ abort: close });
  request.end(body);
}

function toRecord(headers: DispatchedRequest['headers']): OutgoingHttpHeaders {
  if (!Array.isArray(headers)) return headers;
  const record: OutgoingHttpHeaders = {};
  for (let index = 0; index < headers.length; index += 2) {
    record[headers[index] ?? ''] = headers[index + 1];
  }
  return record;
}
