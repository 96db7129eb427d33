import { type HttpResponse, headerOf } from '../http-client/response-collector.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../lib/json.ts';

/** How a token endpoint speaks: `os1`, the platform's own JSON; `oauth2`, RFC 6749. */
export type TokenDialect = 'os1' | 'oauth2';

/**
 * A token endpoint's answer as RFC 6749, section 5 has it, with nothing in it but what is needed: so members that
 * are null, a scope that is a list, or an ID token that nobody asked for do not cost a good token. A refusal of
 * the credentials has an `error`; a 401, 403 or page of HTML from something in between has none. What is neither a
 * token nor a refusal is passed on as it is, for openid-client to refuse.
 */
export function toStandardAnswer(response: HttpResponse, dialect: TokenDialect): HttpResponse {
  const { status } = response;
  const body = toObject(response.body);
  if (status >= 200 && status <= 299) {
    const grant = body && (dialect === 'os1' ? grantOfOs1(body) : grantOfOAuth2(body));
    return grant === undefined ? response : json(response, 200, grant);
  }
  const error = REFUSALS.has(status) ? errorOf(response, body, dialect) : undefined;
  return error === undefined ? response : json(response, status, { error });
}

/** The statuses by which credentials are refused. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403]);

function toObject(text: string): JsonObject | undefined {
  try {
    const value = parseJson(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** `data.accessToken` becomes `access_token`. It is a bearer token, and does not say so. */
function grantOfOs1({ data }: JsonObject): JsonObject | undefined {
  if (!isJsonObject(data) || typeof data['accessToken'] !== 'string') return undefined;
  return toGrant(data['accessToken'], 'bearer', data['expiresIn']);
}

function grantOfOAuth2(body: JsonObject): JsonObject | undefined {
  const { access_token: value, token_type: type, expires_in: lifetime } = body;
  if (typeof value !== 'string') return undefined;
  return toGrant(value, typeof type === 'string' && type !== '' ? type : 'none', lifetime);
}

function toGrant(value: string, type: string, lifetime: JsonValue | undefined): JsonObject {
  const expiry = lifetime === undefined || lifetime === null ? {} : { expires_in: lifetime };
  return { access_token: value, token_type: type, ...expiry };
}

/** The code of a refusal; undefined: the answer is none, though its status looks like one. */
function errorOf(
  response: HttpResponse,
  body: JsonObject | undefined,
  dialect: TokenDialect,
): string | undefined {
  const error = body?.['error'];
  if (dialect === 'oauth2' && typeof error === 'string' && error !== '') return error;
  const isDocumented = dialect === 'os1' && error !== undefined && error !== null;
  // Some say 401 and no more.
  const isBare = response.status === 401 && !isMarkup(response);
  return isDocumented || isBare ? 'invalid_client' : undefined;
}

/** A page for people. */
function isMarkup({ headers, body }: HttpResponse): boolean {
  return /html|xml/i.test(headerOf(headers, 'content-type') ?? '') || /^\ufeff?\s*</.test(body);
}

function json(response: HttpResponse, status: number, body: object): HttpResponse {
  return {
    ...response,
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}
