/**
 * Clients that follow a batch each, over sockets that cost next to nothing. Arguments: the gateway's endpoint, how many,
 * `read` or `stall`, the number of the first. They come within some seconds; those that stall never read, and a part of
 * them asks for a status that is long. At a message, {@link Counts} are sent: at `latencies` how many changes took how
 * many milliseconds to be told, since that was asked last; at anything else the streams and their events.
 */
import { connect } from 'node:net';
import { now } from '../faults/now.ts';
import type { Counts } from '../neighbours/counts.ts';
import { fromAddress } from '../neighbours/ways.ts';
import { BATCHES, LONG_BATCH, LONG_SHARE, momentOf } from './changes.ts';

const [, , endpoint = '', count = '', kind = '', first = ''] = process.argv;
const { port } = new URL(endpoint);

/** Streams that come in a second. */
const COMING_PER_SECOND = 1_000;
/** As many as one address may have. */
const STREAMS_OF_ADDRESS = 20;

const QUERY =
  'subscription F($b:[BatchStatusKey!]!){batchStatusUpdates(batches:$b){batchId batchStatus{status finished successCount failureCount progress stale}}}';
const LONG_QUERY =
  'subscription L($b:[BatchStatusKey!]!){batchStatusUpdates(batches:$b){batchId batchStatus{data}}}';

const counts = { open: 0, told: 0, closed: 0, events: 0, foreign: 0 };
let latencies: Record<string, number> = {};

/** All sockets read into it, one after the other. */
const buffer = Buffer.alloc(256 * 1024);

function open(number: number): void {
  const stalls = kind === 'stall';
  const isLong = stalls && number % BATCHES < LONG_SHARE * BATCHES;
  const batchId = isLong ? LONG_BATCH : `b-${number % BATCHES}`;
  const onChunk = stalls ? () => {} : readEvents(batchId);
  const onread = {
    buffer,
    callback(bytes: number) {
      onChunk(buffer.toString('latin1', 0, bytes));
      return true;
    },
  };
  const socket = connect({ port: Number(port), host: '127.0.0.1', onread });
  // Or it would begin to read as soon as it is connected.
  if (stalls) socket.pause();
  socket.on('error', () => {});
  socket.once('connect', () => {
    counts.open += 1;
    socket.write(requestOf(number, batchId, isLong ? LONG_QUERY : QUERY));
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
    for (const [, id, changes] of text.slice(0, end).matchAll(EVENT)) {
      counts.events += 1;
      if (id !== batchId) counts.foreign += 1;
      if (last === undefined) counts.told += 1;
      const at = now();
      const present = Number(changes);
      for (let change = (last ?? present) + 1; change <= present; change += 1) {
        const ms = Math.ceil(at - momentOf(batchId, change));
        latencies[ms] = (latencies[ms] ?? 0) + 1;
      }
      last = present;
    }
  };
}

const EVENT = /"batchId":"([^"]+)".*?"successCount":(\d+)/g;

function requestOf(number: number, batchId: string, query: string): string {
  const variables = { b: [{ participantType: 'vehicles', batchId }] };
  const body = JSON.stringify({ query, variables });
  const address = Math.floor(number / STREAMS_OF_ADDRESS);
  const headers = {
    host: `127.0.0.1:${port}`,
    accept: 'text/event-stream',
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...fromAddress(`10.0.${address >> 8}.${address & 255}`),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /graphql HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

for (let n = 0; n < Number(count); n += 1) {
  setTimeout(open, (1_000 * n) / COMING_PER_SECOND, Number(first) + n);
}

process.on('message', (message) => {
  const answer: Counts = message === 'latencies' ? latencies : counts;
  process.send?.(answer);
  if (message === 'latencies') latencies = {};
});
process.once('disconnect', () => process.exit());
