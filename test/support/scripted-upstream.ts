import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';

/** One request that the upstream got. */
export interface UpstreamCall {
  method: string;
  /** Path and query as they came over the wire. */
  target: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** Resolves when the connection of the call is gone or its answer out. */
  closed: Promise<void>;
}

/** What it answers: a body that is not a string is sent as JSON. */
export interface ScriptedAnswer {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
}

export type Script = (
  call: UpstreamCall,
  response: ServerResponse,
) => ScriptedAnswer | undefined | Promise<ScriptedAnswer | undefined>;

/** A Participant Service and token endpoint that do what a test says, and count. */
export interface ScriptedUpstream extends AsyncDisposable {
  url: URL;
  statusCalls: UpstreamCall[];
  tokenCalls: UpstreamCall[];
  /** Answers status calls; undefined: the script has taken the response into its own hands. */
  onStatus: Script;
  onToken: Script;
  /** Resolves when there have been so many status calls. */
  statusCallCount(count: number): Promise<void>;
  tokenCallCount(count: number): Promise<void>;
}

export const ECHO = { uri: '/status', method: 'GET', queryString: '', body: {} };

/** On a loopback port; with `tls`, by TLS. */
export async function startScriptedUpstream(tls?: ServerOptions): Promise<ScriptedUpstream> {
  let tokensIssued = 0;
  const arrivals = new Set<() => void>();

  const listener: RequestListener = async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const call: UpstreamCall = {
      method: request.method ?? '',
      target: request.url ?? '',
      headers: request.headers,
      body,
      closed: once(response, 'close').then(() => {}),
    };
    const isToken = call.method === 'POST';
    (isToken ? upstream.tokenCalls : upstream.statusCalls).push(call);
    for (const arrived of arrivals) arrived();
    const answer = await (isToken ? upstream.onToken : upstream.onStatus)(call, response);
    if (answer === undefined) return;
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {});
    response.writeHead(answer.status ?? 200, {
      'content-type': 'application/json',
      ...answer.headers,
    });
    response.end(text);
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  function count(calls: () => UpstreamCall[], wanted: number): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (calls().length < wanted) return;
        arrivals.delete(check);
        resolve();
      };
      arrivals.add(check);
      check();
    });
  }

  const upstream: ScriptedUpstream = {
    url: new URL(`${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`),
    statusCalls: [],
    tokenCalls: [],
    onStatus: () => ({ body: { data: { status: 'IN_PROGRESS' }, request: ECHO } }),
    onToken: () => {
      tokensIssued += 1;
      return { body: { data: { accessToken: `token-${tokensIssued}`, expiresIn: 3600 } } };
    },
    statusCallCount: (wanted) => count(() => upstream.statusCalls, wanted),
    tokenCallCount: (wanted) => count(() => upstream.tokenCalls, wanted),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return upstream;
}
