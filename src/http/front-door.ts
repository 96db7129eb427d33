import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Access } from '../callers/access.ts';
import type { Clock } from '../clock.ts';
import type { RequestScope } from '../graphql/context.ts';
import type { HttpAnswer } from '../graphql/http-answer.ts';
import { RefusedRequest } from '../graphql/refused-request.ts';
import type { GraphQLServer } from '../graphql/yoga.ts';
import type { Log } from '../log.ts';
import { isLoopbackHost } from '../loopback.ts';
import type { Admission } from './admission.ts';
import type { BrowserPolicy } from './browsers.ts';
import type { ClientAddress } from './client-address.ts';
import { GRAPHIQL_ASSETS_PATH, type GraphiQL } from './graphiql.ts';
import { createKeptAnswers } from './kept-answers.ts';
import { createLeanLane } from './lean-lane.ts';
import { acceptedMediaType } from './media-types.ts';
import { type ReadinessChecks, readinessOf } from './probes.ts';
import type { RateLimit } from './rate-limit.ts';
import { readBody } from './request-body.ts';
import { faultOfHead } from './request-head.ts';
import { beginRequestScope } from './request-scope.ts';

export interface FrontDoorOptions {
  endpoint: string;
  tenantId: string;
  graphql: GraphQLServer;
  /** Undefined: GraphiQL is off. */
  graphiql: GraphiQL | undefined;
  readiness: ReadinessChecks;
  browsers: BrowserPolicy;
  access: Access;
  /** Only requests to a loopback name are taken: see {@link isMisdirected}. */
  loopbackOnly: boolean;
  clock: Clock;
  log: Log;
  clientAddress: ClientAddress;
  /** Undefined: none. */
  rateLimit: RateLimit | undefined;
  admission: Admission;
  sockets: SocketLimits;
  deadlineMs: number;
  /** The longest request body that is read. */
  requestMaxBytes: number;
}

/** What one client can hold of the server before it has sent a whole request. */
export interface SocketLimits {
  /** A client that sends its request slower than this is cut off: it must not hold a socket, or the drain. */
  requestTimeoutMs: number;
  /** How long a connection stays open for the next request. */
  keepAliveMs: number;
  /** Connections at a time; those beyond are closed at once. */
  maxSockets: number;
}

/** Head of a request, in bytes: Node's default, and more than any token needs. */
const MAX_HEADER_BYTES = 16 * 1024;

/** The one HTTP server of the gateway: GraphQL, GraphiQL, `/livez` and `/readyz`. */
export interface FrontDoor {
  /** Resolves to the server's origin. Rejects when the address cannot be had. */
  listen(host: string, port: number): Promise<URL>;
  /**
   * Ends without dropping a request. For `noticeMs` the server still takes requests, but `/readyz`
   * says 503 and every answer closes its connection, so that balancers and clients go elsewhere.
   * Then it takes no more, lets those under way finish, and cuts off what is left after `limitMs` in
   * all.
   */
  drain(noticeMs: number, limitMs: number): Promise<void>;
}

