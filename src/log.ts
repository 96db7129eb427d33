import { type DestinationStream, type Logger, pino } from 'pino';

/** The logger that is handed around: pino's, whose first argument is an object of fields. */
export type Log = Logger;

/** `trace` says most, `silent` nothing. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Fields that are blanked wherever they stand in the first three levels of a log entry. */
const SECRET_FIELDS = [
  'authorization',
  'Authorization',
  'cookie',
  'access_token',
  'accessToken',
  'client_secret',
  'clientSecret',
  'password',
  'token',
  'x-coreos-access',
  'X-COREOS-ACCESS',
];

/** pino's path syntax: a name with a dash is written in brackets. */
function redactPath(depth: number, field: string): string {
  const wildcards = Array.from({ length: depth }, () => '*').join('.');
  return field.includes('-')
    ? `${wildcards}["${field}"]`
    : [wildcards, field].filter(Boolean).join('.');
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
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: describeError },
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: [0, 1, 2].flatMap((depth) => SECRET_FIELDS.map((field) => redactPath(depth, field))),
        censor: '[redacted]',
      },
    },
    destination,
  );
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
