import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { respond } from '../../src/server/respond.ts';

test.each([
  ['bytes', Buffer.alloc(300_000, 'x')],
  ['ASCII', 'x'.repeat(300_000)],
  ['text beyond ASCII', '€'.repeat(100_000)],
])(
  'a long body of %s is written in parts, so that it shows how much of it is taken',
  async (_, body) => {
    const lengths: number[] = [];
    const server = createServer((_request, response) => {
      const count = (chunk: unknown) => {
        const isBody = typeof chunk === 'string' || Buffer.isBuffer(chunk);
        return lengths.push(isBody ? Buffer.byteLength(chunk) : -1);
      };
      const { write, end } = response;
      response.write = (...args: unknown[]) =>
        count(args[0]) && Reflect.apply(write, response, args);
      response.end = (...args: unknown[]) => count(args[0]) && Reflect.apply(end, response, args);
      respond(response, 200, [], body, false);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const answer = await fetch(`http://127.0.0.1:${port}`);
    expect(Buffer.from(await answer.arrayBuffer()).equals(Buffer.from(body))).toBe(true);
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
    expect(lengths.length).toBeGreaterThanOrEqual(3);
    expect(Math.min(...lengths)).toBeGreaterThan(0);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(96 * 1024);
  },
);
