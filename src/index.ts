import { createRequire } from 'node:module';
import { createGateway as createApp, GRAPHQL_PATH } from './app.ts';
import { readRegularFile } from './config/files.ts';
import { SettingsError } from './config/load.ts';
import { loadSettings } from './config/load-settings.ts';
import { isVariableName, type VariableName } from './config/variables.ts';
import { systemClock } from './lib/clock.ts';
import { createAuditLog, logReadiness } from './telemetry/audit.ts';
import { createLog } from './telemetry/log.ts';
import { logEvents } from './telemetry/log-events.ts';
import { createStandardOutput, LogOutput } from './telemetry/log-output.ts';

export { SettingsError };

/**
 * The settings by the names of the environment variables (docs/settings.md), and with the same defaults. Lists are
 * texts with commas, `true` and `false` are `on` and `off`. With `NODE_ENV: 'production'`, what depends on that is as
 * it is there. LOG_FORMAT is not regarded. The environment of the process itself, and `.env`, are not read.
 */
export type GatewaySettings = {
  readonly [Name in VariableName | 'NODE_ENV']?: string | number | boolean | undefined;
};

/** Where a gateway writes to. */
export interface GatewayOptions {
  /** Gets each line of the log, JSON with its line break. By default they are written to standard output. */
  writeLog?: (line: string) => void;
}

/** A whole gateway as a part of another program. */
export interface Gateway {
  /** Resolves to the URL of the GraphQL endpoint. Rejects when HOST and PORT cannot be had. */
  start(): Promise<URL>;
  /**
   * Ends without dropping a request, within 10 s. Requests are still accepted for `noticeMs` milliseconds (0 to
   * 8,000), by default SHUTDOWN_DELAY_MS. A gateway that was stopped cannot be started again.
   */
  stop(noticeMs?: number): Promise<void>;
}

/**
 * Builds a gateway that does not listen yet. Rejects with a {@link SettingsError} that names every faulty setting.
 * Signals, and faults of the process such as a blocked event loop, are for the program that it is a part of.
 */
export async function createGateway(
  settings: GatewaySettings = {},
  { writeLog }: GatewayOptions = {},
): Promise<Gateway> {
  const parsed = await loadSettings(toEnvironment(settings), readRegularFile, systemClock);
  const output = writeLog === undefined ? standardOutput() : undefined;
  const destination = output ?? { write: writeLog ?? (() => {}) };
  const telemetry = logEvents(createLog(parsed.logLevel, destination), destination);
  const gateway = await createApp({
    settings: parsed,
    clock: systemClock,
    telemetry,
    audit: createAuditLog({ mode: parsed.audit, destination, output }),
    ...(output && { readiness: { log: logReadiness(parsed.audit, output) } }),
    process: { node: process, version, droppedLogLines: () => output?.droppedLines ?? 0 },
  });
  return {
    start: async () => new URL(GRAPHQL_PATH, await gateway.listen()),
    async stop(noticeMs) {
      await gateway.close(noticeMs);
      await output?.flushed(LAST_LINES_MS);
    },
  };
}

const { version }: { version: string } = createRequire(import.meta.url)('../package.json');

/** For the last lines of the log. */
const LAST_LINES_MS = 300;

function standardOutput(): LogOutput {
  const sink = createStandardOutput(() => process.stdout);
  return new LogOutput({ sink, clock: systemClock, resumed() {} });
}

/** A name that is misspelt would be a setting that is left out: AUTH_MODE, say. */
function toEnvironment(settings: GatewaySettings): Record<string, string | undefined> {
  const unknown = Object.keys(settings).filter(
    (name) => !isVariableName(name) && name !== 'NODE_ENV',
  );
  if (unknown.length > 0) throw new SettingsError(`There are no settings ${unknown.join(', ')}.`);
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      typeof value === 'boolean' ? (value ? 'on' : 'off') : value?.toString(),
    ]),
  );
}
