import { once } from 'node:events';
import { createServer } from 'node:net';
import type { RunningProgram } from './child-process.ts';
import { STATUS_QUERY } from './test-gateway.ts';

/** A port that is free now: a gateway whose log nobody sees cannot tell which one it took. */
export async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return String(typeof address === 'object' && address !== null ? address.port : '');
}

/** What a gateway answers to probes, and to a query whose operation has a name of `nameLength` characters. */
export function clientOf(port: string) {
  const url = `http://127.0.0.1:${port}`;
  return {
    readiness: async () => {
      const response = await fetch(`${url}/readyz`);
      return { status: response.status, body: await response.json() };
    },
    query: async (nameLength = 1) => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: `query ${'q'.repeat(nameLength)} { __typename }` }),
      });
      return response.json();
    },
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    readBatch: async () => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          query: STATUS_QUERY,
          variables: { participantType: 'vehicles', batchId: 'batch-finished' },
        }),
      });
      return { status: response.status, body: await response.json() };
    },
  };
}

/** It takes long on a machine that is busy with tests. */
export const STARTING = { timeout: 50_000 };

/** The answer to `query`. */
export const ANSWER = { data: { __typename: 'Query' } };
/** What `readiness` is where nothing is wrong. */
export const READY = { status: 200, body: { status: 'ready', notReady: {}, degraded: {} } };

/** Ends a gateway as a supervisor does. */
export async function endsInTime(
  program: RunningProgram,
): Promise<{ code: number | null; ms: number }> {
  const startedAt = performance.now();
  program.process.kill('SIGTERM');
  const code = await program.exited;
  return { code, ms: performance.now() - startedAt };
}
