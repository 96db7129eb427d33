#!/usr/bin/env node
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createRequire, flushCompileCache } from 'node:module';
import { devNull } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gateway } from './app.ts';
import type { parseEnvFile as ParseEnvFile } from './config/env-file.ts';
import type { Environment } from './config/load.ts';
import type { Settings } from './config/settings.ts';

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** With what `.env` adds to it: in `process.env`, where packages look for NODE_ENV. */
function readEnvironment(parse: typeof ParseEnvFile): Environment {
  let file: Uint8Array;
  try {
    file = readFileSync('.env');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return missing ? process.env : fail('The file .env is there, but cannot be read.');
  }
  return Object.assign(process.env, parse(file, process.env));
}

/** As sysexits.h has it: a bug. The doctor's others tell of what it examined. */
const EXIT_SOFTWARE = 70;

const args = process.argv.slice(2);
if (args.length > 1 || (args[0] ?? 'serve') !== 'serve') {
  const [{ runCommand }, { systemClock }, { loadSettings }, { parseEnvFile }, { readRegularFile }] =
    await Promise.all([
      import('./commands/run-command.ts'),
      import('./lib/clock.ts'),
      import('./config/load-settings.ts'),
      import('./config/env-file.ts'),
      import('./config/files.ts'),
    ]);
  const exitCode = await runCommand(args, {
    readSettings: async () =>
      loadSettings(readEnvironment(parseEnvFile), readRegularFile, systemClock),
    port: process.env['PORT'],
    clock: systemClock,
    lookUp: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
    stopped: async () =>
      void (await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])),
    write: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
  }).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
    return EXIT_SOFTWARE;
  });
  process.exit(exitCode);
}

const [
  { systemClock },
  { SettingsError },
  { loadSettings },
  { parseEnvFile },
  { readRegularFile },
] = await Promise.all([
  import('./lib/clock.ts'),
  import('./config/load.ts'),
  import('./config/load-settings.ts'),
  import('./config/env-file.ts'),
  import('./config/files.ts'),
]);

async function readSettings(): Promise<Settings> {
  try {
    return await loadSettings(readEnvironment(parseEnvFile), readRegularFile, systemClock);
  } catch (error) {
    if (error instanceof SettingsError) fail(error.message);
    throw error;
  }
}

// Before all the rest is loaded: faulty settings are told at once.
const settings = await readSettings();

// Tools send it, to have files opened anew, and it would end the process.
process.on('SIGUSR2', () => {});
// Without a listener, Node opens its debugger.
if (process.env['NODE_ENV'] === 'production') process.on('SIGUSR1', () => {});

const [
  { createGateway, GRAPHQL_PATH, ListenError },
  { monitorProcess },
  { createLog, createPrettyDestination },
  { createStandardOutput, LogOutput },
  { logEvents },
  { createAuditLog, logReadiness },
] = await Promise.all([
  import('./app.ts'),
  import('./server/process-monitor.ts'),
  import('./telemetry/log.ts'),
  import('./telemetry/log-output.ts'),
  import('./telemetry/log-events.ts'),
  import('./telemetry/audit.ts'),
]);

