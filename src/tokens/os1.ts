import { z } from 'zod';
import type { HttpRequest } from '../http-client/client.ts';
import type { HttpResponse } from '../http-client/response-collector.ts';

/** The token endpoint of the platform, below the tenant's address. */
export const OS1_TOKEN_PATH = '/core/api/v1/aaa/auth/client-credentials';

const tokenAnswer = z.object({
  data: z.object({ accessToken: z.string(), expiresIn: z.unknown().optional() }),
});

/**
 * The platform's own way to ask for a token: turns the form request of RFC 6749, section 4.4.2 (as
 * openid-client writes it with `client_secret_post`) into the platform's JSON request.
 */
export function toOs1Request(form: URLSearchParams, url: URL, requestId: string): HttpRequest {
  const audience = form.get('audience');
  return {
    method: 'POST',
    url,
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      'X-COREOS-REQUEST-ID': requestId,
    },
    body: JSON.stringify({
      clientId: form.get('client_id'),
      clientSecret: form.get('client_secret'),
      ...(audience === null ? {} : { audience }),
    }),
  };
}

/**
 * The platform's answer as one of RFC 6749, section 5: `data.accessToken` becomes `access_token`,
 * and a refusal (400, 401, 403) becomes `invalid_client`. What is neither is passed on as it is, for
 * openid-client to refuse.
 */
export function fromOs1Response(response: HttpResponse): HttpResponse {
  const { status } = response;
  if (status === 400 || status === 401 || status === 403) {
    return json(response, 400, { error: 'invalid_client' });
  }
  if (status < 200 || status > 299) return response;
  const answer = tokenAnswer.safeParse(parseJson(response.body));
  if (!answer.success) return response;
  const { accessToken, expiresIn } = answer.data.data;
  return json(response, 200, {
    access_token: accessToken,
    token_type: 'bearer',
    ...(expiresIn === undefined || expiresIn === null ? {} : { expires_in: expiresIn }),
  });
}

function json(response: HttpResponse, status: number, body: object): HttpResponse {
  return {
    ...response,
    status,
    headers: { ...response.headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
