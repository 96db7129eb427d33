import { once } from 'node:events';
import { createServer } from 'node:http';

/** An OAuth 2.0 token endpoint that takes any credentials. */
export interface TokenEndpoint {
  url: string;
  /** Requests that it has answered. */
  calls(): number;
}

/** Listens on a free port of loopback, for as long as this process runs. */
export async function startTokenEndpoint(): Promise<TokenEndpoint> {
  let calls = 0;
  const server = createServer((request, response) => {
    calls += 1;
    request.resume();
    response.setHeader('content-type', 'application/json');
    const token = 'a-token-that-is-as-long-as-opaque-tokens-often-are';
    response.end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 3600 }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/token`, calls: () => calls };
}
