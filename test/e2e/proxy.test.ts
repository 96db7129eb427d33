import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { createCertificateAuthority, type Validity } from '../support/certificates.ts';
import { runProgram } from '../support/child-process.ts';
import { type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  CLIENT_SECRET,
  environmentFor,
  STATUS_QUERY,
  startTestGateway,
  statusFailure,
  type TestGateway,
} from '../support/test-gateway.ts';

const DAY_MS = 86_400_000;
const valid: Validity = {
  from: new Date(Date.now() - DAY_MS),
  until: new Date(Date.now() + DAY_MS),
};
const authority = createCertificateAuthority(valid);
const SUCCESS = {
  status: 200,
  body: { data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } },
};

function startTlsUpstream(host: string, options: ServerOptions = {}): Promise<ScriptedUpstream> {
  return startScriptedUpstream({ ...authority.issue(host, valid), ...options });
}

/** The settings of a tenant that the proxy alone can find. */
function environmentThrough(proxy: ConnectProxy, credentials = '') {
  return {
    ...environmentFor(new URL('https://tenant.test')),
    HTTPS_PROXY: proxy.url.href.replace('//', `//${credentials}`),
  };
}

function ask(gateway: TestGateway) {
  return gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
}

test('with HTTPS_PROXY all that the gateway asks goes through tunnels, and nothing of it in clear', async () => {
  using _ = authority.trust();
  await using tenant = await startTlsUpstream('tenant.test');
  await using login = await startTlsUpstream('login.test');
  await using issuer = await startTlsUpstream('issuer.test');
  await using proxy = await startConnectProxy({
    'tenant.test:443': tenant.url.port,
    'login.test:8443': login.url.port,
    'issuer.test:443': issuer.url.port,
  });
  login.onStatus = () => ({
    body: {
      issuer: 'https://login.test:8443',
      token_endpoint: 'https://login.test:8443/token',
    },
  });
  login.onToken = () => ({
    body: { access_token: 'canary-token', token_type: 'Bearer', expires_in: 600 },
  });
  issuer.onStatus = ({ target }) => ({
    body: target.startsWith('/.well-known/')
      ? { issuer: 'https://issuer.test', jwks_uri: 'https://issuer.test/keys' }
      : { keys: [] },
  });
  await using gateway = await startTestGateway({
    environment: {
      ...environmentThrough(proxy),
      TOKEN_GRANT: 'oauth2',
      TOKEN_ISSUER: 'https://login.test:8443',
    },
  });
  await using _callers = await startTestGateway({
    environment: {
      ...environmentThrough(proxy),
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: 'https://issuer.test',
      AUTH_AUDIENCE: 'participant-gateway',
    },
  });

  expect(await ask(gateway)).toEqual(SUCCESS);
  await issuer.statusCallCount(2);
  expect(issuer.statusCalls.map(({ target }) => target)).toEqual([
    '/.well-known/openid-configuration',
    '/keys',
  ]);
  expect(login.statusCalls.map(({ headers }) => headers.host)).toEqual(['login.test:8443']);
  expect(tenant.statusCalls.map(({ headers }) => headers.authorization)).toEqual([
    'Bearer canary-token',
  ]);
  expect(new Set(proxy.tunnels.map((tunnel) => tunnel.authority))).toEqual(
    new Set(['login.test:8443', 'tenant.test:443', 'issuer.test:443']),
  );
  expect(proxy.passed.length).toBeGreaterThan(1_000);
  expect(proxy.passed).not.toMatch(/canary|vehicles|HTTP\//);
});

test('a connection through the proxy is kept for the next calls', async () => {
  using _ = authority.trust();
  await using tenant = await startTlsUpstream('tenant.test');
  await using proxy = await startConnectProxy({ 'tenant.test:443': tenant.url.port });
  await using gateway = await startTestGateway({
    environment: { ...environmentThrough(proxy), STATUS_TTL_MS: '0' },
  });
  for (let call = 1; call <= 5; call += 1) expect(await ask(gateway)).toEqual(SUCCESS);
  expect(tenant.statusCalls).toHaveLength(5);
  // One for the token, one for the statuses.
  expect(proxy.tunnels.map((tunnel) => tunnel.authority)).toEqual(Array(2).fill('tenant.test:443'));
});

test('name and password of HTTPS_PROXY are for the proxy alone, and in no log line; a proxy by TLS', async () => {
  using _ = authority.trust();
  await using tenant = await startTlsUpstream('tenant.test');
  await using proxy = await startConnectProxy(
    { 'tenant.test:443': tenant.url.port },
    authority.issue('127.0.0.1', valid),
  );
  await using gateway = await startTestGateway({
    environment: environmentThrough(proxy, 'me:canary%2Fpass@'),
  });
  expect(await ask(gateway)).toEqual(SUCCESS);
  expect(proxy.tunnels[0]?.headers['proxy-authorization']).toBe(
    `Basic ${Buffer.from('me:canary/pass').toString('base64')}`,
  );
  expect(tenant.statusCalls[0]?.headers).not.toHaveProperty('proxy-authorization');
  expect(gateway.logLines.join('')).not.toMatch(/canary(?!-client)/);
});

test('a proxy that refuses, or does not answer, is an upstream out of reach; then it serves again', async () => {
  using _ = authority.trust();
  await using tenant = await startTlsUpstream('tenant.test');
  await using proxy = await startConnectProxy({ 'tenant.test:443': tenant.url.port });
  await using tokens = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    environment: {
      ...environmentThrough(proxy),
      TOKEN_GRANT: 'oauth2',
      TOKEN_URL: `${tokens.url.origin}/token`,
      UPSTREAM_TIMEOUT_MS: '300',
      // What hangs must not keep its place.
      UPSTREAM_MAX_CONNECTIONS: '1',
    },
  });
  tokens.onToken = () => ({ body: { access_token: 't', token_type: 'Bearer', expires_in: 600 } });
  proxy.status = 407;
  expect(await ask(gateway)).toMatchObject(
    statusFailure('The Participant Service cannot be reached.', {
      code: 'UPSTREAM_UNAVAILABLE',
    }),
  );
  proxy.status = undefined;
  expect(await ask(gateway)).toMatchObject(
    statusFailure('The Participant Service did not answer in time.', {
      code: 'UPSTREAM_TIMEOUT',
    }),
  );
  proxy.status = 200;
  await expect.poll(() => ask(gateway)).toEqual(SUCCESS);
});

