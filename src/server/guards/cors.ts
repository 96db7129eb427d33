import type { IncomingMessage, ServerResponse } from 'node:http';

interface CorsOptions {
  /** The origins whose pages may call the gateway, each as a browser sends it. */
  origins: ReadonlySet<string>;
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

/** How long a browser may remember a preflight's answer; none remembers it for more than two hours. */
const PREFLIGHT_MAX_AGE_S = 7_200;

/** Names of headers, separated by commas, as `access-control-request-headers` has them. */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~-]+(?: ?, ?[\w!#$%&'*+.^`|~-]+)*$/;

export function createCors({ origins, methods }: CorsOptions): Cors {
  const byOrigin = new Map(
    [...origins].map((origin) => [
      origin,
      [
        ...HARDENING,
        ...['access-control-allow-origin', origin],
        ...['access-control-expose-headers', 'x-request-id, retry-after, www-authenticate'],
      ],
    ]),
  );
  const allow = [...methods, 'OPTIONS'].join(', ');
  const corsMethods = methods.filter((method) => method !== 'HEAD').join(', ');

  return {
    headersFor({ headers }) {
      return (headers.origin !== undefined && byOrigin.get(headers.origin)) || HARDENING;
    },
    answerOptions(request, response) {
      const { headers } = request;
      const common = this.headersFor(request);
      for (let index = 0; index < common.length; index += 2) {
        response.setHeader(common[index] ?? '', common[index + 1] ?? '');
      }
      response.setHeader('allow', allow);
      const asked = headers['access-control-request-headers'];
      if (headers.origin !== undefined && byOrigin.has(headers.origin)) {
        response.setHeader('access-control-allow-methods', corsMethods);
        response.setHeader('access-control-max-age', PREFLIGHT_MAX_AGE_S);
        if (asked !== undefined && HEADER_NAMES.test(asked)) {
          response.setHeader('access-control-allow-headers', asked);
        }
      }
      response.writeHead(204).end();
    },
  };
}
