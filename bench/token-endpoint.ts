import { createServer } from 'node:http';
import { systemClock } from '../src/lib/clock.ts';
import { AUDIENCE, createIssuer } from '../src/sandbox/issuer.ts';
import { listenOnLoopback, sendJson } from './loopback.ts';

/** An OAuth 2.0 token endpoint that takes any credentials, and the issuer of callers' tokens. */
export type TokenEndpoint = Awaited<ReturnType<typeof startTokenEndpoint>>;

/** Listens on a free port of loopback, for as long as this process runs. */
export async function startTokenEndpoint() {
  const calls = new Map<string, number>();
  const issuer = await createIssuer(systemClock, () => origin);
  const server = createServer((request, response) => {
    request.resume();
    if (issuer.handle(request.url ?? '', request, response)) return;
    const name = request.url?.split('/').at(-1) ?? '';
    calls.set(name, (calls.get(name) ?? 0) + 1);
    const token = 'a-token-that-is-as-long-as-opaque-tokens-often-are';
    const lifetime = { token_type: 'Bearer', expires_in: 3600 };
    sendJson(response, JSON.stringify({ access_token: token, ...lifetime }));
  });
  const origin = `http://127.0.0.1:${await listenOnLoopback(server)}`;
  server.unref();
  return {
    /** The address for one gateway, by a name of its own. */
    urlFor: (gateway: string) => `${origin}/token/${gateway}`,
    /** Requests for a token by this gateway that it has answered. */
    callsOf: (gateway: string) => calls.get(gateway) ?? 0,
    issueToken: issuer.issueToken,
    /** Settings of a gateway that takes callers' tokens, at any rate. */
    callerEnv: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: origin,
      AUTH_AUDIENCE: AUDIENCE,
      AUTH_REQUIRED_SCOPES: 'batch:read',
      AUTH_PARTICIPANT_TYPES_CLAIM: 'types',
      RATE_LIMIT_PER_SECOND: '1000000',
    },
  };
}

/** What a caller's token says, for `callerEnv`. */
export const CALLER_CLAIMS = { scope: 'batch:read', types: ['vehicles'] };
