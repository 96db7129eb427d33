import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { ServerCertificate } from './certificates.ts';

/** A proxy that opens tunnels by CONNECT, to names that nobody else knows. */
export interface ConnectProxy extends AsyncDisposable {
  url: URL;
  /** What was asked for, in order. */
  tunnels: { authority: string; headers: IncomingHttpHeaders }[];
  /** All that clients sent through it, as it came. */
  readonly passed: string;
  /** The status of each answer from now on; undefined: none at all. */
  status: number | undefined;
}

/** `hosts` has the loopback port of each name, as `tenant.test:443`; with a certificate, it is reached by TLS. */
export async function startConnectProxy(
  hosts: Readonly<Record<string, string>>,
  certificate?: ServerCertificate,
): Promise<ConnectProxy> {
  const sockets = new Set<Socket>();
  const passed: string[] = [];
  const refuse: RequestListener = (_, response) => response.writeHead(405).end();
  const server =
    certificate === undefined ? createServer(refuse) : createTlsServer(certificate, refuse);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.on('connect', ({ url = '', headers }, client: Socket) => {
    client.on('error', () => {});
    proxy.tunnels.push({ authority: url, headers });
    if (proxy.status === undefined) return;
    const port = hosts[url];
    if (proxy.status !== 200 || port === undefined) {
      client.end(`HTTP/1.1 ${port === undefined ? 502 : proxy.status} No\r\n\r\n`);
      return;
    }
    const target = connect(Number(port), '127.0.0.1');
    sockets.add(target);
    target.on('error', () => client.destroy());
    target.on('close', () => client.destroy());
    client.on('close', () => target.destroy());
    client.on('data', (chunk: Buffer) => passed.push(chunk.toString('latin1')));
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    client.pipe(target).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const proxy: ConnectProxy = {
    url: new URL(`${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`),
    tunnels: [],
    get passed() {
      return passed.join('');
    },
    status: 200,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}
