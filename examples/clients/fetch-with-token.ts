/**
 * A `fetch` that sends the caller's access token; every client here accepts one. `getToken` is asked before each
 * request, so it can renew a token that ends soon; undefined: none is sent. Rejects with what `getToken` rejects with.
 *
 * A stream keeps the token that it was opened with: when that ends, it ends with UNAUTHENTICATED, and `followBatches`
 * throws that.
 */
export function fetchWithToken(
  getToken: () => string | undefined | Promise<string | undefined>,
): typeof fetch {
  return async (input, init) => {
    const token = await getToken();
    const headers = new Headers(init?.headers);
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    return fetch(input, { ...init, headers });
  };
}
