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

/** Makes lines for a person at a terminal of those for machines. What it takes is loaded only where one sits. */
export async function createPrettyDestination(
  output: DestinationStream,
): Promise<DestinationStream> {
  const { prettyFactory } = await import('pino-pretty');
  const toPretty = prettyFactory({
    colorize: true,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
  return { write: (line) => output.write(toPretty(line)) };
}
