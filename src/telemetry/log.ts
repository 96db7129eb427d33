import { type DestinationStream, type Logger, pino } from 'pino';

/** The logger that is handed around: pino's, whose first argument is an object of fields. */
export type Log = Logger;

/** `trace` says most, `silent` nothing. */
type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Fields that are blanked wherever they stand in the first levels of a log entry, in lower case. */
const SECRET_FIELDS = new Set([
  'authorization',
  'cookie',
  'access_token',
  'accesstoken',
  'client_secret',
  'clientsecret',
  'password',
  'token',
  'x-coreos-access',
]);
const REDACTED_LEVELS = 3;

/*
 * By hand: pino's own redaction takes 40 µs for an entry with paths of that depth, more than the rest
 * of a request. This takes a fraction of one.
 */
function withoutSecrets(
  entry: Record<string, unknown>,
  levels = REDACTED_LEVELS,
): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(entry)) {
    const shown = SECRET_FIELDS.has(name.toLowerCase())
      ? '[redacted]'
      : levels > 1 && isPlainObject(value)
        ? withoutSecrets(value, levels - 1)
        : value;
    if (shown !== value) {
      copy ??= { ...entry };
      copy[name] = shown;
    }
  }
  return copy ?? entry;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/**
 * A structured logger that writes one entry a line to `destination`: JSON, or what `destination`
 * makes of it. Fields that carry credentials are blanked; that is the net below the rule that no
 * code hands a credential to the log in the first place.
 */
export function createLog(level: LogLevel, destination: DestinationStream): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${isoTime()}"`,
      serializers: { err: describeError },
      formatters: {
        level: (label) => ({ level: label }),
        log: (entry) => withoutSecrets(entry),
      },
    },
    destination,
  );
}

let second = Number.NaN;
let secondText = '';

/** The wall clock as RFC 3339 writes it, in UTC with milliseconds. What is the same for a second is kept. */
export function isoTime(now = Date.now()): string {
  const begun = Math.floor(now / 1_000);
  if (begun !== second) {
    second = begun;
    secondText = new Date(1_000 * begun).toISOString().slice(0, -'000Z'.length);
  }
  return `${secondText}${String(now - 1_000 * begun).padStart(3, '0')}Z`;
}

interface ErrorDescription {
  name: string;
  message: string;
  stack: string | undefined;
  cause?: ErrorDescription;
}

/** Nothing else that hangs on an error: libraries put answers, headers and tokens there. */
function describeError(error: unknown): ErrorDescription {
  if (!(error instanceof Error))
    return { name: typeof error, message: 'not an Error', stack: undefined };
  const { name, message, stack, cause } = error;
  return { name, message, stack, ...(cause === undefined ? {} : { cause: describeError(cause) }) };
}

/** How long a line may wait for others to be written with. */
const FLUSH_INTERVAL_MS = 100;
const BLOCK_BYTES = 64 * 1024;
/** What waits for a reader that does not read; blocks beyond are dropped. */
const MAX_WAITING_CHARACTERS = 16 * 1024 * 1024;
/** A character of UTF-16 takes so many bytes at most. */
const MAX_BYTES_PER_CHARACTER = 3;

/**
 * Lines for machines, on standard output. They are written in blocks, because a write for each would cost more than
 * the request that it tells of, and a block waits for 100 ms at most. What waits when the process exits is written
 * then; a kill loses it. Lines are bytes while they wait, which the garbage collector need not look after.
 */
export function createBufferedDestination(
  onceAtExit: (task: () => void) => void,
): DestinationStream {
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let filled = 0;
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (filled > 0) output.write(block.toString('utf8', 0, filled));
    filled = 0;
  };
  // Ahead of what pino writes out at the exit.
  onceAtExit(flush);
  const output = pino.destination({ dest: 1, sync: false, maxLength: MAX_WAITING_CHARACTERS });
  return {
    write(line) {
      const longest = MAX_BYTES_PER_CHARACTER * line.length;
      if (filled + longest > BLOCK_BYTES) flush();
      if (longest > BLOCK_BYTES) {
        output.write(line);
        return;
      }
      filled += block.write(line, filled);
      timer ??= setTimeout(flush, FLUSH_INTERVAL_MS).unref();
    },
  };
}

/** Lines for a person at a terminal. Loaded only where one sits. */
export async function createPrettyDestination(
  output: NodeJS.WritableStream,
): Promise<DestinationStream> {
  const { PinoPretty } = await import('pino-pretty');
  return PinoPretty({
    destination: output,
    colorize: true,
    sync: true,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
}
