/**
 * Clients that follow a batch each, over sockets that cost next to nothing. Arguments: the gateway's endpoint, how many,
 * `read` or `stall`: those never read. At a message, counts are sent: at `latencies` how many changes took how many
 * milliseconds to be told, since that was asked last; at anything else the streams and their events.
 */
import { connect } from 'node:net';
import { now } from '../faults/now.ts';
import { fromAddress, toRequestText } from '../neighbours/ways.ts';
import { BATCHES, LONG_BATCH, LONG_SHARE, momentOf } from './changes.ts';

const [, , endpoint = '', count = '', kind = ''] = process.argv;
const port = Number(new URL(endpoint).port);
const stalls = kind === 'stall';

const COMING_PER_SECOND = 1_000;
/** As many as one address may have. */
const STREAMS_OF_ADDRESS = 20;

const FIELDS = 'status finished successCount failureCount progress stale';
const EVENT = /"batchId":"([^"]+)".*?"successCount":(\d+)/g;

const counts = { open: 0, told: 0, closed: 0, events: 0, foreign: 0 };
let latencies: Record<string, number> = {};

/** All sockets read into it, one after the other. */
const buffer = Buffer.alloc(256 * 1024);

function open(number: number): void {
  const isLong = stalls && number % BATCHES < LONG_SHARE * BATCHES;
  const batchId = isLong ? LONG_BATCH : `b-${number % BATCHES}`;
  const take = readEvents(batchId);
  const callback = (bytes: number) => {
    take(buffer.toString('latin1', 0, bytes));
    return true;
  };
  const socket = connect({ port, host: '127.0.0.1', onread: { buffer, callback } });
  // Or it would begin to read as soon as it is connected.
  if (stalls) socket.pause();
  socket.on('error', () => {});
  socket.once('connect', () => {
    counts.open += 1;
    const address = Math.floor(number / STREAMS_OF_ADDRESS);
    const query = `subscription F($b:[BatchStatusKey!]!){batchStatusUpdates(batches:$b){batchId batchStatus{${isLong ? 'data' : FIELDS}}}}`;
    const body = { query, variables: { b: [{ participantType: 'vehicles', batchId }] } };
    const headers = {
      accept: 'text/event-stream',
      ...fromAddress(`10.${stalls ? 1 : 0}.${address >> 8}.${address & 255}`),
    };
    socket.write(toRequestText(port, headers, JSON.stringify(body)));
  });
  socket.once('close', () => {
    counts.closed += 1;
  });
}

/** Counts the events of one stream, and how late each change was told: by its own event, or by a later one. */
function readEvents(batchId: string): (chunk: string) => void {
  let last: number | undefined;
  let rest = '';
  return (chunk) => {
    const text = rest + chunk;
    const end = text.lastIndexOf('\n\n');
    rest = end < 0 ? text : text.slice(end);
    for (const [, id, changes] of text.slice(0, Math.max(0, end)).matchAll(EVENT)) {
      const present = Number(changes);
      counts.events += 1;
      if (id !== batchId) counts.foreign += 1;
      if (last === undefined) counts.told += 1;
      for (let change = (last ?? present) + 1; change <= present; change += 1) {
        const ms = Math.ceil(now() - momentOf(batchId, change));
        latencies[ms] = (latencies[ms] ?? 0) + 1;
      }
      last = present;
    }
  };
}

for (let n = 0; n < Number(count); n += 1) setTimeout(open, (1_000 * n) / COMING_PER_SECOND, n);

process.on('message', (message) => {
  process.send?.(message === 'latencies' ? latencies : counts);
  if (message === 'latencies') latencies = {};
});
process.once('disconnect', () => process.exit());
