import type { IncomingMessage, ServerResponse } from 'node:http';
import { RefusedRequest } from '../graphql/refused-request.ts';
import { isJsonType } from './media-types.ts';

export interface BrowserPolicyOptions {
  /** The origins whose pages may call the gateway, each as a browser sends it. */
  corsOrigins: ReadonlySet<string>;
  /** Whether queries may come by GET. */
  getQueries: boolean;
}

/**
 * What a browser may do with the GraphQL endpoint for a page that is not the gateway's own. No answer
 * has `access-control-allow-credentials`: cookies mean nothing here.
 */
export interface BrowserPolicy {
  /** Headers of every answer to this request: CORS, if its origin is on the list, and hardening. */
  headersFor(request: IncomingMessage): Readonly<Record<string, string>>;
  /**
   * Throws a {@link RefusedRequest} for what a foreign page can make any browser send without asking
   * first (a CORS "simple request"): a body that is not declared as JSON (415), a GET without one of
   * the headers that need a preflight (403). Also for a method that is not offered (405).
   */
  check(request: IncomingMessage): void;
  /** Answers OPTIONS, a CORS preflight or not. */
  answerOptions(request: IncomingMessage, response: ServerResponse): void;
}

/** A page cannot send one of these to a foreign origin before the browser has asked: a preflight. */
const PREFLIGHTED_HEADERS = [
  'graphql-require-preflight',
  'apollo-require-preflight',
  'x-apollo-operation-name',
];

/** What the body of a simple request can be declared as. */
const SIMPLE_TYPE = /^\s*(?:application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)/i;

const HARDENING = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
};

/** How long a browser may remember a preflight's answer; none takes more than two hours. */
const PREFLIGHT_MAX_AGE_S = 7_200;

/** Names of headers, separated by commas, as `access-control-request-headers` has them. */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~-]+(?: ?, ?[\w!#$%&'*+.^`|~-]+)*$/;

export function createBrowserPolicy({
  corsOrigins,
  getQueries,
}: BrowserPolicyOptions): BrowserPolicy {
  // A cache must not hand the answer for one origin to another.
  const foreign = corsOrigins.size === 0 ? HARDENING : { ...HARDENING, vary: 'origin' };
  const byOrigin = new Map(
    [...corsOrigins].map((origin) => [
      origin,
      {
        ...foreign,
        'access-control-allow-origin': origin,
        'access-control-expose-headers': 'x-request-id, retry-after, www-authenticate',
      },
    ]),
  );
  const allowedMethods = getQueries ? 'GET, HEAD, POST, OPTIONS' : 'POST, OPTIONS';

  return {
    headersFor({ headers }) {
      return (headers.origin !== undefined && byOrigin.get(headers.origin)) || foreign;
    },
    check(request) {
      const { method, headers } = request;
      if (method === 'POST') {
        if (isJsonType(headers['content-type'])) return;
        throw new RefusedRequest(
          'BAD_USER_INPUT',
          415,
          'A POST takes JSON in UTF-8: send content-type application/json.',
        );
      }
      if (!getQueries || (method !== 'GET' && method !== 'HEAD')) {
        throw new RefusedRequest(
          'BAD_USER_INPUT',
          405,
          getQueries ? 'GraphQL takes POST, or GET for queries.' : 'GraphQL takes POST.',
          { headers: { allow: allowedMethods } },
        );
      }
      const type = headers['content-type'];
      if (type !== undefined && !SIMPLE_TYPE.test(type)) return;
      if (PREFLIGHTED_HEADERS.some((name) => headers[name])) return;
      throw new RefusedRequest(
        'FORBIDDEN',
        403,
        'A GET takes the header "graphql-require-preflight: 1", which keeps foreign pages from sending it unnoticed. Or use POST.',
      );
    },
    answerOptions({ headers }, response) {
      response.setHeader('allow', allowedMethods);
      const asked = headers['access-control-request-headers'];
      if (headers.origin !== undefined && byOrigin.has(headers.origin)) {
        response.setHeader('access-control-allow-methods', getQueries ? 'GET, POST' : 'POST');
        response.setHeader('access-control-max-age', PREFLIGHT_MAX_AGE_S);
        if (asked !== undefined && HEADER_NAMES.test(asked)) {
          response.setHeader('access-control-allow-headers', asked);
        }
      }
      response.writeHead(204).end();
    },
  };
}
