import type { ServerResponse } from 'node:http';
import type { LiveAnswer } from '../core/answer.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { StreamEnd } from '../core/telemetry.ts';
import { type OpenStream, Stream, type StreamOptions } from './stream.ts';

interface StreamsOptions extends StreamOptions {
  /** A number from 0 to 1, for the jitter. */
  random: () => number;
  /** Streams at a time. */
  maxStreams: number;
  /** The same for one caller; a router has as many times that as it stands for callers. */
  maxStreamsPerCaller: number;
  /** How long a stream lasts; then its client is to come again. In milliseconds. */
  maxMs: number;
}

/** The live answers of a server, written out until they are over. */
export interface Streams {
  /** Open ones, and events since the start: written, and those that were out of date before they could be. */
  use(): { readonly open: number; readonly written: number; readonly skipped: number };
  /** Whether a response is one of them. */
  has(response: object): boolean;
  /** Throws a {@link RefusedRequest} when there are too many: nothing is written then. */
  open(answer: LiveAnswer, response: ServerResponse, of: OpenStream): void;
  /** Ends them all, so that their clients come again elsewhere, spread over some seconds. */
  close(): void;
  /** Ends those of one tenant in the same way: it is gone, or has other settings. */
  endOfTenant(tenant: string): void;
}

/** Streams are looked at so often within the time of a heartbeat. */
const LOOKS = 20;
/** Of several tenants, one has so much of all streams at most. */
const SHARE_OF_TENANT = 3 / 4;
/** Those whose streams end together come again spread over so long. */
const COME_AGAIN_MS = 5_000;

export function createStreams(options: StreamsOptions): Streams {
  const { clock, telemetry, random, maxStreams, maxStreamsPerCaller, heartbeatMs, maxMs } = options;
  const streams = new Set<Stream>();
  const responses = new WeakSet();
  const byCaller = new Map<string, number>();
  const byTenant = new Map<string, number>();
  /** Events of streams that have ended. */
  const ended = { written: 0, skipped: 0 };
  let isClosed = false;
  let isLooking = false;

  function enter({ tenant, caller: { key, weight } }: OpenStream): void {
    const own = byCaller.get(key) ?? 0;
    if (own >= maxStreamsPerCaller * weight) {
      throw new RefusedRequest(
        'RATE_LIMITED',
        429,
        `You have ${own} streams open, as many as there may be: follow more batches in one, or close others.`,
        { retryAfterMs: COME_AGAIN_MS },
      );
    }
    const ofTenant = tenant === undefined ? 0 : (byTenant.get(tenant) ?? 0);
    const isGreedy = tenant !== undefined && ofTenant >= SHARE_OF_TENANT * maxStreams;
    if (streams.size >= maxStreams || isGreedy || isClosed) {
      throw new RefusedRequest(
        'OVERLOADED',
        503,
        'The gateway has as many streams as it can: ask with a query, or try again in a moment.',
        { retryAfterMs: COME_AGAIN_MS },
      );
    }
    byCaller.set(key, own + 1);
    if (tenant !== undefined) byTenant.set(tenant, ofTenant + 1);
  }

  function leave({ tenant, caller }: OpenStream): void {
    countDown(byCaller, caller.key);
    if (tenant !== undefined) countDown(byTenant, tenant);
  }

  function comeAgainMs(): number {
    return Math.ceil(COME_AGAIN_MS * (0.2 + 0.8 * random()));
  }

  function look(): void {
    const now = clock.now();
    for (const stream of streams) {
      if (now >= stream.startedAt + maxMs) stream.comeAgain(comeAgainMs(), 'time limit');
      else stream.look(now);
    }
    isLooking = streams.size > 0;
    if (isLooking) clock.after(heartbeatMs / LOOKS, look);
  }

  return {
    use() {
      let { written, skipped } = ended;
      for (const stream of streams) {
        written += stream.events;
        skipped += stream.skipped;
      }
      return { open: streams.size, written, skipped };
    },
    has: (response) => responses.has(response),
    open(answer, response, of) {
      enter(of);
      responses.add(response);
      const stream = new Stream(answer, response, of, options, (reason: StreamEnd) => {
        streams.delete(stream);
        // What is left of it is a response like any other, whose client may not read.
        responses.delete(response);
        ended.written += stream.events;
        ended.skipped += stream.skipped;
        leave(of);
        telemetry.streamEnded?.({
          requestId: of.requestId,
          ...(of.tenant !== undefined && { tenant: of.tenant }),
          reason,
          events: stream.events,
          skipped: stream.skipped,
          durationMs: clock.now() - stream.startedAt,
        });
      });
      streams.add(stream);
      stream.begin();
      if (isLooking) return;
      isLooking = true;
      clock.after(heartbeatMs / LOOKS, look);
    },
    close() {
      isClosed = true;
      for (const stream of streams) stream.comeAgain(comeAgainMs(), 'shutdown');
    },
    endOfTenant(tenant) {
      for (const stream of streams) {
        if (stream.tenant === tenant) stream.comeAgain(comeAgainMs(), 'tenant changed');
      }
    },
  };
}

function countDown(counts: Map<string, number>, key: string): void {
  const count = (counts.get(key) ?? 1) - 1;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
