import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { post, queryForMany } from './client.ts';
import { listenOnLoopback, sendJson } from './loopback.ts';
import { startServer } from './server.ts';
import type { Stage } from './stage.ts';
import { type Spread, spreadOf } from './statistics.ts';
import type { Subject } from './subjects.ts';
import { ENVELOPE, requestHeaders } from './workloads.ts';

const QUERIES = 50;
/** Ahead of these, for the compiler's sake. */
const WARMUP_QUERIES = 10;
const KEYS = 20;
const MAX_DELAY_MS = 200;

/**
 * Asks the gateway for 20 batches at a time, from an upstream that answers each after up to 200 ms. Resolves to what a
 * query takes, relative to the slowest of its upstream calls.
 */
export async function measureGrowth(
  gateway: Subject,
  stage: Stage,
  headers: readonly string[],
): Promise<Spread> {
  const slowest = new Map<string, number>();
  const upstream = createServer((request, response) => {
    const arrived = performance.now();
    const [, query = ''] = /batchId=(\d+)/.exec(request.url ?? '') ?? [];
    sleep(Math.random() * MAX_DELAY_MS).then(() => {
      sendJson(response, ENVELOPE);
      slowest.set(query, Math.max(slowest.get(query) ?? 0, performance.now() - arrived));
    });
  });
  const port = await listenOnLoopback(upstream);
  const server = await startServer(gateway, stage, { upstreamOrigin: `http://127.0.0.1:${port}` });
  const dispatcher = new Agent({ connections: 1 });
  const options = { headers: requestHeaders(headers), dispatcher };
  try {
    const ratios: number[] = [];
    for (let query = 1; query <= WARMUP_QUERIES + QUERIES; query += 1) {
      const begun = performance.now();
      const body = queryForMany('vehicles', String(query), KEYS);
      const { text } = await post(server.endpoint, body, options);
      const took = performance.now() - begun;
      const answers = text.split('"IN_PROGRESS"').length - 1;
      if (answers !== KEYS) throw new Error(`A query for ${KEYS} batches got ${text}`);
      if (query > WARMUP_QUERIES) ratios.push(took / (slowest.get(String(query)) ?? 0));
    }
    return spreadOf(ratios);
  } finally {
    await dispatcher.destroy();
    await server.stop();
    upstream.close();
    upstream.closeAllConnections();
  }
}
