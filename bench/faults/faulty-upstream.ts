import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { listenOnLoopback, sendJson } from '../loopback.ts';
import { ENVELOPE } from '../workloads.ts';
import { now } from './now.ts';

/** What becomes of the calls for a status. */
export type Fault =
  | 'none'
  /** They are taken and never answered. */
  | 'hang'
  /** The port is closed. */
  | 'refused'
  /** This share of them, chosen by chance, is answered 503. */
  | { share: number };

/** A Participant Service that fails as it is told, with the endpoint of its tokens. */
export type FaultyUpstream = Awaited<ReturnType<typeof startFaultyUpstream>>;

const UNAVAILABLE = toErrorEnvelope('The bench has it so.');
const UNAUTHORIZED = toErrorEnvelope('The token is unknown, or has expired.');

/** Listens on a free port of loopback. A token is good for so long after it was issued. */
export async function startFaultyUpstream(tokenLifetimeSeconds: number) {
  /** The calls for a status, in the order of their arrival: when each came, as {@link now} has it. */
  const calls: { at: number; batchId: string }[] = [];
  /** When it was asked for a token. */
  const tokenCalls: number[] = [];
  const expiries = new Map<string, number>();
  let unauthorized = 0;
  let fault: Fault = 'none';
  let server: Server | undefined;

  function answerToken(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    tokenCalls.push(now());
    const token = `a-token-that-is-as-long-as-opaque-tokens-are-${tokenCalls.length}`;
    expiries.set(token, now() + 1_000 * tokenLifetimeSeconds);
    const lifetime = { token_type: 'Bearer', expires_in: tokenLifetimeSeconds };
    sendJson(response, JSON.stringify({ access_token: token, ...lifetime }));
  }

  function answerStatus(request: IncomingMessage, response: ServerResponse): void {
    const [, batchId = ''] = /[?&]batchId=([^&]*)/.exec(request.url ?? '') ?? [];
    calls.push({ at: now(), batchId });
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    if (fault === 'hang') return;
    if (!((expiries.get(token) ?? 0) > now())) {
      unauthorized += 1;
      sendJson(response, UNAUTHORIZED, 401);
    } else if (typeof fault === 'object' && Math.random() < fault.share) {
      sendJson(response, UNAVAILABLE, 503);
    } else {
      sendJson(response, ENVELOPE);
    }
  }

  async function listen(port: number): Promise<number> {
    server = createServer({ keepAliveTimeout: 3_600_000 }, (request, response) =>
      (request.method === 'POST' ? answerToken : answerStatus)(request, response),
    );
    return listenOnLoopback(server, port);
  }

  async function close(): Promise<void> {
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    server = undefined;
    await closed;
  }

  const port = await listen(0);
  const origin = `http://127.0.0.1:${port}`;
  return {
    origin,
    tokenUrl: `${origin}/token`,
    calls,
    tokenCalls,
    /** Calls that came with a token that was unknown or had expired, and were answered 401. */
    unauthorized: () => unauthorized,
    /** From when it resolves on, calls meet this fault; those that hang are never answered. */
    async setFault(next: Fault): Promise<void> {
      fault = next;
      if (next === 'refused') await close();
      else if (server === undefined) await listen(port);
    },
    stop: close,
  };
}

function toErrorEnvelope(description: string): string {
  return JSON.stringify({ error: { code: '100100210001', description } });
}
