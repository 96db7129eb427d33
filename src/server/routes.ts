import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Telemetry } from '../core/telemetry.ts';
import { isLoopbackHost } from '../lib/loopback.ts';
import { negotiate } from '../lib/media-type.ts';
import type { ClientIp } from './client-ip.ts';
import { type RequestTarget, readHead } from './guards/head.ts';
import { type ReadinessChecks, readinessOf } from './health.ts';
import type { Pipeline } from './pipeline.ts';
import { respondJson } from './respond.ts';
import { GRAPHIQL_ASSETS_PATH, type GraphiQL } from './static.ts';

interface RoutesOptions {
  /** The path of the GraphQL endpoint. */
  endpoint: string;
  pipeline: Pipeline;
  /** Undefined: GraphiQL is off. */
  graphiql: GraphiQL | undefined;
  readiness: ReadinessChecks;
  /** Only requests to a loopback name are answered: see {@link isMisdirected}. */
  loopbackOnly: boolean;
  clientIp: ClientIp;
  telemetry: Telemetry;
}

/** So much of the path of a refused request is told. */
const MAX_PATH_LENGTH = 100;

/**
 * Finds what answers a request, by its path and method. Throws, or rejects, for a fault of the gateway alone; what is
 * answered at once is no promise.
 */
export type Routes = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export function createRoutes(options: RoutesOptions): Routes {
  const { endpoint, pipeline, graphiql, readiness, loopbackOnly, clientIp, telemetry } = options;
  /** The last authority that is this machine's own. */
  let directed: string | undefined;

  return (request, response) => {
    const head = readHead(request);
    if ('error' in head) {
      response.setHeader('connection', 'close');
      return refuse(response, head.status, head.error);
    }
    if (loopbackOnly && head.authority !== directed && isMisdirected(head)) {
      return refuse(
        response,
        421,
        'With AUTH_MODE not set, the gateway answers under the names of its own machine only, such as localhost. Set AUTH_MODE.',
      );
    }
    directed = head.authority;
    const { path, search } = head;
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (path === endpoint) {
      if (graphiql && reads && prefersHtml(request)) return graphiql.servePage(request, response);
      return pipeline(request, response, search);
    }
    if (path === '/livez' && reads) return respondJson(response, 200, { status: 'alive' });
    if (path === '/readyz' && reads) {
      const state = readinessOf(readiness);
      return respondJson(response, state.status === 'not ready' ? 503 : 200, state);
    }
    if (path === '/' && reads && graphiql) {
      response.writeHead(302, { location: endpoint }).end();
      return;
    }
    const mayBeAsset = path.startsWith(GRAPHIQL_ASSETS_PATH) && reads;
    if (graphiql && mayBeAsset) return respondAsset(graphiql, path, request, response);
    respondNothingHere(response);
  };

  async function respondAsset(
    { serveAsset }: GraphiQL,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (!(await serveAsset(path, request, response))) respondNothingHere(response);
  }

  function respondNothingHere(response: ServerResponse): void {
    refuse(
      response,
      404,
      `There is nothing here. GraphQL is at ${endpoint}, probes are at /livez and /readyz.`,
    );
  }

  function refuse(response: ServerResponse, status: number, reason: string): void {
    const { req: request } = response;
    telemetry.requestRefused?.({
      address: clientIp(request),
      method: request.method,
      path: shownPath(request.url),
      status,
      reason,
    });
    respondJson(response, status, { error: reason });
  }
}

/** A target that is no path could hold a password. */
function shownPath(target = ''): string | undefined {
  return /^\/[^?]*/.exec(target)?.[0].slice(0, MAX_PATH_LENGTH);
}

/**
 * A name that is not this machine's own, on a server that only this machine can reach: a foreign page
 * whose name was made to lead here (DNS rebinding), and which the browser then believes to be the gateway's. A request
 * that names no host is not from a browser.
 */
function isMisdirected({ authority }: RequestTarget): boolean {
  return authority !== undefined && !isLoopbackHost(new URL(`http://${authority}`).hostname);
}

/** A browser that opens a page, and no client that accepts anything. */
function prefersHtml({ headers: { accept } }: IncomingMessage): boolean {
  if (!accept?.toLowerCase().includes('text/html')) return false;
  return negotiate(accept, ['text/html', 'application/json']) === 'text/html';
}