test('a proxy by TLS whose certificate is for another name gets neither password nor tunnel', async () => {
  using _ = authority.trust();
  await using proxy = await startConnectProxy({}, authority.issue('proxy.test', valid));
  await using gateway = await startTestGateway({
    environment: environmentThrough(proxy, 'me:canary@'),
  });
  expect(await ask(gateway)).toMatchObject({
    body: { errors: [{ extensions: { code: 'TOKEN_UNAVAILABLE' } }] },
  });
  expect(proxy.tunnels).toEqual([]);
});

test('loopback is reached straight, and HTTP_PROXY means nothing', async () => {
  await using upstream = await startScriptedUpstream();
  await using proxy = await startConnectProxy({});
  const address = proxy.url.href;
  await using gateway = await startTestGateway({
    upstream,
    environment: { HTTPS_PROXY: address, HTTP_PROXY: address, http_proxy: address },
  });
  expect(await ask(gateway)).toEqual(SUCCESS);
  expect(proxy.tunnels).toEqual([]);
});

/** Writes files that only this test needs, and resolves to their paths. */
async function writeFiles(files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'participant-gateway-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return {
    path: (name: string) => join(folder, name),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

test('the client certificate is shown to the Participant Service, straight and through a proxy, and to nobody else', async () => {
  using _ = authority.trust();
  const client = authority.issue('gateway.test', valid);
  await using files = await writeFiles({ 'tls.crt': client.cert, 'tls.key': client.key });
  const asksForOne = { requestCert: true, ca: authority.certificate };
  await using tenant = await startTlsUpstream('127.0.0.1', asksForOne);
  await using named = await startTlsUpstream('tenant.test', asksForOne);
  await using tokens = await startTlsUpstream('127.0.0.1', {
    ...asksForOne,
    rejectUnauthorized: false,
  });
  await using proxy = await startConnectProxy({ 'tenant.test:443': named.url.port });
  const shown: unknown[] = [];
  tokens.onToken = (_call, { req }) => {
    shown.push((req.socket as TLSSocket).getPeerCertificate());
    return { body: { access_token: 't', token_type: 'Bearer', expires_in: 600 } };
  };
  const certificate = {
    UPSTREAM_CLIENT_CERT_FILE: files.path('tls.crt'),
    UPSTREAM_CLIENT_KEY_FILE: files.path('tls.key'),
  };
  for (const [environment, expected] of [
    [{ ...environmentFor(tenant.url), ...certificate }, SUCCESS],
    [{ ...environmentThrough(proxy), ...certificate }, SUCCESS],
    [
      {
        ...environmentFor(tenant.url),
        ...certificate,
        TOKEN_GRANT: 'oauth2',
        TOKEN_URL: `${tokens.url.origin}/token`,
      },
      SUCCESS,
    ],
    [environmentFor(tenant.url), { body: { data: { batchStatus: null } } }],
  ] as const) {
    await using gateway = await startTestGateway({ environment });
    expect(await ask(gateway)).toMatchObject(expected);
  }
  expect(tenant.statusCalls).toHaveLength(2);
  expect(shown).toEqual([{}]);
});

test('a certificate authority in NODE_EXTRA_CA_CERTS is trusted; without it, the service is out of reach', async () => {
  await using tenant = await startTlsUpstream('127.0.0.1');
  await using files = await writeFiles({ 'ca.pem': authority.certificate });
  const settings = { PORT: '0', ...environmentFor(tenant.url), TOKEN_CLIENT_SECRET: CLIENT_SECRET };
  const environment: Record<string, string> = {};
  for (const [name, text] of Object.entries(settings)) environment[name] = String(text);
  const bodies: unknown[] = [];
  for (const trusted of [{}, { NODE_EXTRA_CA_CERTS: files.path('ca.pem') }]) {
    await using program = runProgram('bin/participant-gateway.js', { ...environment, ...trusted });
    const [, address = ''] = await program.printed(/"graphql":"([^"]+)"/);
    const answer = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        query: STATUS_QUERY,
        variables: { participantType: 'vehicles' },
      }),
    });
    bodies.push(await answer.json());
  }
  expect(bodies).toMatchObject([
    { data: { batchStatus: null }, errors: [{ extensions: { code: 'TOKEN_UNAVAILABLE' } }] },
    SUCCESS.body,
  ]);
});