const output = new LogOutput({
  sink: createStandardOutput(() => process.stdout),
  clock: systemClock,
  resumed: (trouble) => log.warn(trouble, 'the log is written again'),
});
const pretty = (settings.logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json')) === 'pretty';
const destination = pretty ? await createPrettyDestination(output) : output;
const log = createLog(settings.logLevel, destination);

/** A signal that comes so soon after the first is the same one: npm passes on what the terminal sent to all. */
const SAME_SIGNAL_MS = 500;
/** Whatever is under way then, the process ends, and within 10 s. The server has cut off its requests before. */
const END_LIMIT_MS = 9_300;
/** For the last lines of the log. */
const LAST_LINES_MS = 300;
/** By then the first token was asked for, which more is loaded for. */
const LATE_MODULES_MS = 1_000;
/** A fault can come again and again while the process ends. */
const MAX_FAULTS_LOGGED = 10;

let running: Gateway | undefined;
let endingSince: number | undefined;
let exitCode = 0;
let faults = 0;

/** Lets what is under way finish, then exits. */
async function end(noticeMs?: number): Promise<void> {
  endingSince = systemClock.now();
  setTimeout(endInTime, END_LIMIT_MS);
  await running?.close(noticeMs).catch((error: unknown) => onFault(error, 'shutdown failed'));
  log.info('stopped');
  await output.flushed(LAST_LINES_MS);
  while (threadsAreBusy()) await sleep(10);
  exit(exitCode);
}

async function endInTime(): Promise<void> {
  log.error('the process did not end by itself in time');
  await output.flushed(LAST_LINES_MS);
  exit(1);
}

/** Node's own exit waits for threads, without end where a name is not resolved, or a file system is gone. */
function exit(code: number): never {
  if (threadsAreBusy()) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}

/** With what can hang: files, names, or a terminal that was halted. */
function threadsAreBusy(): boolean {
  return process.getActiveResourcesInfo().some((name) => /^(FSReq|GetAddrInfo)/.test(name));
}

function stop(signal: NodeJS.Signals): void {
  if (endingSince === undefined) {
    log.info({ signal }, 'shutting down');
    // There is no balancer to wait for where somebody presses Ctrl+C.
    void end(signal === 'SIGINT' ? 0 : undefined);
  } else if (signal === 'SIGINT' && systemClock.now() - endingSince > SAME_SIGNAL_MS) {
    // A person who presses Ctrl+C again does not want to wait.
    exit(130);
  }
}

/** What nobody handled may have left anything behind, so the process ends; but nobody's request with it. */
function onFault(error: unknown, message: string): void {
  faults += 1;
  exitCode = 1;
  if (faults <= MAX_FAULTS_LOGGED) log.fatal({ err: error }, message);
  if (endingSince === undefined) void end();
}
process.on('uncaughtException', (error) => onFault(error, 'uncaught exception: shutting down'));
process.on('unhandledRejection', (error) => onFault(error, 'unhandled rejection: shutting down'));
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, stop);

const telemetry = logEvents(log, destination);
const monitor = monitorProcess({
  clock: systemClock,
  telemetry,
  openFile: async () => (await open(devNull)).close(),
});
const { version }: { version: string } = createRequire(import.meta.url)('../package.json');
const gateway = await createGateway({
  settings,
  clock: systemClock,
  telemetry,
  audit: createAuditLog({ mode: settings.audit, destination, output }),
  process: { node: process, version, droppedLogLines: () => output.droppedLines },
  readiness: { ...monitor.checks, log: logReadiness(settings.audit, output) },
}).catch((error: unknown) => {
  if (!(error instanceof SettingsError)) throw error;
  return fail(error.message);
});
running = gateway;

const origin = await gateway.listen().catch((error: unknown) => {
  if (!(error instanceof ListenError)) throw error;
  return fail(error.message);
});
monitor.begin();
const { unknownVariables: variables } = settings;
if (variables.length > 0) log.warn({ variables }, 'variables look like settings, and are none');
const isSandbox = settings.participantService === undefined && settings.tenants === undefined;
const endpoint = new URL(GRAPHQL_PATH, origin).href;
const metrics = gateway.metricsUrl();
log.info(
  {
    graphql: endpoint,
    upstream: settings.participantService?.url.origin ?? (isSandbox ? 'sandbox' : 'tenants'),
    ...(metrics && { metrics: metrics.href }),
  },
  'listening',
);
if (isSandbox) output.write(sandboxGreeting());

// Not left to the exit, which may be a kill; and once more for what is loaded a little later.
flushCompileCache();
setTimeout(flushCompileCache, LATE_MODULES_MS).unref();

function sandboxGreeting(): string {
  const query =
    '{ batchStatus(participantType: \\"vehicles\\", batchId: \\"batch-partial\\") { status progress } }';
  const token = gateway.sandboxToken;
  const header = token === undefined ? '' : ` -H 'authorization: Bearer ${token}'`;
  return `
  participant-gateway runs on its sandbox: no tenant, no credentials, made-up batches.

  ${settings.graphiql ? `GraphiQL   ${endpoint}` : `GraphQL    ${endpoint}`}
  curl       curl -s ${endpoint} -H 'content-type: application/json'${header} -d '{"query":"${query}"}'
${token === undefined ? '' : `\n  Callers need a token, as AUTH_MODE=jwt has it. This one, of the sandbox, is good for 8 hours; in\n  GraphiQL, put {"authorization": "Bearer …"} into the pane of headers:\n  ${token}\n`}
  Set PARTICIPANT_SERVICE_URL for a real tenant: see .env.example.

`;
}
