import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import { createServer } from '../lib/node-http.ts';
import { SlotSet } from '../lib/slot-set.ts';
import { answerFaultyRequests, type FaultyRequestsOptions } from './faulty-requests.ts';
import { respondJson } from './respond.ts';
import type { Routes } from './routes.ts';
import { createSlowReaders, type SlowReadersOptions } from './slow-readers.ts';
import { boundUnreadBody } from './unread-body.ts';

export interface ServerOptions {
  routes: Routes;
  sockets: SocketLimits;
  slowReaders: Pick<SlowReadersOptions, 'timeoutMs' | 'isStream' | 'othersWait'>;
  clientIp: FaultyRequestsOptions['clientIp'];
  clock: Clock;
  telemetry: Telemetry;
}

/** What one client can hold of the server before it has sent a whole request. */
interface SocketLimits {
  /** A client that sends its request slower than this is cut off: it must not hold a socket, or the drain. */
  requestTimeoutMs: number;
  /** How long a connection stays open for the next request. */
  keepAliveMs: number;
  /** Connections at a time; those beyond are closed at once. */
  maxSockets: number;
}

/** Head of a request, in bytes: Node's default, and more than any token needs. */
const MAX_HEADER_BYTES = 16 * 1024;

/** Connections that wait to be accepted: with Node's default, 511, a burst of more waits for a second. */
const BACKLOG = 4096;

/** The one HTTP server of the gateway. */
export interface Server {
  /** Resolves to the server's origin. Rejects when the address cannot be had. */
  listen(host: string, port: number): Promise<URL>;
  /**
   * Ends without dropping a request. For `noticeMs` the server still answers requests, but every answer closes
   * its connection, so that balancers and clients go elsewhere. Then it accepts no more, lets those under way
   * finish, and cuts off what is left after `limitMs` in all.
   */
  drain(noticeMs: number, limitMs: number): Promise<void>;
  /** Why it cannot serve; undefined: it can. */
  unready(): string | undefined;
  /** Connections of clients that are open now. */
  connections(): Promise<number>;
}

export function createHttpServer(options: ServerOptions): Server {
  const { routes, sockets, clock, telemetry } = options;
  let draining = false;
  const underWay = new SlotSet<ServerResponse>();
  const slowReaders = createSlowReaders({
    ...options.slowReaders,
    responses: underWay,
    clock,
    telemetry,
  });
  const serverOptions = {
    headersTimeout: sockets.requestTimeoutMs,
    requestTimeout: sockets.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, Math.ceil(sockets.requestTimeoutMs / 8)),
    keepAliveTimeout: sockets.keepAliveMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    // Looked at with the rest of the head, where a refusal has its log line.
    requireHostHeader: false,
    insecureHTTPParser: false,
  };
  const server = createServer(serverOptions, (request, response) => {
    const slot = underWay.add(response);
    slowReaders.watch();
    response.on('close', () => {
      underWay.delete(slot);
      if (!request.complete) boundUnreadBody(request, clock);
    });
    if (draining) response.setHeader('connection', 'close');
    try {
      const answered = routes(request, response);
      answered?.catch((error: unknown) => fail(response, error));
    } catch (error) {
      fail(response, error);
    }
  });
  server.maxConnections = sockets.maxSockets;
  answerFaultyRequests(server, { responses: underWay, clientIp: options.clientIp, telemetry });
  server.on('drop', () => telemetry.connectionRefused?.());

  function fail(response: ServerResponse, error: unknown): void {
    telemetry.handlerFailed?.({ error });
    if (response.headersSent) response.destroy();
    else respondJson(response, 500, { error: 'Something went wrong in the gateway.' });
  }

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ port, host, backlog: BACKLOG }, () => {
          server.off('error', reject);
          resolve(originOf(server.address(), host));
        });
      }),
    async drain(noticeMs, limitMs) {
      draining = true;
      for (const response of underWay) {
        if (!response.headersSent) response.setHeader('connection', 'close');
      }
      if (noticeMs > 0) await new Promise<void>((resolve) => void clock.after(noticeMs, resolve));
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      const cancelLimit = clock.after(limitMs - noticeMs, () => {
        telemetry.requestsCutOff?.({ requests: underWay.size });
        server.closeAllConnections();
      });
      await closed;
      cancelLimit();
    },
    unready: () => (draining ? 'shutting down' : undefined),
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
  };
}

function originOf(address: AddressInfo | string | null, host: string): URL {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return new URL(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
}
