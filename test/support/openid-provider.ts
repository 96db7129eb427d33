import { once } from 'node:events';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

/** A real OpenID provider on loopback, with two clients of the client credentials grant. */
export interface TestOpenIdProvider extends AsyncDisposable {
  issuer: URL;
  /** The client and scope that a token was issued for; undefined for a token of nobody. */
  describe(
    token: string,
  ): Promise<{ clientId: string | undefined; scope: string | undefined } | undefined>;
  /** Requests so far, as "POST /token". */
  requests: string[];
}

/** One client for each way to send the secret. The secret has characters that need encoding. */
export const PROVIDER_SECRET = 'canary secret:with+odd%characters&=';

export async function startOpenIdProvider(): Promise<TestOpenIdProvider> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    void provider.callback()(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const issuer = new URL(`http://127.0.0.1:${port}`);
  const provider = new Provider(issuer.origin, {
    clients: (['client_secret_basic', 'client_secret_post'] as const).map((method) => ({
      client_id: `gateway-${method}`,
      client_secret: PROVIDER_SECRET,
      token_endpoint_auth_method: method,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: 'batch:read',
    })),
    scopes: ['batch:read', 'batch:write'],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    ttl: { ClientCredentials: 600 },
  });

  return {
    issuer,
    requests,
    async describe(token) {
      const found = await provider.ClientCredentials.find(token);
      return found && { clientId: found.clientId, scope: found.scope };
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
