import { fstatSync, write } from 'node:fs';
import type { DestinationStream } from 'pino';
import type { Clock } from '../lib/clock.ts';

/**
 * Writes bytes out without blocking the event loop. Calls back with how many of them are out, and why the others are
 * not, if that is so. Called for one buffer at a time.
 */
export type LogSink = (
  bytes: Buffer,
  done: (error: Error | undefined, writtenBytes: number) => void,
) => void;

const STANDARD_OUTPUT = 1;

/**
 * Standard output. To pipes and sockets Node writes without blocking, by `openStream`; to files and terminals a
 * thread does: writes to those would block.
 */
export function createStandardOutput(openStream: () => NodeJS.WritableStream): LogSink {
  const stats = fstatSync(STANDARD_OUTPUT);
  if (!stats.isFIFO() && !stats.isSocket()) return writeToFile;
  const stream = openStream();
  // Each write is told of its error, too.
  stream.on('error', () => {});
  return (bytes, done) =>
    void stream.write(bytes, (error) => done(error ?? undefined, error ? 0 : bytes.length));
}

function writeToFile(...[bytes, done]: Parameters<LogSink>): void {
  write(STANDARD_OUTPUT, bytes, (error, writtenBytes) => {
    if (error === null && writtenBytes > 0) done(undefined, writtenBytes);
    else done(error ?? new Error('nothing was written'), 0);
  });
}

/** That the log could not be written, or not in time, when that is over. */
interface LogTrouble {
  /** In a few words. */
  readonly reason: string;
  /** Lines that are missing from the log. */
  readonly droppedLines: number;
  readonly lastedMs: number;
}

interface LogOutputOptions {
  sink: LogSink;
  clock: Clock;
  /** Told when all that waited is out after a trouble. */
  resumed(trouble: LogTrouble): void;
}

/** How long a line may wait for others to be written with. */
const FLUSH_INTERVAL_MS = 100;
const BLOCK_BYTES = 64 * 1024;
/** What waits to be taken; lines beyond are dropped. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** A character of UTF-16 takes so many bytes at most. */
const MAX_BYTES_PER_CHARACTER = 3;
/** After an error. */
const RETRY_MS = 1_000;
/** A write that takes longer is a trouble. */
const STALLED_MS = 5_000;
const NEWLINE = '\n'.charCodeAt(0);

/**
 * Where lines go. They are written in blocks, because a write for each would cost more than the request that it tells
 * of; a line waits for 100 ms at most, as bytes, which the garbage collector need not look after. Never blocks or
 * throws: while a block is not taken (a full disk, a pipe that nobody reads), up to 8 MiB wait, and lines beyond are
 * dropped and counted.
 */
export class LogOutput implements DestinationStream {
  readonly #options: LogOutputOptions;
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #filled = 0;
  #flushIsDue = false;
  /** Lines have waited long enough, and are flushed when nothing waits any more that was flushed before. */
  #flushIsOverdue = false;
  /** The first of them is being written, or was refused. */
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #writingSince: number | undefined;
  #trouble: { since: number; reason: string; droppedLines: number } | undefined;
  #emptied: (() => void) | undefined;
  #droppedLines = 0;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  /** `text` is one or more whole lines. */
  write(text: string): void {
    const longest = MAX_BYTES_PER_CHARACTER * text.length;
    if (this.#filled + longest > BLOCK_BYTES) this.#flush();
    if (longest > BLOCK_BYTES) {
      this.#add(Buffer.from(text));
      return;
    }
    this.#filled += this.#block.write(text, this.#filled);
    if (!this.#flushIsDue) this.#flushSoon();
  }

  /** Lines that were dropped, ever. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** Whether lines are missing because of the trouble that it has. */
  get isLosing(): boolean {
    return this.#trouble !== undefined && this.#trouble.droppedLines > 0;
  }

  /** Whether whole lines, written now, will not be dropped: there is no trouble, and room for them. */
  takes(text: string): boolean {
    const longest = MAX_BYTES_PER_CHARACTER * text.length;
    // Others may come into their block before it goes to those that wait.
    const isRoom = this.#waitingBytes + BLOCK_BYTES + longest <= MAX_WAITING_BYTES;
    return isRoom && this.problem() === undefined;
  }

  /** What is wrong with it, for `/readyz`; undefined: nothing. */
  problem(): string | undefined {
    if (this.#trouble === undefined && !this.#isStalled()) return undefined;
    const { reason, droppedLines } = this.#trouble ?? { reason: UNREAD, droppedLines: 0 };
    return `${reason}; lines that were dropped: ${droppedLines}`;
  }

  /** Resolves when all that was written is out, after `limitMs` at the latest. */
  flushed(limitMs: number): Promise<void> {
    this.#flush();
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied = resolve;
      this.#options.clock.after(limitMs, resolve);
    });
  }

  #flushSoon(): void {
    this.#flushIsDue = true;
    this.#options.clock.after(FLUSH_INTERVAL_MS, () => {
      this.#flushIsDue = false;
      if (this.#waiting.length === 0) this.#flush();
      else this.#flushIsOverdue = true;
    });
  }

  #flush(): void {
    this.#flushIsOverdue = false;
    if (this.#filled === 0) return;
    this.#add(Buffer.from(this.#block.subarray(0, this.#filled)));
    this.#filled = 0;
  }

  #add(bytes: Buffer): void {
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      const lines = countLines(bytes);
      this.#troubleBecause(UNREAD).droppedLines += lines;
      this.#droppedLines += lines;
      return;
    }
    this.#waitingBytes += bytes.length;
    this.#waiting.push(bytes);
    if (this.#waiting.length === 1) this.#writeNext();
  }

  #writeNext(): void {
    const [bytes] = this.#waiting;
    if (bytes === undefined) return;
    const { clock, sink } = this.#options;
    this.#writingSince = clock.now();
    sink(bytes, (error, writtenBytes) => {
      if (this.#isStalled()) this.#troubleBecause(UNREAD, this.#writingSince);
      this.#writingSince = undefined;
      this.#waitingBytes -= writtenBytes;
      // What is left of a line goes on where it ended.
      if (writtenBytes < bytes.length) this.#waiting[0] = bytes.subarray(writtenBytes);
      else this.#waiting.shift();
      if (error !== undefined) {
        this.#troubleBecause(describe(error));
        clock.after(RETRY_MS, () => this.#writeNext());
      } else if (this.#waiting.length > 0) this.#writeNext();
      else this.#goOn();
    });
  }

  /** Nothing waits any more. */
  #goOn(): void {
    const { clock, resumed } = this.#options;
    if (this.#trouble !== undefined) {
      const { since, ...trouble } = this.#trouble;
      this.#trouble = undefined;
      resumed({ ...trouble, lastedMs: Math.round(clock.now() - since) });
    }
    // Others have time left: were they written at once, each write would bring on the next, with a line or two in each.
    if (this.#flushIsOverdue || this.#emptied !== undefined) this.#flush();
    if (this.#waiting.length === 0) this.#emptied?.();
  }

  #isStalled(): boolean {
    const since = this.#writingSince;
    return since !== undefined && this.#options.clock.now() - since > STALLED_MS;
  }

  #troubleBecause(reason: string, since = this.#options.clock.now()): { droppedLines: number } {
    this.#trouble ??= { since, reason, droppedLines: 0 };
    return this.#trouble;
  }
}

const UNREAD = 'it is not taken';

function describe(error: Error): string {
  return `it cannot be written: ${'code' in error ? error.code : error.message}`;
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}
