import { randomUUID } from 'node:crypto';
import * as openid from 'openid-client';
import type { HttpRequest, Send } from '../http-client/client.ts';
import { type HttpResponse, headerOf } from '../http-client/response-collector.ts';
import { readRetryAfterMs } from '../http-client/retry-after.ts';
import { neverAborted } from '../lib/cancellation.ts';
import { isPlainLoopback } from '../lib/loopback.ts';
import { TextFileError } from '../lib/text-file.ts';
import type { ClientSecret } from './client-secret.ts';
import { TokenError } from './errors.ts';
import { toOs1Request } from './os1.ts';
import { type TokenDialect, toStandardAnswer } from './token-answer.ts';

/** What a token endpoint granted. */
export interface GrantedToken {
  /** The access token, fit for a header value. */
  value: string;
  /** Milliseconds it is good for, counted from when it was asked for. Positive. */
  lifetimeMs: number;
}

/** Asks for a new token. Rejects with a {@link TokenError}. */
export type Grant = () => Promise<GrantedToken>;

/** Where tokens are asked for: an endpoint, or an issuer whose metadata names it. */
export type TokenSource = { endpoint: URL } | { issuer: URL };

interface ClientCredentialsOptions {
  send: Send;
  /** `os1`: the platform's JSON request; `oauth2`: RFC 6749, section 4.4. */
  dialect: TokenDialect;
  source: TokenSource;
  clientId: string;
  clientSecret: ClientSecret;
  clientAuthentication: 'client_secret_basic' | 'client_secret_post';
  /** Sent as `audience` when given. */
  audience: string | undefined;
  /** Sent as `scope` when given. */
  scope: string | undefined;
  /** The wall clock, to read a Retry-After date. */
  date: () => Date;
}

/** A token that comes without a lifetime (RFC 6749 only recommends `expires_in`) is trusted for a minute. */
const UNSTATED_LIFETIME_MS = 60_000;
/** However long a token claims to be good for, it is renewed after a day. */
const LONGEST_LIFETIME_MS = 86_400_000;

/**
 * The client credentials grant through openid-client, for both dialects.
 *
 * When the credentials are refused, the secret is looked up anew, and if it is another one, tried
 * once more at once. Metadata of an issuer are looked up at the first token and kept.
 */
export function createClientCredentialsGrant(options: ClientCredentialsOptions): Grant {
  const { clientSecret, clientId } = options;
  const parameters = {
    ...(options.audience === undefined ? {} : { audience: options.audience }),
    ...(options.scope === undefined ? {} : { scope: options.scope }),
  };
  let metadata: openid.ServerMetadata | undefined;

  async function requestToken(): Promise<GrantedToken> {
    const requestId = randomUUID();
    const authentication = clientAuthentication(options, await readSecret(clientSecret, requestId));
    const call = recordedFetch(options, requestId);
    try {
      metadata ??= await lookUpMetadata(options, call.fetch);
      const configuration = new openid.Configuration(metadata, clientId, undefined, authentication);
      configuration[openid.customFetch] = call.fetch;
      if (mayBePlain(metadata.token_endpoint)) openid.allowInsecureRequests(configuration);
      return decodeGrant(await openid.clientCredentialsGrant(configuration, parameters), requestId);
    } catch (error) {
      throw toTokenError(error, call.outcome(), requestId, options.date());
    }
  }

  return async () => {
    try {
      return await requestToken();
    } catch (error) {
      const refused = error instanceof TokenError && error.kind === 'refused';
      if (refused && (await isNew(clientSecret))) return requestToken();
      throw error;
    }
  };
}

async function readSecret(secret: ClientSecret, requestId: string): Promise<string> {
  try {
    return await secret.current();
  } catch (error) {
    const why = error instanceof TextFileError ? `, which ${error.message}` : '';
    throw new TokenError('unavailable', `the client secret cannot be read from its file${why}`, {
      requestId,
    });
  }
}

async function isNew(secret: ClientSecret): Promise<boolean> {
  try {
    return await secret.reread();
  } catch {
    return false;
  }
}

function clientAuthentication(
  options: ClientCredentialsOptions,
  secret: string,
): openid.ClientAuth {
  return options.dialect === 'oauth2' && options.clientAuthentication === 'client_secret_basic'
    ? openid.ClientSecretBasic(secret)
    : openid.ClientSecretPost(secret);
}

async function lookUpMetadata(
  { source, clientId }: ClientCredentialsOptions,
  fetch: openid.CustomFetch,
): Promise<openid.ServerMetadata> {
  if ('endpoint' in source) {
    return { issuer: source.endpoint.origin, token_endpoint: source.endpoint.href };
  }
  const configuration = await openid.discovery(source.issuer, clientId, undefined, openid.None(), {
    [openid.customFetch]: fetch,
    execute: isPlainLoopback(source.issuer) ? [openid.allowInsecureRequests] : [],
  });
  return configuration.serverMetadata();
}

