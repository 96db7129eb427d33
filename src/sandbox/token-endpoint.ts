import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';
import { sendData, sendError } from './envelope.ts';

/** What a client of the sandbox identifies itself with. */
export interface SandboxCredentials {
  clientId: string;
  clientSecret: string;
}

interface TokenEndpointOptions {
  clock: Clock;
  credentials: SandboxCredentials;
  tokenLifetimeSeconds: number;
}

/** The platform's `client-credentials` endpoint, and the book of the tokens that it issued. */
export interface TokenEndpoint {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Whether a token was issued here and is not expired. */
  accepts(token: string): boolean;
}

const LONGEST_BODY = 16 * 1024;

export function createTokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { clock, credentials, tokenLifetimeSeconds } = options;
  const expiries = new Map<string, number>();

  function issue(): string {
    for (const [token, expiresAt] of expiries) {
      if (expiresAt <= clock.now()) expiries.delete(token);
    }
    const token = `sandbox-${randomBytes(24).toString('base64url')}`;
    expiries.set(token, clock.now() + tokenLifetimeSeconds * 1000);
    return token;
  }

  return {
    async handle(request, response) {
      if (request.headers['x-coreos-request-id'] === undefined) {
        return sendError(request, response, 400, '100100210001', 'X-COREOS-REQUEST-ID is missing.');
      }
      const asked = parseCredentials(await readText(request));
      if (asked === undefined) {
        return sendError(
          request,
          response,
          400,
          '100100210002',
          'clientId and clientSecret are required.',
        );
      }
      const known =
        asked.clientId === credentials.clientId && asked.clientSecret === credentials.clientSecret;
      if (!known) {
        return sendError(
          request,
          response,
          401,
          '100100210003',
          'The client id or secret is wrong.',
        );
      }
      sendData(request, response, { accessToken: issue(), expiresIn: tokenLifetimeSeconds });
    },
    accepts: (token) => (expiries.get(token) ?? 0) > clock.now(),
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > LONGEST_BODY) return '';
  }
  return text;
}

function parseCredentials(text: string): SandboxCredentials | undefined {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== 'object' || body === null) return undefined;
    if (!('clientId' in body) || !('clientSecret' in body)) return undefined;
    const { clientId, clientSecret } = body;
    if (typeof clientId !== 'string' || typeof clientSecret !== 'string') return undefined;
    return { clientId, clientSecret };
  } catch {
    return undefined;
  }
}
