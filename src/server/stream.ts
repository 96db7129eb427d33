import type { ServerResponse } from 'node:http';
import type { EventReceiver, LiveAnswer } from '../core/answer.ts';
import type { Caller } from '../core/caller.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { StreamEnd, Telemetry } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import { STREAM_FRAMINGS, type StreamFraming } from './stream-format.ts';

/** The request that a stream answers. */
export interface OpenStream {
  readonly requestId: string;
  /** The name of the tenant; undefined where there is only one. */
  readonly tenant: string | undefined;
  readonly caller: Caller;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** When the caller's token ends, on the wall clock in milliseconds; undefined: there is none. */
  readonly expiresAt: number | undefined;
  /** Throws, or rejects with, a {@link RefusedRequest} when the caller may not have the answer any more. */
  check(): void | Promise<void>;
  /** Records that the client gets a status in an event of a slot. Throws a {@link RefusedRequest} where that cannot be done. */
  record?(slot: string): void;
  /** An error as a result of GraphQL. */
  toResult(refusal: RefusedRequest): string;
}

export interface StreamOptions {
  clock: Clock;
  telemetry: Telemetry;
  /** After so much time without a word a heartbeat is written, in milliseconds. */
  heartbeatMs: number;
  /** How long a client may take nothing of what is written, in milliseconds. */
  timeoutMs: number;
}

/** Bytes that wait to be taken by a client; what comes then stays in its slot. */
const MAX_UNSENT_BYTES = 64 * 1024;

/**
 * A live answer on its way to one client. Each slot holds the latest event that was not yet written: who reads slowly
 * misses what is out of date, and holds no more memory than that.
 */
export class Stream implements EventReceiver {
  readonly startedAt: number;
  /** Events that were written. */
  events = 0;
  /** Events that were out of date before they could be written. */
  skipped = 0;
  readonly #answer: LiveAnswer;
  readonly #response: ServerResponse;
  readonly #of: OpenStream;
  readonly #options: StreamOptions;
  readonly #framing: StreamFraming;
  readonly #onEnd: (reason: StreamEnd) => void;
  readonly #slots = new Map<string, string>();
  /** Those whose event says why there is no status. */
  readonly #withoutStatus = new Set<string>();
  /** The event that is being written, and how much of it is. Streams share its text: none has a copy of its own. */
  #text = '';
  #written = 0;
  #stop = () => {};
  #isChecking = false;
  #isComplete = false;
  #isOver = false;
  #wroteAt: number;
  /** When the client was last seen to take something, and what it had taken by then. */
  #tookAt: number;
  #takenBytes = 0;

  constructor(
    answer: LiveAnswer,
    response: ServerResponse,
    of: OpenStream,
    options: StreamOptions,
    onEnd: (reason: StreamEnd) => void,
  ) {
    this.#answer = answer;
    this.#response = response;
    this.#of = of;
    this.#options = options;
    this.#framing = STREAM_FRAMINGS[answer.format];
    this.#onEnd = onEnd;
    this.startedAt = options.clock.now();
    this.#wroteAt = this.startedAt;
    this.#tookAt = this.startedAt;
  }

  get tenant(): string | undefined {
    return this.#of.tenant;
  }

