import { expect, test } from 'vitest';
import type { Environment } from '../../src/config/load.ts';
import { createClientCredentialsGrant } from '../../src/tokens/client-credentials.ts';
import { fixedSecret } from '../../src/tokens/client-secret.ts';
import { PROVIDER_SECRET, startOpenIdProvider } from '../support/openid-provider.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, statusFailure } from '../support/test-gateway.ts';

const SUCCESS = {
  status: 200,
  body: { data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } },
};

const sources: [name: string, settings: (issuer: URL) => Environment, lookUps: string[]][] = [
  [
    'discovery from an issuer',
    (issuer) => ({ TOKEN_ISSUER: issuer.origin }),
    ['GET /.well-known/openid-configuration'],
  ],
  ['a plain token URL', (issuer) => ({ TOKEN_URL: `${issuer.origin}/token` }), []],
];

for (const [name, settingsFor, lookUps] of sources) {
  for (const method of ['client_secret_basic', 'client_secret_post']) {
    test(`a token by ${name} and ${method} travels as a bearer token`, async () => {
      await using provider = await startOpenIdProvider();
      await using upstream = await startScriptedUpstream();
      await using gateway = await startTestGateway({
        upstream,
        environment: {
          TOKEN_GRANT: 'oauth2',
          TOKEN_CLIENT_ID: `gateway-${method}`,
          TOKEN_CLIENT_SECRET: PROVIDER_SECRET,
          TOKEN_CLIENT_AUTH: method,
          TOKEN_SCOPE: 'batch:read',
          TOKEN_AUDIENCE: 'https://api.example',
          ...settingsFor(provider.issuer),
        },
      });

      expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(SUCCESS);
      const { authorization, 'x-coreos-access': access } = upstream.statusCalls[0]?.headers ?? {};
      const [scheme, token = ''] = authorization?.split(' ') ?? [];
      expect(scheme).toBe('Bearer');
      expect(access).toBeUndefined();
      expect(await provider.describe(token)).toEqual({
        clientId: `gateway-${method}`,
        scope: 'batch:read',
      });
      expect(provider.requests).toEqual([...lookUps, 'POST /token']);
      expect(gateway.logLines.join('')).not.toContain(token);
    });

    test(`a wrong secret by ${name} and ${method} is UPSTREAM_UNAUTHENTICATED, and no upstream call`, async () => {
      await using provider = await startOpenIdProvider();
      await using upstream = await startScriptedUpstream();
      await using gateway = await startTestGateway({
        upstream,
        environment: {
          TOKEN_GRANT: 'oauth2',
          TOKEN_CLIENT_ID: `gateway-${method}`,
          TOKEN_CLIENT_SECRET: 'canary-wrong-secret',
          TOKEN_CLIENT_AUTH: method,
          ...settingsFor(provider.issuer),
        },
      });
      const answer = await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });

      expect(answer).toEqual(
        statusFailure(
          expect.stringMatching(
            /^The gateway could not identify itself: the token endpoint refused the credentials \(401( invalid_client)?\)\.$/,
          ),
          {
            code: 'UPSTREAM_UNAUTHENTICATED',
            retryable: false,
          },
        ),
      );
      expect(upstream.statusCalls).toEqual([]);
      expect(JSON.stringify([answer, gateway.logLines])).not.toContain('canary-wrong-secret');
    });
  }
}

test('a scope that the provider does not grant is UPSTREAM_UNAUTHENTICATED, with its error code', async () => {
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      TOKEN_GRANT: 'oauth2',
      TOKEN_CLIENT_ID: 'gateway-client_secret_post',
      TOKEN_CLIENT_SECRET: PROVIDER_SECRET,
      TOKEN_CLIENT_AUTH: 'client_secret_post',
      TOKEN_SCOPE: 'batch:write',
      TOKEN_URL: `${provider.issuer.origin}/token`,
    },
  });
  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
    statusFailure(
      'The gateway could not identify itself: the token endpoint refused the credentials (400 invalid_scope).',
      { code: 'UPSTREAM_UNAUTHENTICATED', retryable: false },
    ),
  );
});

test('an issuer that is not there is TOKEN_UNAVAILABLE', async () => {
  const provider = await startOpenIdProvider();
  await provider[Symbol.asyncDispose]();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { TOKEN_GRANT: 'oauth2', TOKEN_ISSUER: provider.issuer.origin },
  });
  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
    statusFailure('The gateway has no access token: the token endpoint cannot be reached.', {
      code: 'TOKEN_UNAVAILABLE',
      retryable: true,
      retryAfterMs: expect.any(Number),
    }),
  );
});

test("an issuer's metadata that name a token endpoint without TLS get no credentials", async () => {
  const requests: string[] = [];
  const grant = createClientCredentialsGrant({
    send: async ({ method, url }) => {
      requests.push(`${method} ${url.origin}${url.pathname}`);
      const metadata = {
        issuer: 'https://issuer.example',
        token_endpoint: 'http://issuer.example/token',
      };
      return {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(metadata),
      };
    },
    dialect: 'oauth2',
    source: { issuer: new URL('https://issuer.example') },
    clientId: 'gateway',
    clientSecret: fixedSecret(PROVIDER_SECRET),
    clientAuthentication: 'client_secret_post',
    audience: undefined,
    scope: undefined,
    date: () => new Date(),
  });

  await expect(grant()).rejects.toMatchObject({ kind: 'unavailable' });
  expect(requests).toEqual(['GET https://issuer.example/.well-known/openid-configuration']);
});

test("401 for an issuer's metadata is no refusal of credentials, which were not sent", async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = () => ({ status: 401, body: { error: 'access_denied' } });
  await using gateway = await startTestGateway({
    upstream,
    environment: { TOKEN_GRANT: 'oauth2', TOKEN_ISSUER: upstream.url.origin },
  });
  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
    statusFailure(
      "The gateway has no access token: the token endpoint's answer has the status 401.",
      { code: 'TOKEN_UNAVAILABLE', retryable: true, retryAfterMs: expect.any(Number) },
    ),
  );
});

test('44: a token that is not a bearer token is refused', async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onToken = () => ({
    body: { access_token: 'abc', token_type: 'DPoP', expires_in: 60 },
  });
  await using gateway = await startTestGateway({
    upstream,
    environment: { TOKEN_GRANT: 'oauth2', TOKEN_URL: `${upstream.url.origin}/token` },
  });
  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
    statusFailure(
      "The gateway has no access token: the token endpoint's answer makes no sense: the token type is not Bearer.",
      { code: 'TOKEN_UNAVAILABLE', retryable: true, retryAfterMs: expect.any(Number) },
    ),
  );
});

test('TOKEN_HEADER overrides how the token travels', async () => {
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      TOKEN_GRANT: 'oauth2',
      TOKEN_CLIENT_ID: 'gateway-client_secret_basic',
      TOKEN_CLIENT_SECRET: PROVIDER_SECRET,
      TOKEN_URL: `${provider.issuer.origin}/token`,
      TOKEN_HEADER: 'X-COREOS-ACCESS',
    },
  });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  const { authorization, 'x-coreos-access': access } = upstream.statusCalls[0]?.headers ?? {};
  expect(authorization).toBeUndefined();
  expect(await provider.describe(String(access))).toEqual({
    clientId: 'gateway-client_secret_basic',
    scope: undefined,
  });
});
