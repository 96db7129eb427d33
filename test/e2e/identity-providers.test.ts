import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, type TestGateway } from '../support/test-gateway.ts';

const DOCUMENT = new URL('../../docs/identity-providers.md', import.meta.url);

interface TokenShape {
  /** Beside `alg` and `kid`. */
  header: object;
  /** Beside `iat` and `exp`. */
  payload: JWTPayload;
}

/** As the provider's documentation has an access token. The first is let in; of the others the log says why not. */
interface Recipe {
  name: string;
  /** Of the headings in the document, and of the blocks of settings below it. */
  heading: string;
  block: number;
  shape: TokenShape;
  refused: [shape: Partial<TokenShape['payload']> | TokenShape, refusal: string][];
}

const ENTRA: JWTPayload = {
  iss: 'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0',
  aud: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
  tid: '11111111-2222-3333-4444-555555555555',
  sub: 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',
  oid: '00000000-0000-0000-66f3-3332eca7ea81',
  azp: '99999999-8888-7777-6666-555555555555',
  azpacr: '0',
  ver: '2.0',
};

const RECIPES: Recipe[] = [
  {
    name: 'Keycloak',
    heading: 'Keycloak',
    block: 0,
    shape: {
      header: { typ: 'JWT' },
      payload: {
        iss: 'https://keycloak.example.com/realms/acme',
        aud: ['participant-gateway', 'account'],
        sub: 'f9e6b3a0-6c8f-4f8c-9d3a-1f2e3d4c5b6a',
        typ: 'Bearer',
        azp: 'frontend',
        sid: 'b1c2',
        acr: '1',
        realm_access: { roles: ['offline_access', 'dispatcher'] },
        resource_access: { account: { roles: ['manage-account'] } },
        scope: 'openid profile batch:read',
        preferred_username: 'alice',
      },
    },
    refused: [
      [{ aud: 'account' }, 'aud has none of AUTH_AUDIENCE'],
      // An ID token: its audience is the frontend.
      [{ aud: 'frontend', typ: 'ID', scope: undefined }, 'aud has none of AUTH_AUDIENCE'],
      [{ iss: 'https://keycloak.example.com/realms/other' }, 'iss is not AUTH_ISSUER'],
      [{ scope: 'openid profile' }, 'the token lacks batch:read'],
    ],
  },
  {
    name: 'Entra ID, a user',
    heading: 'Entra ID',
    block: 0,
    shape: {
      header: { typ: 'JWT' },
      payload: { ...ENTRA, name: 'Alice', scp: 'Batch.Read User.Read' },
    },
    refused: [
      [{ scp: 'User.Read' }, 'the token lacks Batch.Read'],
      [{ scp: undefined, roles: ['Batch.Read'] }, 'the token lacks Batch.Read'],
      [
        { iss: 'https://sts.windows.net/11111111-2222-3333-4444-555555555555/', ver: '1.0' },
        'iss is not AUTH_ISSUER',
      ],
    ],
  },
  {
    name: 'Entra ID, a program',
    heading: 'Entra ID',
    block: 1,
    shape: {
      header: { typ: 'JWT' },
      payload: { ...ENTRA, azpacr: '1', idtyp: 'app', roles: ['Batch.Read.All'] },
    },
    refused: [
      [{ roles: undefined }, 'the token lacks Batch.Read.All'],
      // What the claim is not called does not count.
      [{ roles: ['Other'], scp: 'Batch.Read.All' }, 'the token lacks Batch.Read.All'],
    ],
  },
  {
    name: 'Auth0',
    heading: 'Auth0',
    block: 0,
    shape: {
      header: { typ: 'JWT' },
      payload: {
        iss: 'https://acme.eu.auth0.com/',
        aud: ['https://batches.example.com', 'https://acme.eu.auth0.com/userinfo'],
        sub: 'auth0|123456',
        azp: 'my_client_id',
        scope: 'openid profile',
        permissions: ['batch:read'],
      },
    },
    refused: [
      [{ permissions: [], scope: 'batch:read' }, 'the token lacks batch:read'],
      [{ iss: 'https://acme.eu.auth0.com' }, 'iss is not AUTH_ISSUER'],
      [{ aud: 'my_client_id' }, 'aud has none of AUTH_AUDIENCE'],
    ],
  },
  {
    name: 'Okta',
    heading: 'Okta',
    block: 0,
    shape: {
      header: {},
      payload: {
        ver: 1,
        jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE',
        iss: 'https://acme.okta.com/oauth2/default',
        aud: 'api://default',
        sub: 'alice@example.com',
        cid: '0oab8eb55Kb9jdMIr5d6',
        uid: '00ubt54dslzoc0gq9l5d6',
        scp: ['openid', 'batch.read'],
        groups: ['vehicles', 'Everyone'],
      },
    },
    refused: [
      [{ scp: ['openid'] }, 'the token lacks batch.read'],
      [{ aud: '0oab8eb55Kb9jdMIr5d6' }, 'aud has none of AUTH_AUDIENCE'],
      // Of the org's own server.
      [
        {
          header: { typ: 'application/okta-internal-at+jwt' },
          payload: { iss: 'https://acme.okta.com', aud: 'https://acme.okta.com' },
        },
        'typ is none of AUTH_TOKEN_TYPES',
      ],
    ],
  },
  {
    name: 'Cognito',
    heading: 'Cognito',
    block: 0,
    shape: {
      header: {},
      payload: {
        iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE',
        client_id: '1example23456789',
        sub: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
        token_use: 'access',
        'cognito:groups': ['dispatchers'],
        scope: 'openid batches/read',
        username: 'alice',
        version: 2,
      },
    },
    refused: [
      [{ client_id: 'another' }, 'client_id has none of AUTH_AUDIENCE'],
      // An ID token of the same client.
      [
        { client_id: undefined, aud: '1example23456789', token_use: 'id' },
        'client_id has none of AUTH_AUDIENCE',
      ],
      [{ scope: 'openid' }, 'the token lacks batches/read'],
    ],
  },
];