export function createFrontDoor(options: FrontDoorOptions): FrontDoor {
  const { endpoint, graphql, graphiql, browsers, access, clock, log } = options;
  const { clientAddress, rateLimit, admission, sockets, requestMaxBytes } = options;
  const leanLane = createLeanLane(graphql, createKeptAnswers(clock, options.tenantId));
  let draining = false;
  const underWay = new Set<ServerResponse>();
  const readiness: ReadinessChecks = {
    ...options.readiness,
    server: { missing: () => (draining ? 'shutting down' : undefined) },
  };

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault = faultOfHead(request);
    if (fault !== undefined) {
      response.setHeader('connection', 'close');
      return sendJson(response, fault.status, { error: fault.error });
    }
    if (options.loopbackOnly && isMisdirected(request)) {
      return sendJson(response, 421, {
        error:
          'With AUTH_MODE not set, the gateway answers under the names of its own machine only, such as localhost. Set AUTH_MODE.',
      });
    }
    const path = pathOf(request);
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (path === endpoint) {
      if (graphiql && reads && acceptsHtml(request)) return graphiql.servePage(response);
      return answerGraphQL(request, response);
    }
    if (path === '/livez' && reads) return sendJson(response, 200, { status: 'alive' });
    if (path === '/readyz' && reads) {
      const state = readinessOf(readiness);
      return sendJson(response, state.status === 'not ready' ? 503 : 200, state);
    }
    if (path === '/' && reads && graphiql) {
      response.writeHead(302, { location: endpoint }).end();
      return;
    }
    if (path.startsWith(GRAPHIQL_ASSETS_PATH) && reads && graphiql) {
      if (await graphiql.serveAsset(path, request, response)) return;
    }
    sendJson(response, 404, {
      error: `There is nothing here. GraphQL is at ${endpoint}, probes are at /livez and /readyz.`,
    });
  }

  /** Who is let in is counted by name; who is turned away, by address. */
  async function letIn(request: IncomingMessage, scope: RequestScope): Promise<void> {
    try {
      await access.admit(request, scope);
    } catch (error) {
      await rateLimit?.check({ address: clientAddress(request) });
      throw error;
    }
    if (rateLimit === undefined) return;
    const { caller } = scope;
    await rateLimit.check(
      caller === undefined ? { address: clientAddress(request) } : { subject: caller.subject },
    );
  }

  /** Who may not, is turned away here, before either lane; then the lean lane, then Yoga. */
  async function answerGraphQL(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const headers = browsers.headersFor(request);
    if (request.method === 'OPTIONS') {
      response.setHeaders(new Map(Object.entries(headers)));
      return browsers.answerOptions(request, response);
    }
    const scope = beginRequestScope(request, response, options);
    try {
      browsers.check(request);
      await letIn(request, scope);
      const body = request.method === 'POST' ? await readBody(request, requestMaxBytes) : undefined;
      const answer =
        body === undefined
          ? undefined
          : await leanLane(request, body, scope, () => admission.enter(response));
      if (answer !== undefined) return sendAnswer(response, answer, headers, scope);
      admission.enter(response);
      response.setHeaders(new Map(Object.entries(headers)));
      response.setHeader('x-request-id', scope.requestId);
      await graphql.handle(request, response, scope, body);
    } catch (error) {
      if (!(error instanceof RefusedRequest)) throw error;
      // Node reads and drops a body that nobody wants: a short one, for less than a new connection costs.
      if (!request.complete && !(Number(request.headers['content-length']) <= requestMaxBytes)) {
        response.setHeader('connection', 'close');
      }
      const mediaType = acceptedMediaType(request) ?? 'application/json';
      sendAnswer(response, graphql.refuse(error, mediaType, scope), headers, scope);
    }
  }

  const serverOptions = {
    headersTimeout: sockets.requestTimeoutMs,
    requestTimeout: sockets.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, Math.ceil(sockets.requestTimeoutMs / 8)),
    keepAliveTimeout: sockets.keepAliveMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    requireHostHeader: true,
    insecureHTTPParser: false,
  };
  const server = createServer(serverOptions, (request, response) => {
    underWay.add(response);
    response.once('close', () => underWay.delete(response));
    if (draining) response.setHeader('connection', 'close');
    route(request, response).catch((error: unknown) => {
      log.error({ err: error }, 'request handler failed');
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: 'Something went wrong in the gateway.' });
    });
  });

  server.maxConnections = sockets.maxSockets;

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
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
        log.warn({ requests: underWay.size }, 'requests cut off: they did not finish in time');
        server.closeAllConnections();
      });
      await closed;
      cancelLimit();
    },
  };
}

function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/';
  const end = target.indexOf('?');
  return end === -1 ? target : target.slice(0, end);
}

/**
 * A name that is not this machine's own, on a server that only this machine can reach: a foreign page
 * whose name was made to lead here (DNS rebinding), and which the browser then takes for the gateway's.
 */
function isMisdirected({ headers }: IncomingMessage): boolean {
  return !isLoopbackHost(new URL(`http://${headers.host}`).hostname);
}

function acceptsHtml(request: IncomingMessage): boolean {
  return request.headers.accept?.includes('text/html') ?? false;
}

/** One write, head and body. */
function sendAnswer(
  response: ServerResponse,
  answer: HttpAnswer,
  headers: Readonly<Record<string, string>>,
  scope: RequestScope,
): void {
  const length = Buffer.byteLength(answer.body);
  response.writeHead(answer.status, {
    ...headers,
    ...answer.headers,
    'content-type': `${answer.mediaType}; charset=utf-8`,
    'content-length': length,
    'x-request-id': scope.requestId,
  });
  // ASCII alone is the same in both, and faster as Latin-1.
  response.end(answer.body, length === answer.body.length ? 'latin1' : 'utf8');
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}

function originOf(address: AddressInfo | string | null, host: string): URL {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return new URL(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
}
