import type { ExecutionResult, GraphQLError } from 'graphql';

/** The media types of a GraphQL response, by GraphQL over HTTP. */
export type GraphQLMediaType = 'application/json' | 'application/graphql-response+json';

/** A GraphQL response, ready to be written. */
export interface HttpAnswer {
  status: number;
  mediaType: GraphQLMediaType;
  /** Further headers that an error asks for, such as `allow`. */
  headers: Readonly<Record<string, string>>;
  body: string;
}

/**
 * The response to one result, by the rules of GraphQL over HTTP as Yoga reads them: 200, unless an
 * error has `extensions.http`, which is not shown: `status` (the highest counts; with `spec`, only
 * for application/graphql-response+json) and `headers`. A fault before execution is 500.
 */
export function toHttpAnswer(result: ExecutionResult, mediaType: GraphQLMediaType): HttpAnswer {
  const { errors } = result;
  if (errors === undefined || errors.length === 0) {
    return { status: 200, mediaType, headers: {}, body: JSON.stringify(result) };
  }
  let status = 0;
  const headers: Record<string, string> = {};
  for (const { extensions } of errors) {
    const { http } = extensions;
    Object.assign(headers, http?.headers);
    if (http?.status !== undefined && !(http.spec && mediaType === 'application/json')) {
      status = Math.max(status, http.status);
    }
  }
  if (status === 0) status = 'data' in result || !errors.some(isInternal) ? 200 : 500;
  const body = JSON.stringify({ ...result, errors: errors.map(withoutHttp) });
  return { status, mediaType, headers, body };
}

function isInternal({ extensions }: GraphQLError): boolean {
  return extensions['code'] === 'INTERNAL_SERVER_ERROR';
}

function withoutHttp(error: GraphQLError): object {
  const { extensions, ...shown } = error.toJSON();
  const { http: _, ...rest } = extensions ?? {};
  return { ...shown, extensions: rest };
}