const keys = await generateKeyPair('RS256');
let upstream: ScriptedUpstream;
let document = '';
/** Of every provider here: their own cannot be reached. */
const keySet = createServer((_request, response) => void response.end(jwks));
let jwks = '';

beforeAll(async () => {
  jwks = JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k', use: 'sig' }] });
  keySet.listen(0, '127.0.0.1');
  await once(keySet, 'listening');
  upstream = await startScriptedUpstream();
  document = await readFile(DOCUMENT, 'utf8');
});

afterAll(async () => {
  keySet.closeAllConnections();
  keySet.close();
  await upstream[Symbol.asyncDispose]();
});

/** The settings below a heading of the document. */
function settingsOf({ heading, block }: Pick<Recipe, 'heading' | 'block'>): Record<string, string> {
  const section = document.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const [, text = ''] = [...section.matchAll(/```env\n(.*?)```/gs)][block] ?? [];
  const pairs = text
    .trim()
    .split('\n')
    .map((line) => line.split(/=(.*)/, 2));
  return Object.fromEntries(pairs);
}

function start(settings: Record<string, string>): Promise<TestGateway> {
  const address = keySet.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const AUTH_JWKS_URL = `http://127.0.0.1:${port}/jwks`;
  return startTestGateway({ upstream, environment: { ...settings, AUTH_JWKS_URL } });
}

function sign({ header, payload }: TokenShape): Promise<string> {
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'RS256', kid: 'k', ...header })
    .setIssuedAt()
    .setExpirationTime('5 minutes')
    .sign(keys.privateKey);
}

