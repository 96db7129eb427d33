import type { GraphQLHttpRequest, StreamFormat } from '../core/answer.ts';
import { RefusedRequest } from '../core/errors.ts';
import { negotiate } from '../lib/media-type.ts';

/** The media types of a GraphQL response; the first where a client has no preference. */
export const MEDIA_TYPES = ['application/json', 'application/graphql-response+json'] as const;
export type GraphQLMediaType = (typeof MEDIA_TYPES)[number];

/** The media types of an answer that goes on. */
export const STREAM_FORMATS = [
  'text/event-stream',
  'multipart/mixed',
] as const satisfies readonly StreamFormat[];

/** The one that a request wants most; undefined: it accepts neither. */
export function negotiateMediaType({
  headers,
}: Pick<GraphQLHttpRequest, 'headers'>): GraphQLMediaType | undefined {
  const { accept } = headers;
  // What most clients send, and no header at all.
  if (accept === undefined || accept === '*/*' || accept === MEDIA_TYPES[0]) return MEDIA_TYPES[0];
  return negotiate(String(accept), MEDIA_TYPES);
}

/** How the events of a live answer are to be written; undefined: in no way that there is. */
export function negotiateStream({ headers }: GraphQLHttpRequest): StreamFormat | undefined {
  const { accept } = headers;
  return negotiate(accept === undefined ? undefined : String(accept), STREAM_FORMATS);
}

const CONTENT_TYPES = new Map<string, readonly string[]>(
  MEDIA_TYPES.map((type) => [type, ['content-type', `${type}; charset=utf-8`]]),
);

/** The header of an answer of this type, name and value. */
export function contentType(mediaType: string): readonly string[] {
  return CONTENT_TYPES.get(mediaType) ?? [];
}

/** Of a request that accepts none of these. */
export function notAcceptable(mediaTypes: readonly string[]): RefusedRequest {
  return new RefusedRequest(
    'BAD_USER_INPUT',
    406,
    `The accept header allows none of the media types of this answer: ${mediaTypes.join(', ')}.`,
  );
}
