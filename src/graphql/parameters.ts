import type { GraphQLHttpRequest } from '../core/answer.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { PersistedDocuments } from './persisted-documents.ts';
import type { Variables } from './variables.ts';

/** The parameters of a GraphQL request (GraphQL over HTTP, section 5). Other members are ignored. */
export interface GraphQLParameters {
  readonly query: string;
  readonly operationName: string | null | undefined;
  readonly variables: Variables;
}

/**
 * Reads the parameters out of the body of a POST, or the query string of a GET. Throws a {@link RefusedRequest} for
 * what is no GraphQL request, and for a document's hash that is not known.
 */
export function readParameters(
  request: GraphQLHttpRequest,
  persistedDocuments: PersistedDocuments,
): GraphQLParameters {
  const given = request.method === 'POST' ? readBody(request.body) : readSearch(request.search);
  checkType(given, 'query', 'a string', isText);
  checkType(given, 'operationName', 'a string', isText);
  checkType(given, 'variables', 'an object', isMap);
  checkType(given, 'extensions', 'an object', isMap);
  const { query, operationName, variables } = persistedDocuments.resolve(given);
  if (!isText(query) || query === '') {
    throw badRequest('The parameter query is missing: the text of a GraphQL document.');
  }
  return {
    query,
    operationName: isText(operationName) ? operationName : undefined,
    variables: isMap(variables) ? variables : undefined,
  };
}

function readBody(body: string): Record<string, unknown> {
  if (body === '') throw badRequest('The request has no body: send JSON with a query.');
  const given = parseJson(body, 'The body is not valid JSON.');
  if (Array.isArray(given)) {
    throw badRequest('Batching is not supported: send one operation in one request.');
  }
  if (!isMap(given)) throw badRequest('The body has to be a JSON object with a query.');
  return given;
}

function readSearch(search: string): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  if (!isEncodedUtf8(search)) {
    throw badRequest('The query string is not percent-encoded UTF-8 (RFC 3986).');
  }
  const parameters = new URLSearchParams(search);
  for (const name of ['query', 'operationName', 'documentId']) {
    const text = parameters.get(name);
    if (text !== null) given[name] = text;
  }
  for (const name of ['variables', 'extensions']) {
    const text = parameters.get(name);
    if (text) given[name] = parseJson(text, `The parameter ${name} is not valid JSON.`);
  }
  return given;
}

/** URLSearchParams would put something else in the place of what it cannot read. */
function isEncodedUtf8(search: string): boolean {
  try {
    decodeURIComponent(search);
    return true;
  } catch {
    return false;
  }
}

function parseJson(text: string, message: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(message);
  }
}

function checkType(
  given: Record<string, unknown>,
  name: string,
  what: string,
  isType: (value: unknown) => boolean,
): void {
  const value = Object.hasOwn(given, name) ? given[name] : undefined;
  if (value !== undefined && value !== null && !isType(value)) {
    throw badRequest(`The parameter ${name} has to be ${what}.`);
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badRequest(message: string): RefusedRequest {
  return new RefusedRequest('BAD_USER_INPUT', 400, message);
}
