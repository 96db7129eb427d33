/**
 * A Participant Service for which one participant type fails, as a program of its own. Its argument is the
 * name of a way (ways.ts). It sends its port once it listens, and the calls that it got, by participant
 * type, whenever it gets a message.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenOnLoopback, sendJson } from '../loopback.ts';
import { ENVELOPE } from '../workloads.ts';
import { BAD_TENANT } from './ways.ts';

const [, , way = ''] = process.argv;

type Answer = (response: ServerResponse, echo: Echo) => void;

interface Echo {
  uri: string;
  queryString: string;
}

const { data: DATA }: { data: object } = JSON.parse(ENVELOPE);
const SLOW_MS = 300;
const TRICKLE_MS = 100;

/** One long text, which costs next to nothing to read and to write: what is measured is that nobody reads it. */
const LARGE_DATA = toJson({ ...DATA, note: 'x'.repeat(500_000) });
const HUGE_DATA = toJson({ ...DATA, note: 'x'.repeat(3 * 1024 * 1024) });
const SMALL_DATA = toJson(DATA);
const PROTO_DATA = Buffer.from('{"status":"IN_PROGRESS","__proto__":{"polluted":true}}');

/** What calls for drivers meet. */
const FAULTS: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['500', (response, echo) => sendError(response, 500, echo)],
  ['hang', () => {}],
  ['trickle', (response, echo) => void trickle(response, echo)],
  ['reset', ({ socket }) => void socket?.resetAndDestroy()],
  ['proto', (response, echo) => sendData(response, echo, PROTO_DATA)],
  ['huge', (response, echo) => sendData(response, echo, HUGE_DATA)],
]);

const healthy: Answer = (response, echo) => sendData(response, echo, SMALL_DATA);
const large: Answer = (response, echo) => sendData(response, echo, LARGE_DATA);
const notFound: Answer = (response, echo) => sendError(response, 404, echo);

/** By participant type; there are no others. */
const TYPES: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['drivers', FAULTS.get(way) ?? healthy],
  [
    'operators',
    way === 'batches' ? (...of) => void sleep(SLOW_MS).then(() => healthy(...of)) : large,
  ],
  ['vehicles', answerVehicles],
]);

/** Of whatever type it asks for. */
const ofBadTenant = FAULTS.get(way.replace('tenant-', '')) ?? healthy;

const calls: Record<string, number> = Object.fromEntries(
  [...TYPES.keys(), 'others'].map((name) => [name, 0]),
);

function answer(request: IncomingMessage, response: ServerResponse): void {
  const uri = request.url ?? '';
  const [, type = '', queryString = ''] =
    /\/participants\/([^/]+)\/batch\/status\??(.*)$/.exec(uri) ?? [];
  const known = request.headers['x-coreos-tid'] === BAD_TENANT ? ofBadTenant : TYPES.get(type);
  const counted = known === undefined ? 'others' : type;
  calls[counted] = (calls[counted] ?? 0) + 1;
  (known ?? notFound)(response, { uri, queryString });
}

/** Its echo of an id that holds the name of a parameter is decoded: it looks like one for another batch. */
function answerVehicles(response: ServerResponse, { uri, queryString }: Echo): void {
  if (queryString.startsWith('batchId=no-such-')) notFound(response, { uri, queryString });
  else if (!queryString.startsWith('batchId=%26')) healthy(response, { uri, queryString });
  else {
    healthy(response, {
      uri: decodeURIComponent(uri),
      queryString: decodeURIComponent(queryString),
    });
  }
}

function sendData(response: ServerResponse, echo: Echo, data: Buffer): void {
  sendJson(response, toEnvelope(echo, data));
}

async function trickle(response: ServerResponse, echo: Echo): Promise<void> {
  const body = Buffer.concat(toEnvelope(echo, SMALL_DATA));
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  response.writeHead(200, headers);
  for (const byte of body) {
    response.write(Buffer.of(byte));
    await sleep(TRICKLE_MS);
    if (response.closed) return;
  }
  response.end();
}

function sendError(response: ServerResponse, status: number, echo: Echo): void {
  const error = { code: '100100210001', description: 'The bench has it so.' };
  sendJson(response, JSON.stringify({ error, request: toRequest(echo) }), status);
}

function toEnvelope(echo: Echo, data: Buffer): Buffer[] {
  const request = JSON.stringify(toRequest(echo));
  return [Buffer.from(`{"request":${request},"data":`), data, Buffer.from('}')];
}

function toRequest({ uri, queryString }: Echo): object {
  return { uri, method: 'GET', queryString, body: {} };
}

function toJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

const server = createServer({ keepAliveTimeout: 3_600_000 }, answer);
process.send?.({ port: await listenOnLoopback(server) });
process.on('message', () => process.send?.(calls));
process.once('disconnect', () => process.exit());
