import type { IncomingMessage } from 'node:http';
import type { GraphQLMediaType } from '../graphql/http-answer.ts';

/** Whether the body is JSON in UTF-8, by `content-type`. */
export function isJson({ headers }: IncomingMessage): boolean {
  const type = headers['content-type'];
  return type === 'application/json' || /^application\/json; ?charset=utf-8$/i.test(type ?? '');
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
