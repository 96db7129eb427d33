import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';

export interface SlowReadersOptions {
  /** Those under way. */
  responses: Iterable<WatchedResponse> & { readonly size: number };
  clock: Clock;
  telemetry: Telemetry;
  /** How long a client may take next to nothing of an answer, in milliseconds. */
  timeoutMs: number;
  /** Whether a response is a stream, which has a time limit of its own. */
  isStream(response: WatchedResponse): boolean;
  /** Whether others wait for what such clients hold: then they have a tenth of that time. */
  othersWait(): boolean;
}

/** What is looked at of a response, and of the connection that it goes out over. */
interface WatchedResponse extends Pick<ServerResponse, 'headersSent' | 'writableFinished'> {
  readonly socket: WatchedSocket | null;
}
interface WatchedSocket extends Pick<Socket, 'bytesWritten' | 'writableLength'> {
  destroy(): unknown;
}

/** Cuts off clients that do not take their answers: they would hold memory, and a request's place, without end. */
interface SlowReaders {
  /** To be called whenever there is one more response. They are looked at until there is none. */
  watch(): void;
}

/** A client that takes less than this on the average is cut off. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
/** So often it is looked within the time limit. */
const LOOKS = 10;

/** What was sent over a connection when it was looked at first. */
interface Look {
  at: number;
  sentBytes: number;
}

export function createSlowReaders(options: SlowReadersOptions): SlowReaders {
  const { responses, clock, telemetry, timeoutMs, isStream, othersWait } = options;
  const everyMs = timeoutMs / LOOKS;
  /** Of connections on which an answer waited to be taken at the last look. */
  let looks = new Map<WatchedSocket, Look>();
  let isLooking = false;

  function look(): void {
    const now = clock.now();
    const next = new Map<WatchedSocket, Look>();
    const tooSlow: WatchedSocket[] = [];
    const limitMs = othersWait() ? everyMs : timeoutMs;
    for (const response of responses) {
      const { socket, headersSent, writableFinished } = response;
      // Without a socket, it waits behind another answer on the same connection.
      if (socket === null || !headersSent || writableFinished || isStream(response)) continue;
      const sentBytes = socket.bytesWritten - socket.writableLength;
      const before = looks.get(socket) ?? { at: now, sentBytes };
      const ranMs = now - before.at;
      const leastBytes = (MIN_BYTES_PER_SECOND * ranMs) / 1_000;
      if (ranMs < limitMs) next.set(socket, before);
      else if (sentBytes - before.sentBytes < leastBytes) tooSlow.push(socket);
      else next.set(socket, { at: now, sentBytes });
    }
    looks = next;
    if (tooSlow.length > 0) telemetry.slowReadersCutOff?.({ connections: tooSlow.length });
    cutOff(tooSlow, everyMs / tooSlow.length);
    isLooking = responses.size > 0;
    if (isLooking) clock.after(everyMs, look);
  }

  /** One after the other until the next look: all that was asked for over one ends then, and others get its room. */
  function cutOff(sockets: WatchedSocket[], afterMs: number): void {
    const socket = sockets.shift();
    if (socket === undefined) return;
    socket.destroy();
    if (sockets.length > 0) clock.after(afterMs, () => cutOff(sockets, afterMs));
  }

  return {
    watch() {
      if (isLooking) return;
      isLooking = true;
      clock.after(everyMs, look);
    },
  };
}
