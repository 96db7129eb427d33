import { once } from 'node:events';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import Provider from 'oidc-provider';

/** A real OpenID provider on loopback, with two clients of the client credentials grant. */
export interface TestOpenIdProvider extends AsyncDisposable {
  issuer: URL;
  /** The client and scope that a token was issued for; undefined for a token of nobody. */
  describe(
    token: string,
  ): Promise<{ clientId: string | undefined; scope: string | undefined } | undefined>;
  /** An access token (RFC 9068) for the gateway, from the token endpoint. Its subject is the client. */
  issueToken(scope?: string): Promise<string>;
  /** From now on tokens are signed with a new key; the old one stays in the key set. */
  rotateKeys(): Promise<void>;
  /** While true, every request is answered 503. */
  isDown: boolean;
  /** Requests so far, as "POST /token". */
  requests: string[];
}

/** One client for each way to send the secret. The secret has characters that need encoding. */
export const PROVIDER_SECRET = 'canary secret:with+odd%characters&=';

/** The gateway's name in the tokens that are issued for it. */
export const GATEWAY_AUDIENCE = 'https://gateway.example';

export async function startOpenIdProvider(): Promise<TestOpenIdProvider> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    if (running.isDown) response.writeHead(503).end();
    else void provider.callback()(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const issuer = new URL(`http://127.0.0.1:${port}`);
  const keys = [await newKey('key-1')];
  let provider = createProvider(issuer, keys);

  const running: TestOpenIdProvider = {
    issuer,
    requests,
    isDown: false,
    async describe(token) {
      const found = await provider.ClientCredentials.find(token);
      return found && { clientId: found.clientId, scope: found.scope };
    },
    async issueToken(scope = 'batch:read') {
      const credentials = 'gateway-client_secret_post';
      const response = await fetch(new URL('/token', issuer), {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: credentials,
          client_secret: PROVIDER_SECRET,
          resource: GATEWAY_AUDIENCE,
          scope,
        }),
      });
      const answer: { access_token?: string } = await response.json();
      if (answer.access_token === undefined) throw new Error(JSON.stringify(answer));
      return answer.access_token;
    },
    async rotateKeys() {
      keys.unshift(await newKey(`key-${keys.length + 1}`));
      provider = createProvider(issuer, keys);
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return running;
}

async function newKey(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, use: 'sig', alg: 'RS256' };
}

function createProvider(issuer: URL, keys: JWK[]): Provider {
  return new Provider(issuer.origin, {
    clients: (['client_secret_basic', 'client_secret_post'] as const).map((method) => ({
      client_id: `gateway-${method}`,
      client_secret: PROVIDER_SECRET,
      token_endpoint_auth_method: method,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: 'batch:read',
    })),
    jwks: { keys },
    scopes: ['batch:read', 'batch:write'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'batch:read',
          audience: GATEWAY_AUDIENCE,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    ttl: { ClientCredentials: 600 },
  });
}
