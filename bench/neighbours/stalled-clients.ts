/**
 * Clients that send requests for large answers, one behind the other on a connection, and never read. Arguments: a
 * name, the gateway's endpoint. One whose connection is closed comes again, within the time over which they come. At a
 * message it sends what became of the connections.
 */
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { BAD_NICENESS, fromAddress, STALLED, toRequestText } from './ways.ts';

const { port } = new URL(process.argv[3] ?? '');
const { clients, requests, spreadMs } = STALLED;

setPriority(BAD_NICENESS);

const counts = { 'connections that were opened': 0, 'that the gateway closed': 0 };

function open(client: number): void {
  const socket = connect(Number(port), '127.0.0.1');
  // Or it would begin to read as soon as it is connected.
  socket.pause();
  socket.on('error', () => {});
  // Who does not read learns by writing that it is cut off.
  const timer = setInterval(() => void socket.write(requestOf(client)), 2_000);
  socket.once('connect', () => {
    counts['connections that were opened'] += 1;
    for (let sent = 0; sent < requests; sent += 1) socket.write(requestOf(client));
  });
  socket.once('close', () => {
    clearInterval(timer);
    counts['that the gateway closed'] += 1;
    openSoon(client);
  });
}

function openSoon(client: number): void {
  setTimeout(() => open(client), spreadMs * Math.random());
}

let asked = 0;

/** For another batch each time, and from an address of the client's own. */
function requestOf(client: number): string {
  asked += 1;
  const id = `${process.pid.toString(36)}-${asked}`;
  const query = `{batchStatus(participantType:"operators",batchId:"${id}"){data}}`;
  const address = fromAddress(`10.0.${client >> 8}.${client & 255}`);
  return toRequestText(Number(port), address, JSON.stringify({ query }));
}

for (let client = 0; client < clients; client += 1) openSoon(client);

process.on('message', () => process.send?.(counts));
process.once('disconnect', () => process.exit());
