import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { listenOnLoopback } from '../loopback.ts';
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

/** A call for a status. */
export interface Call {
  /** When it arrived, as {@link now} has it. */
  at: number;
  batchId: string;
}

/** A Participant Service that fails as it is told, with the endpoint of its tokens. */
export interface FaultyUpstream {
  origin: string;
  tokenUrl: string;
  /** In the order of their arrival. */
  calls: readonly Call[];
  /** When it was asked for a token. */
  tokenCalls: readonly number[];
  /** Calls that came with a token that was unknown or had expired, and were answered 401. */
  unauthorized(): number;
  /** From when it resolves on, calls meet this fault; those that hang are never answered. */
  setFault(fault: Fault): Promise<void>;
  stop(): Promise<void>;
}

const UNAVAILABLE = toErrorEnvelope('The bench has it so.');
const UNAUTHORIZED = toErrorEnvelope('The token is unknown, or has expired.');

/** Listens on a free port of loopback. A token is good for so long after it was issued. */
export async function startFaultyUpstream(tokenLifetimeSeconds: number): Promise<FaultyUpstream> {
  const calls: Call[] = [];
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
    send(response, 200, JSON.stringify({ access_token: token, ...lifetime }));
  }

  function answerStatus(request: IncomingMessage, response: ServerResponse): void {
    const [, batchId = ''] = /[?&]batchId=([^&]*)/.exec(request.url ?? '') ?? [];
    calls.push({ at: now(), batchId });
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    if (fault === 'hang') return;
    if (!((expiries.get(token) ?? 0) > now())) {
      unauthorized += 1;
      send(response, 401, UNAUTHORIZED);
    } else if (typeof fault === 'object' && Math.random() < fault.share) {
      send(response, 503, UNAVAILABLE);
    } else {
      send(response, 200, ENVELOPE);
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
    unauthorized: () => unauthorized,
    async setFault(next) {
      fault = next;
      if (next === 'refused') await close();
      else if (server === undefined) await listen(port);
    },
    stop: close,
  };
}

function send(response: ServerResponse, status: number, body: string): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length });
  response.end(body);
}

function toErrorEnvelope(description: string): string {
  return JSON.stringify({ error: { code: '100100210001', description } });
}
