import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Clock } from '../lib/clock.ts';

/** How much of a body that nobody wants is read after the answer, and for how long. */
const MAX_BYTES = 16 * 1024 * 1024;
const MAX_MS = 2_000;
const LOOK_MS = 100;

/**
 * To be called before an answer is written to a request whose body was not read to its end. A connection that is
 * closed while there is something to be read is reset, and the client may lose the answer; so this has it closed in
 * steps (RFC 9112, section 9.6): the answer, then the end, and only then, by {@link boundUnreadBody}, the rest.
 */
export function closeInSteps(request: IncomingMessage): void {
  const { socket, headers } = request;
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return;
  // What Node calls after the last answer on a connection, which can be a later one.
  socket.destroySoon = () => {
    if (request.complete) Socket.prototype.destroySoon.call(socket);
    else socket.end();
  };
}

/**
 * To be called when an answer is out, and the body of its request is not: Node reads and drops what comes, so that the
 * client can read its answer, and this closes the connection after 16 MiB or 2 s.
 */
export function boundUnreadBody(request: IncomingMessage, clock: Clock): void {
  const { socket } = request;
  const begunAt = clock.now();
  const bytesBefore = socket.bytesRead;
  const look = () => {
    const isOver = clock.now() - begunAt >= MAX_MS || socket.bytesRead - bytesBefore > MAX_BYTES;
    if (request.complete && !socket.writableEnded) return;
    if (request.complete || isOver) socket.destroy();
    else if (!socket.destroyed) clock.after(LOOK_MS, look);
  };
  look();
}