/** The status of the answer, and what the log says of it. */
async function ask(gateway: TestGateway, shape: TokenShape, participantType = 'vehicles') {
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${await sign(shape)}`,
    },
    body: JSON.stringify({ query: STATUS_QUERY, variables: { participantType } }),
  });
  await response.text();
  const line = JSON.parse(gateway.logLines.findLast((text) => text.includes('"request"')) ?? '{}');
  return { status: response.status, sub: line.sub, codes: line.codes, refusal: line.refusal };
}

test.each(RECIPES)(
  '17: $name: its token is let in by the settings of the document, and what is wrong with others is logged (API2:2023)',
  async (recipe) => {
    await using gateway = await start(settingsOf(recipe));
    const { sub } = recipe.shape.payload;
    expect(await ask(gateway, recipe.shape)).toEqual({
      status: 200,
      sub,
      codes: [],
      refusal: undefined,
    });
    for (const [changed, refusal] of recipe.refused) {
      const shape: TokenShape =
        'header' in changed && 'payload' in changed
          ? { ...recipe.shape, ...changed }
          : { ...recipe.shape, payload: { ...recipe.shape.payload, ...changed } };
      const isScope = refusal.startsWith('the token lacks');
      expect(await ask(gateway, shape)).toEqual({
        status: isScope ? 403 : 401,
        sub: isScope ? sub : undefined,
        codes: [isScope ? 'FORBIDDEN' : 'UNAUTHENTICATED'],
        refusal,
      });
    }
  },
);

test('17: the settings of the document without AUTH_TOKEN_TYPES accept tokens by RFC 9068 alone (API2:2023)', async () => {
  for (const recipe of RECIPES) {
    const { AUTH_TOKEN_TYPES, ...settings } = settingsOf(recipe);
    expect(AUTH_TOKEN_TYPES).toBe('JWT');
    await using gateway = await start(settings);
    expect(await ask(gateway, recipe.shape)).toMatchObject({
      status: 401,
      refusal: 'typ is none of AUTH_TOKEN_TYPES',
    });
    const { payload } = recipe.shape;
    expect(await ask(gateway, { header: { typ: 'at+jwt' }, payload })).toMatchObject({
      status: 200,
    });
  }
});

test.each([
  ['Keycloak', 'realm_access.roles', 'dispatcher'],
  ['Keycloak', 'resource_access.account.roles', 'manage-account'],
  ['Cognito', 'cognito:groups', 'dispatchers'],
])(
  '18: %s: AUTH_SCOPE_CLAIM=%s takes its roles for scopes (API5:2023)',
  async (name, AUTH_SCOPE_CLAIM, role) => {
    const recipe = RECIPES.find((each) => each.name === name);
    if (recipe === undefined) throw new Error(`there is no recipe ${name}`);
    const settings = { ...settingsOf(recipe), AUTH_SCOPE_CLAIM };
    await using gateway = await start({ ...settings, AUTH_REQUIRED_SCOPES: role });
    expect(await ask(gateway, recipe.shape)).toMatchObject({ status: 200, refusal: undefined });
    await using other = await start({ ...settings, AUTH_REQUIRED_SCOPES: 'openid' });
    expect(await ask(other, recipe.shape)).toMatchObject({
      status: 403,
      refusal: 'the token lacks openid',
    });
  },
);

test("18: Okta's groups are the participant types that a caller may see (API1:2023)", async () => {
  const recipe = RECIPES.find(({ name }) => name === 'Okta');
  if (recipe === undefined) throw new Error('there is no recipe for Okta');
  await using gateway = await start(settingsOf(recipe));
  expect(await ask(gateway, recipe.shape, 'vehicles')).toMatchObject({ status: 200, codes: [] });
  expect(await ask(gateway, recipe.shape, 'drivers')).toMatchObject({
    status: 200,
    codes: ['FORBIDDEN'],
  });
});

test('the document has every reason for which a token is refused', async () => {
  const code = await readFile(new URL('../../src/auth/access-token.ts', import.meta.url), 'utf8');
  const reasons = [...code.matchAll(/notValid\('([^']+)'\)/g)].map(([, reason = '']) => reason);
  const rare = ['a kid that is no text', 'an unencoded payload'];
  expect(reasons.length).toBeGreaterThan(8);
  expect(
    reasons.filter((reason) => !rare.includes(reason) && !document.includes(`\`${reason}\``)),
  ).toEqual([]);
});
