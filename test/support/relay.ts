import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Stands before a server on loopback, and hands on what comes, both ways. */
export interface Relay extends AsyncDisposable {
  port: number;
  /** Connections so far, with those that the server was not there to take: they are closed. */
  connections(): number;
}

export async function startRelay(serverPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const relay = createServer((client) => {
    connections += 1;
    const server = connect(serverPort, '127.0.0.1');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const address = relay.address();
  if (address === null || typeof address === 'string') throw new Error('the relay has no port');
  return {
    port: address.port,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      relay.close();
      for (const socket of sockets) socket.destroy();
      await once(relay, 'close');
    },
  };
}
