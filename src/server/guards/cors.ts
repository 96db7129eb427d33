import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AllowedOrigins } from './allowed-origins.ts';

interface CorsOptions {
  /** The origins whose pages may call the gateway. */
  origins: AllowedOrigins;
  /** The methods that the GraphQL endpoint accepts. */
  methods: readonly string[];
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

export function createCors({ origins, methods }: CorsOptions): Cors {
  const allow = [...methods, 'OPTIONS'].join(', ');
  const corsMethods = methods.filter((method) => method !== 'HEAD').join(', ');

  function headersFor({ headers }: IncomingMessage): readonly string[] {
    return headers.origin !== undefined && origins.has(headers.origin)
      ? [...HARDENING, 'access-control-allow-origin', headers.origin, ...EXPOSED]
      : HARDENING;
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
