import { once } from 'node:events';
import type { Server } from 'node:http';

/** Resolves to the origin that the server then has on loopback. Port 0 picks a free one. */
export async function listen(server: Server, port: number): Promise<string> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : port}`;
}
