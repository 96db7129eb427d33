import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { ECHO, type ScriptedUpstream, startScriptedUpstream } from './scripted-upstream.ts';
import { startTestGateway, type TestGateway, type TestGatewayOptions } from './test-gateway.ts';

/** The claim in which tokens of a test name the tenant. */
export const TENANT_CLAIM = 'tenant';

/** A tenant with a Participant Service and an issuer of its own, on loopback. */
export interface TestTenant extends AsyncDisposable {
  name: string;
  /** Its status calls are answered with its name as the status, and its token is `token-of-<name>`. */
  upstream: ScriptedUpstream;
  /** What is in its file. */
  settings: Record<string, unknown>;
  /** A token of its issuer, for its audience, that names this tenant unless the claims say otherwise. */
  issueToken(claims?: Record<string, unknown>): Promise<string>;
  /** Requests to its issuer. */
  issuerRequests(): number;
}

const keys = generateKeyPair('ES256');

export async function startTestTenant(name: string): Promise<TestTenant> {
  const upstream = await startScriptedUpstream();
  upstream.onStatus = () => ({ body: { data: { status: name }, request: ECHO } });
  upstream.onToken = () => ({
    body: { data: { accessToken: `token-of-${name}`, expiresIn: 3600 } },
  });
  const { privateKey, publicKey } = await keys;
  const jwk = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'ES256' };
  let issuerRequests = 0;
  const server = createServer((_request, response) => {
    issuerRequests += 1;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ keys: [jwk] }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const issuer = `http://127.0.0.1:${port}`;
  const audience = `audience-of-${name}`;
  return {
    name,
    upstream,
    settings: {
      PARTICIPANT_SERVICE_URL: upstream.url.origin,
      PARTICIPANT_SERVICE_TENANT_ID: `id-of-${name}`,
      TOKEN_CLIENT_ID: `client-of-${name}`,
      TOKEN_CLIENT_SECRET_FILE: `${name}.secret`,
      AUTH_ISSUER: issuer,
      AUTH_JWKS_URL: `${issuer}/jwks`,
      AUTH_AUDIENCE: audience,
      AUTH_ALGORITHMS: 'ES256',
      TENANT_HOSTS: `${name}.example`,
      CORS_ORIGINS: `https://${name}.example`,
    },
    issueToken: (claims = {}) =>
      new SignJWT({ [TENANT_CLAIM]: name, sub: `somebody-of-${name}`, ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'key-1' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setExpirationTime(new Date('2100-01-01'))
        .sign(privateKey),
    issuerRequests: () => issuerRequests,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** A gateway that serves the tenants of a directory. */
export interface TenantsGateway extends TestGateway {
  /** Writes a tenant's file anew, as editors do: the old one is there until the new one is whole. */
  write(name: string, settings: Record<string, unknown> | string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Writes the file of a tenant's secret anew. */
  rotateSecret(name: string, secret: string): Promise<void>;
}

export async function startTenantsGateway(
  tenants: readonly TestTenant[],
  { environment, ...options }: TestGatewayOptions = {},
): Promise<TenantsGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'tenants-'));
  async function write(name: string, settings: Record<string, unknown> | string): Promise<void> {
    const text = typeof settings === 'string' ? settings : JSON.stringify(settings);
    await writeFile(join(directory, `${name}.secret`), `canary-secret-of-${name}`);
    await writeFile(join(directory, `.${name}.new`), text);
    await rename(join(directory, `.${name}.new`), join(directory, `${name}.json`));
  }
  for (const { name, settings } of tenants) await write(name, settings);
  const gateway = await startTestGateway({
    ...options,
    environment: {
      TENANTS_DIR: directory,
      AUTH_MODE: 'jwt',
      TENANT_CLAIM,
      RATE_LIMIT_PER_SECOND: '0',
      ...environment,
    },
  });
  return {
    ...gateway,
    write,
    remove: (name) => rm(join(directory, `${name}.json`)),
    rotateSecret: (name, secret) => writeFile(join(directory, `${name}.secret`), secret),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

/** An answer, with what tells for whom it is. */
export interface TenantAnswer {
  status: number;
  allowedOrigin: unknown;
  body: unknown;
}

/** Sends a request with any Host, which fetch does not. */
export async function sendWithHost(
  endpoint: URL,
  { method, headers, body }: { method: string; headers: Record<string, string>; body?: string },
): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
  const sent = request(endpoint, { method, headers }).end(body);
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode, headers: response.headers, body: text };
}

/** Asks for the status of a batch. */
export async function askAs(
  { endpoint }: Pick<TestGateway, 'endpoint'>,
  headers: Record<string, string>,
  batchId = 'b-1',
): Promise<TenantAnswer> {
  const answer = await sendWithHost(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': 'the-same', ...headers },
    body: JSON.stringify({
      query:
        'query($id: ID) { batchStatus(participantType: "vehicles", batchId: $id) { id status } }',
      variables: { id: batchId },
    }),
  });
  return {
    status: answer.status,
    allowedOrigin: answer.headers['access-control-allow-origin'],
    body: JSON.parse(answer.body),
  };
}
