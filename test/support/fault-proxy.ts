import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../src/lib/clock.ts';
import { turns } from './turns.ts';

/** What happens to the answer of each connection from now on. */
export type Fault =
  | 'none'
  /** Nothing comes back. */
  | 'hang'
  /** The connection is reset as soon as a request comes. */
  | 'reset'
  /** The connection is ended as soon as a request comes, as by a server that was just about to. */
  | 'end'
  /** The answer is held for so long. */
  | { latencyMs: number }
  /** A byte at a time, one in so long. */
  | { trickleMs: number }
  /** The connection is reset after so many bytes of the answer. */
  | { resetAfterBytes: number }
  /** Behind the answer comes another, so many turns of the event loop later. */
  | { stray: string; turns: number };

/** A proxy between the gateway and its upstream that damages what passes through it. */
export interface FaultProxy extends AsyncDisposable {
  url: URL;
  /** May be changed at any time; a request that is under way keeps its own. */
  fault: Fault;
  /** Of the next requests, in order; then `fault` again. */
  nextFaults: Fault[];
  /** Requests that were sent through it, or to it. */
  requests: number;
  /** Connections to it that are open now. */
  readonly connections: number;
  /** All so far, with those that the upstream was not there to take. */
  accepted: number;
  /** Takes no connections, and ends those that there are. */
  refuse(): Promise<void>;
  /** Takes connections again, at the same address. */
  accept(): Promise<void>;
}

/**
 * For HTTP/1.1 without pipelining: what the gateway sends at a time is one request. Without a fault it hands on whatever
 * comes.
 */
export async function startFaultProxy(target: URL, clock: Clock): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();

  function serve(client: Socket): void {
    proxy.accepted += 1;
    const upstream = connect(Number(target.port), target.hostname);
    let fault: Fault = proxy.fault;
    let answered = 0;
    clients.add(client);
    client.on('close', () => clients.delete(client));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (request) => {
      proxy.requests += 1;
      fault = proxy.nextFaults.shift() ?? proxy.fault;
      answered = 0;
      if (fault === 'reset') client.resetAndDestroy();
      else if (fault === 'end') client.end();
      else upstream.write(request);
    });
    upstream.on('data', (chunk: Buffer) => {
      answered += chunk.length;
      if (fault === 'none') client.write(chunk);
      else if (fault === 'hang' || typeof fault === 'string') return;
      else if ('latencyMs' in fault) clock.after(fault.latencyMs, () => client.write(chunk));
      else if ('stray' in fault) {
        client.write(chunk);
        const { stray } = fault;
        void turns(fault.turns).then(() => client.write(stray));
      } else if ('trickleMs' in fault) trickle(client, chunk, fault.trickleMs);
      else
        client.write(upTo(chunk, fault.resetAfterBytes - answered), () => client.resetAndDestroy());
    });
  }

  function trickle(client: Socket, chunk: Buffer, ms: number): void {
    client.write(chunk.subarray(0, 1));
    if (chunk.length > 1) clock.after(ms, () => trickle(client, chunk.subarray(1), ms));
  }

  let server: Server;
  async function listen(port: number): Promise<number> {
    server = createServer(serve).listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }
  async function close(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  const port = await listen(0);
  const proxy: FaultProxy = {
    url: new URL(`http://127.0.0.1:${port}`),
    fault: 'none',
    nextFaults: [],
    requests: 0,
    accepted: 0,
    get connections() {
      return clients.size;
    },
    refuse: close,
    accept: async () => void (await listen(port)),
    [Symbol.asyncDispose]: close,
  };
  return proxy;
}

/** The chunk without what is beyond a limit that it passes by `-left` bytes. */
function upTo(chunk: Buffer, left: number): Buffer {
  return left < 0 ? chunk.subarray(0, chunk.length + left) : chunk;
}