  begin(): void {
    const response = this.#response;
    const { contentType, opening } = this.#framing;
    response.writeHead(200, [
      ...this.#of.headers,
      ...['content-type', contentType],
      // nginx would hold events back until its buffer is full.
      ...['x-accel-buffering', 'no'],
    ]);
    response.flushHeaders();
    response.on('drain', () => this.#flush());
    response.on('close', () => this.#end('client gone'));
    if (opening !== '') this.#write(opening);
    const stop = this.#answer.open(this);
    if (this.#isOver) stop();
    else this.#stop = stop;
  }

  next(slot: string, text: string, hasStatus: boolean): void {
    if (this.#isOver) return;
    if (hasStatus) this.#withoutStatus.delete(slot);
    else this.#withoutStatus.add(slot);
    if (this.#slots.has(slot)) this.skipped += 1;
    this.#slots.set(slot, text);
    this.#flush();
  }

  complete(): void {
    this.#isComplete = true;
    // In a chunk of its own: where it comes with an event, some clients wait for the end without end.
    setImmediate(() => this.#flush());
  }

  /** Ends the stream, but not the operation: see {@link StreamFraming.comeAgain}. */
  comeAgain(retryMs: number, reason: StreamEnd): void {
    const refusal = new RefusedRequest(
      'OVERLOADED',
      503,
      'The gateway ends this stream: subscribe again.',
      { retryAfterMs: retryMs },
    );
    const { comeAgain } = this.#framing;
    this.#finish(
      this.#part(Number.POSITIVE_INFINITY) + comeAgain(retryMs, this.#of.toResult(refusal)),
      reason,
    );
  }

  /** To be called now and then. */
  look(now: number): void {
    const { heartbeatMs, timeoutMs, clock } = this.#options;
    const { expiresAt } = this.#of;
    if (this.#isStalled(now, timeoutMs)) {
      this.#end('client does not read');
      this.#response.destroy();
    } else if (expiresAt !== undefined && clock.date().getTime() >= expiresAt) {
      this.#check();
    } else if (now - this.#wroteAt >= heartbeatMs && this.#isIdle()) {
      this.#write(this.#framing.heartbeat);
      this.#check();
    }
  }

  /** Whether all that was written is taken, and no event is written in part. */
  #isIdle(): boolean {
    return this.#text === '' && this.#response.writableLength === 0;
  }

  #isStalled(now: number, timeoutMs: number): boolean {
    const { socket, writableLength } = this.#response;
    const bytes = (socket?.bytesWritten ?? 0) - (socket?.writableLength ?? 0);
    if (writableLength === 0 || bytes > this.#takenBytes) {
      this.#tookAt = now;
      this.#takenBytes = bytes;
    }
    return now - this.#tookAt >= timeoutMs;
  }

  /** Writes what waits, as far as the client takes it. `isAllowed`: whether the caller has just been checked. */
  #flush(isAllowed = false): void {
    if (this.#isOver || this.#isChecking) return;
    let mayWrite = isAllowed;
    while (this.#response.writableLength < MAX_UNSENT_BYTES) {
      if (this.#text !== '') {
        this.#writePart();
        continue;
      }
      const [next] = this.#slots;
      if (next === undefined) break;
      mayWrite ||= this.#check();
      if (!mayWrite) return;
      const [slot, text] = next;
      if (!this.#withoutStatus.has(slot) && !this.#isRecorded(slot)) return;
      this.#slots.delete(slot);
      this.events += 1;
      this.#text = text;
    }
    if (this.#isComplete && this.#text === '' && this.#slots.size === 0) {
      this.#finish(this.#framing.completion, 'complete');
    }
  }

  /** Ends the stream where it cannot be recorded what the client gets. */
  #isRecorded(slot: string): boolean {
    try {
      this.#of.record?.(slot);
      return true;
    } catch (error) {
      this.#refuse(error);
      return false;
    }
  }

  #writePart(): void {
    const limit = this.#written + MAX_UNSENT_BYTES;
    // No character outside of the basic plane is cut in two.
    const end = isHighSurrogate(this.#text.charCodeAt(limit - 1)) ? limit - 1 : limit;
    const part = this.#part(end);
    this.#written = end;
    if (end >= this.#text.length) {
      this.#text = '';
      this.#written = 0;
    }
    this.#write(part);
  }

  /** Of the event that is being written, what comes next, up to some character; empty: there is none. */
  #part(end: number): string {
    if (this.#text === '') return '';
    const { head, tail } = this.#framing;
    const part = this.#text.slice(this.#written, end);
    return `${this.#written === 0 ? head(this.events) : ''}${part}${end >= this.#text.length ? tail : ''}`;
  }

  #write(text: string): void {
    this.#wroteAt = this.#options.clock.now();
    this.#response.write(text);
  }

  /**
   * Whether the caller may have the stream still. False where that is not known at once: what waits is written when it
   * is. Ends the stream where they may not.
   */
  #check(): boolean {
    if (this.#isChecking) return false;
    try {
      const checking = this.#of.check();
      if (checking === undefined) return true;
      this.#isChecking = true;
      void checking
        .finally(() => {
          this.#isChecking = false;
        })
        .then(
          () => this.#flush(true),
          (error: unknown) => this.#refuse(error),
        );
    } catch (error) {
      this.#refuse(error);
    }
    return false;
  }

  #refuse(error: unknown): void {
    if (!(error instanceof RefusedRequest)) {
      this.#options.telemetry.handlerFailed?.({ error });
      this.#end('refused');
      this.#response.destroy();
      return;
    }
    const { head, tail, completion } = this.#framing;
    const refusal = `${head(this.events + 1)}${this.#of.toResult(error)}${tail}`;
    this.#finish(`${this.#part(Number.POSITIVE_INFINITY)}${refusal}${completion}`, 'refused');
  }

  #finish(last: string, reason: StreamEnd): void {
    if (this.#isOver) return;
    this.#end(reason);
    this.#response.end(last);
  }

  #end(reason: StreamEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#slots.clear();
    this.#stop();
    this.#onEnd(reason);
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
