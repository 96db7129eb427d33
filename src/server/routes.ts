import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Telemetry } from '../core/telemetry.ts';
import { negotiate } from '../lib/media-type.ts';
import type { ClientIp } from './client-ip.ts';
import { createHeadGuard, type HeadGuard, type RequestTarget } from './guards/head.ts';
import { type ReadinessChecks, readinessOf } from './health.ts';
import { METRICS_PATH, type Metrics, respondMetrics } from './metrics.ts';
import type { Pipeline } from './pipeline.ts';
import { respondJson } from './respond.ts';
import { GRAPHIQL_ASSETS_PATH, type GraphiQL } from './static.ts';

interface RoutesOptions extends RefuseOptions {
  /** The path of the GraphQL endpoint. */
  endpoint: string;
  pipeline: Pipeline;
  /** Undefined: GraphiQL is off. */
  graphiql: GraphiQL | undefined;
  readiness: ReadinessChecks;
  /** Undefined: they are not shown here. */
  metrics: Metrics | undefined;
  /** See {@link createHeadGuard}. */
  loopbackOnly: boolean;
}

/** So much of the path of a refused request is told. */
const MAX_PATH_LENGTH = 100;

/**
 * Finds what answers a request, by its path and method. Throws, or rejects, for a fault of the gateway alone; what is
 * answered at once is no promise.
 */
export type Routes = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export function createRoutes(options: RoutesOptions): Routes {
  const { endpoint, pipeline, graphiql, readiness, metrics, loopbackOnly } = options;
  const refuse = createRefuse(options);
  const guardHead = createHeadGuard(loopbackOnly);
  const nothingHere = `There is nothing here. GraphQL is at ${endpoint}, probes are at /livez and /readyz.`;

  return (request, response) => {
    const target = admit(guardHead, request, response, refuse);
    if (target === undefined) return;
    const { path, search } = target;
    const reads = isRead(request);
    if (path === endpoint) {
      if (graphiql && reads && prefersHtml(request)) return graphiql.servePage(request, response);
      return pipeline(request, response, search);
    }
    if (path === '/livez' && reads) return respondJson(response, 200, { status: 'alive' });
    if (path === '/readyz' && reads) {
      const state = readinessOf(readiness);
      return respondJson(response, state.status === 'not ready' ? 503 : 200, state);
    }
    if (path === METRICS_PATH && reads && metrics)
      return respondMetrics(metrics, request, response);
    if (path === '/' && reads && graphiql) {
      response.writeHead(302, { location: endpoint }).end();
      return;
    }
    const mayBeAsset = path.startsWith(GRAPHIQL_ASSETS_PATH) && reads;
    if (graphiql && mayBeAsset) return respondAsset(graphiql, path, request, response);
    refuse(response, 404, nothingHere);
  };

  async function respondAsset(
    { serveAsset }: GraphiQL,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (!(await serveAsset(path, request, response))) refuse(response, 404, nothingHere);
  }
}

/** A target that is no path could hold a password. */
function shownPath(target = ''): string | undefined {
  return /^\/[^?]*/.exec(target)?.[0].slice(0, MAX_PATH_LENGTH);
}

interface RefuseOptions {
  clientIp: ClientIp;
  telemetry: Telemetry;
}

type Refuse = (response: ServerResponse, status: number, reason: string) => void;

/** Answers a request that is refused, and tells so. */
function createRefuse({ clientIp, telemetry }: RefuseOptions): Refuse {
  return (response, status, reason) => {
    const { req: request } = response;
    telemetry.requestRefused?.({
      address: clientIp(request),
      method: request.method,
      path: shownPath(request.url),
      status,
      reason,
    });
    respondJson(response, status, { error: reason });
  };
}

interface MetricsRoutesOptions extends RefuseOptions {
  metrics: Metrics;
  /** See {@link createHeadGuard}. */
  loopbackOnly: boolean;
}

/** Of a port that shows nothing but metrics. */
export function createMetricsRoutes({
  metrics,
  loopbackOnly,
  ...rest
}: MetricsRoutesOptions): Routes {
  const refuse = createRefuse(rest);
  const guardHead = createHeadGuard(loopbackOnly);
  return (request, response) => {
    const target = admit(guardHead, request, response, refuse);
    if (target === undefined) return;
    return target.path === METRICS_PATH && isRead(request)
      ? respondMetrics(metrics, request, response)
      : refuse(response, 404, `There is nothing here. Metrics are at ${METRICS_PATH}.`);
  };
}

/** Undefined: it is refused already. */
function admit(
  guardHead: HeadGuard,
  request: IncomingMessage,
  response: ServerResponse,
  refuse: Refuse,
): RequestTarget | undefined {
  const head = guardHead(request);
  if (!('error' in head)) return head;
  if (head.closes) response.setHeader('connection', 'close');
  refuse(response, head.status, head.error);
  return undefined;
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** A browser that opens a page, and no client that accepts anything. */
function prefersHtml({ headers: { accept } }: IncomingMessage): boolean {
  if (!accept?.toLowerCase().includes('text/html')) return false;
  return negotiate(accept, ['text/html', 'application/json']) === 'text/html';
}
