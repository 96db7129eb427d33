import type { IncomingMessage } from 'node:http';
import { RefusedRequest } from '../../core/errors.ts';
import { isUtf8Charset, parseMediaType } from '../../lib/media-type.ts';
import type { AllowedOrigins } from './allowed-origins.ts';

interface CsrfOptions {
  /** The methods that the GraphQL endpoint accepts. */
  methods: readonly string[];
  /** The origins whose pages may call the gateway. */
  origins: AllowedOrigins;
}

/**
 * Refuses what a foreign page can make any browser send without asking first (a CORS "simple request"): a body
 * that is not declared as JSON (415), a GET without a proof that it is none (403). Also a method that is not
 * offered (405), and an encoded body (415). Throws a {@link RefusedRequest}.
 */
export type CsrfGuard = (request: IncomingMessage) => void;

/** A page cannot send one of these to a foreign origin before the browser has asked: a preflight. */
const PREFLIGHTED_HEADERS = [
  'graphql-require-preflight',
  'apollo-require-preflight',
  'x-apollo-operation-name',
];

const JSON_TYPES = new Set(['application/json', 'application/graphql+json']);
/** What the body of a simple request can be declared as. */
const SIMPLE_TYPES = new Set([
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'text/plain',
]);

export function createCsrfGuard({ methods, origins }: CsrfOptions): CsrfGuard {
  function isProvenHarmless({ headers }: IncomingMessage): boolean {
    if (PREFLIGHTED_HEADERS.some((name) => headers[name])) return true;
    // The browser itself says where the page is from; no page can write these two.
    if (headers['sec-fetch-site'] === 'same-origin') return true;
    if (headers.origin !== undefined && origins.has(headers.origin)) return true;
    const type = headers['content-type'];
    const declared = type === undefined ? undefined : parseMediaType(type)?.type;
    return declared !== undefined && !SIMPLE_TYPES.has(declared);
  }

  return (request) => {
    const { method = '', headers } = request;
    if (!methods.includes(method)) {
      const offersGet = methods.includes('GET');
      throw new RefusedRequest(
        'BAD_USER_INPUT',
        405,
        offersGet ? 'GraphQL accepts POST, or GET for queries.' : 'GraphQL accepts POST.',
        { headers: { allow: [...methods, 'OPTIONS'].join(', ') } },
      );
    }
    if (method === 'POST') {
      if (!isJson(headers['content-type'])) {
        throw new RefusedRequest(
          'BAD_USER_INPUT',
          415,
          'A POST accepts JSON in UTF-8: send content-type application/json.',
        );
      }
      if (isEncoded(headers['content-encoding'])) {
        throw new RefusedRequest(
          'BAD_USER_INPUT',
          415,
          'The body is encoded: send it as it is, without content-encoding.',
          { headers: { 'accept-encoding': 'identity' } },
        );
      }
    } else if (!isProvenHarmless(request)) {
      throw new RefusedRequest(
        'FORBIDDEN',
        403,
        'A GET could be the work of a foreign page: send the header "graphql-require-preflight: 1", or ask from a page of the same origin or of one on the list CORS_ORIGINS. Or use POST.',
      );
    }
  };
}

function isEncoded(contentEncoding: string | undefined): boolean {
  return contentEncoding !== undefined && !/^\s*(?:identity)?\s*$/i.test(contentEncoding);
}

/** No page can send JSON to a foreign origin without a preflight. */
function isJson(contentType: string | undefined): boolean {
  if (contentType === 'application/json') return true;
  const type = contentType === undefined ? undefined : parseMediaType(contentType);
  return (
    type !== undefined && JSON_TYPES.has(type.type) && isUtf8Charset(type.parameters.get('charset'))
  );
}