/** Elsewhere openid-client refuses plain HTTP, also where an issuer's metadata ask for it. */
function mayBePlain(url: string | undefined): boolean {
  return url !== undefined && URL.canParse(url) && isPlainLoopback(new URL(url));
}

/** openid-client's fetch over our send, which remembers what the server answered last. */
function recordedFetch({ send, dialect }: ClientCredentialsOptions, requestId: string) {
  let last: HttpResponse | undefined;
  let tokenAsked = false;

  const fetch: openid.CustomFetch = async (url, { method, headers, body }) => {
    last = undefined;
    tokenAsked = method === 'POST';
    if (!tokenAsked) {
      last = await send({ method: 'GET', url: new URL(url), headers }, neverAborted);
      return toFetchResponse(last);
    }
    const request: HttpRequest =
      dialect === 'os1'
        ? toOs1Request(new URLSearchParams(String(body)), new URL(url), requestId)
        : { method: 'POST', url: new URL(url), headers, body: String(body) };
    last = await send(request, neverAborted);
    return toFetchResponse(toStandardAnswer(last, dialect));
  };
  return { fetch, outcome: () => ({ last, tokenAsked }) };
}

function toFetchResponse({ status, headers, body }: HttpResponse): Response {
  const init = new Headers();
  const type = headerOf(headers, 'content-type');
  if (type !== undefined) init.set('content-type', type);
  return new Response([204, 205, 304].includes(status) ? null : body, { status, headers: init });
}

/** Refuses what no header can carry or no clock can count. */
function decodeGrant(answer: openid.TokenEndpointResponse, requestId: string): GrantedToken {
  const { access_token: value, token_type: type, expires_in: lifetime } = answer;
  if (!/^[\x21-\x7e]+$/.test(value))
    throw nonsense('the token is not one word of ASCII', requestId);
  if (type !== 'bearer') throw nonsense(WRONG_TYPE, requestId);
  if (lifetime !== undefined && lifetime < 1) {
    throw nonsense('the token is expired when issued', requestId);
  }
  const lifetimeMs = lifetime === undefined ? UNSTATED_LIFETIME_MS : lifetime * 1000;
  return { value, lifetimeMs: Math.min(lifetimeMs, LONGEST_LIFETIME_MS) };
}

const WRONG_TYPE = 'the token type is not Bearer';

function nonsense(what: string, requestId: string): TokenError {
  const message = `the token endpoint's answer makes no sense: ${what}`;
  return new TokenError('unavailable', message, { requestId });
}

/** openid-client's errors carry the answer, token and all: nothing of them but an error code goes on. */
function toTokenError(
  error: unknown,
  { last, tokenAsked }: { last: HttpResponse | undefined; tokenAsked: boolean },
  requestId: string,
  now: Date,
): TokenError {
  if (error instanceof TokenError) return error;
  if (last === undefined) {
    return new TokenError('unavailable', 'the token endpoint cannot be reached', { requestId });
  }
  const { status } = last;
  // An issuer's metadata ask for no credentials.
  if (tokenAsked && error instanceof openid.ResponseBodyError && isRefusal(error)) {
    const message = `the token endpoint refused the credentials (${status} ${errorCode(error.error)})`;
    return new TokenError('refused', message, { requestId });
  }
  // The one thing that the client does not support in what `toStandardAnswer` leaves of an answer.
  if (error instanceof openid.ClientError && error.code === 'OAUTH_UNSUPPORTED_OPERATION') {
    return nonsense(WRONG_TYPE, requestId);
  }
  const what = status === 200 ? "makes no sense as a token endpoint's" : `has the status ${status}`;
  return new TokenError('unavailable', `the token endpoint's answer ${what}`, {
    requestId,
    retryAfterMs: readRetryAfterMs(headerOf(last.headers, 'retry-after'), now),
  });
}

function isRefusal({ status, error }: openid.ResponseBodyError): boolean {
  return [400, 401, 403].includes(status) && !PASSING_ERRORS.has(error);
}

/** Codes of RFC 6749, section 4.1.2.1 that some token endpoints use, too: they tell of no credentials. */
const PASSING_ERRORS: ReadonlySet<string> = new Set(['server_error', 'temporarily_unavailable']);

/** RFC 6749, section 5.2 names the characters and the codes; what is not one of its kind is not repeated. */
function errorCode(code: string): string {
  return /^[a-z_]{1,40}$/.test(code) ? code : 'unknown error';
}
