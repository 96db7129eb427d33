import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Telemetry } from '../../core/telemetry.ts';
import type { AllowedOrigins } from './allowed-origins.ts';

interface CorsOptions {
  /** The origins whose pages may call the gateway. */
  origins: AllowedOrigins;
  /** The methods that the GraphQL endpoint accepts. */
  methods: readonly string[];
  /** Is told of pages that may not call the gateway. */
  telemetry: Telemetry;
}

/**
 * Which pages may read the answers of the GraphQL endpoint. No answer has `access-control-allow-credentials`:
 * cookies mean nothing here.
 */
export interface Cors {
  /**
   * Headers of every answer to this request, names and values in turn: CORS, if its origin is on the list, and
   * hardening.
   */
  headersFor(request: IncomingMessage): readonly string[];
  /** Answers OPTIONS, a preflight or not. */
  answerOptions(request: IncomingMessage, response: ServerResponse): void;
}

const HARDENING: readonly string[] = [
  ...['cache-control', 'no-store'],
  ...['x-content-type-options', 'nosniff'],
  // A cache must not hand the answer for one origin to another.
  ...['vary', 'origin, sec-fetch-site'],
];

const EXPOSED = ['access-control-expose-headers', 'x-request-id, retry-after, www-authenticate'];

/** How long a browser may remember a preflight's answer; none remembers it for more than two hours. */
const PREFLIGHT_MAX_AGE_S = 7_200;

/** Names of headers, separated by commas, as `access-control-request-headers` has them. */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~-]+(?: ?, ?[\w!#$%&'*+.^`|~-]+)*$/;

export function createCors({ origins, methods, telemetry }: CorsOptions): Cors {
  const allow = [...methods, 'OPTIONS'].join(', ');
  const corsMethods = methods.filter((method) => method !== 'HEAD').join(', ');

  function headersFor({ headers }: IncomingMessage): readonly string[] {
    const { origin } = headers;
    if (origin === undefined) return HARDENING;
    if (origins.has(origin))
      return [...HARDENING, 'access-control-allow-origin', origin, ...EXPOSED];
    if (!isSameOrigin(headers)) telemetry.originRefused?.({ origin });
    return HARDENING;
  }

  return {
    headersFor,
    answerOptions(request, response) {
      const { origin, 'access-control-request-headers': asked } = request.headers;
      const headers = [...headersFor(request), 'allow', allow];
      if (origin !== undefined && origins.has(origin)) {
        headers.push('access-control-allow-methods', corsMethods);
        headers.push('access-control-max-age', String(PREFLIGHT_MAX_AGE_S));
        if (asked !== undefined && HEADER_NAMES.test(asked)) {
          headers.push('access-control-allow-headers', asked);
        }
      }
      response.writeHead(204, headers).end();
    },
  };
}

/** Whether the page is the gateway's own, or of what stands in front of it: by what the browser says, else by the host. */
function isSameOrigin(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined
    ? headers.origin?.replace(/^https?:\/\//, '') === headers.host
    : site === 'same-origin';
}
