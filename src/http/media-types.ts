import type { IncomingMessage } from 'node:http';
import type { GraphQLMediaType } from '../graphql/http-answer.ts';

/**
 * Whether a `content-type` is one of JSON in UTF-8, which no page can send to a foreign origin
 * without a preflight.
 */
export function isJsonType(contentType: string | undefined): boolean {
  return (
    contentType === 'application/json' ||
    /^application\/(?:graphql\+)?json\s*(?:;\s*charset="?utf-?8"?\s*)?(?:;\s*)?$/i.test(
      contentType ?? '',
    )
  );
}

/**
 * The media type of the answer: the first in `accept` that is one of a GraphQL response, whatever its
 * weight; application/json where anything will do. Undefined when there is none.
 */
export function acceptedMediaType({ headers }: IncomingMessage): GraphQLMediaType | undefined {
  const { accept } = headers;
  if (accept === undefined || accept === '*/*' || accept === 'application/json') {
    return 'application/json';
  }
  for (const range of accept.toLowerCase().split(',')) {
    const [type, ...parameters] = range.replaceAll(/\s/g, '').split(';');
    const charset = parameters.find((parameter) => parameter.includes('charset='));
    if (charset !== undefined && charset !== 'charset=utf-8') continue;
    if (type === '*/*' || type === 'application/*' || type === 'application/json') {
      return 'application/json';
    }
    if (type === 'application/graphql-response+json') return type;
  }
  return undefined;
}
