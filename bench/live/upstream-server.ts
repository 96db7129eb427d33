/**
 * A Participant Service whose batches change all the time (changes.ts), as a program of its own. Argument: after how
 * many milliseconds it answers; none: at once. It sends its port once it listens, and the calls that it got, by batch,
 * whenever it gets a message.
 */
import { createServer } from 'node:http';
import { now } from '../faults/now.ts';
import { listenOnLoopback, sendJson } from '../loopback.ts';
import { changesBy, LONG_BATCH, LONG_BYTES } from './changes.ts';

const [, , latencyMs = ''] = process.argv;
const NOTE = 'x'.repeat(LONG_BYTES);
const calls: Record<string, number> = {};

// Undici keeps a connection, and a timer for it, as long as it is told here.
const server = createServer({ keepAliveTimeout: 3_000 }, ({ url: uri = '' }, response) => {
  const [, queryString = ''] = uri.split('?');
  const batchId = queryString.replace('batchId=', '');
  calls[batchId] = (calls[batchId] ?? 0) + 1;
  const data = {
    status: 'IN_PROGRESS',
    totalCount: 2_147_483_647,
    // What changes.
    successCount: changesBy(batchId, now()),
    failureCount: 0,
    ...(batchId === LONG_BATCH && { note: NOTE }),
  };
  const request = { uri, method: 'GET', queryString, body: {} };
  const answer = () => sendJson(response, JSON.stringify({ data, request }));
  if (latencyMs === '') answer();
  else setTimeout(answer, Number(latencyMs));
});
process.send?.({ port: await listenOnLoopback(server) });
process.on('message', () => process.send?.(calls));
process.once('disconnect', () => process.exit());
