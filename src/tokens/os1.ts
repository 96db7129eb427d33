import type { HttpRequest } from '../http-client/client.ts';

/** The token endpoint of the platform, below the tenant's address. */
export const OS1_TOKEN_PATH = '/core/api/v1/aaa/auth/client-credentials';

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
