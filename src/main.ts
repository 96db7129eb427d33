#!/usr/bin/env node
import { lookup } from 'node:dns/promises';
import { readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { devNull } from 'node:os';
import type { Gateway } from './app.ts';
import type { parseEnvFile as ParseEnvFile } from './config/env-file.ts';
import type { Environment } from './config/load.ts';
import type { Settings } from './config/settings.ts';

// Before anything else is loaded: the second start finds its code compiled, and is twice as fast. Where
// bin/participant-gateway.js was started, this file is compiled already, too.
enableCompileCache();

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Not what is no file: a device may have no end. */
function readFile(path: string): Uint8Array {
  if (!statSync(path).isFile()) throw new Error('not a file');
  return readFileSync(path);
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

const [command, ...args] = process.argv.slice(2);
if (command === 'doctor') {
  const [{ runDoctor }, { systemClock }, { parseSettings }, { parseEnvFile }] = await Promise.all([
    import('./doctor/command.ts'),
    import('./lib/clock.ts'),
    import('./config/load.ts'),
    import('./config/env-file.ts'),
  ]);
  const exitCode = await runDoctor({
    args,
    readSettings: () => parseSettings(readEnvironment(parseEnvFile), readFile),
    clock: systemClock,
    lookUp: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
    write: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
  }).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
    return EXIT_SOFTWARE;
  });
  process.exit(exitCode);
}
if (command !== undefined) {
  process.stderr.write(
    'participant-gateway accepts no arguments: its settings come from the environment and .env. See also: participant-gateway doctor --help\n',
  );
  process.exit(2);
}

const [{ parseSettings, SettingsError }, { parseEnvFile }] = await Promise.all([
  import('./config/load.ts'),
  import('./config/env-file.ts'),
]);

function readSettings(): Settings {
  try {
    return parseSettings(readEnvironment(parseEnvFile), readFile);
  } catch (error) {
    if (error instanceof SettingsError) fail(error.message);
    throw error;
  }
}

// Before all the rest is loaded: faulty settings are told at once.
const settings = readSettings();

const [
  { systemClock },
  { createGateway, GRAPHQL_PATH },
  { monitorProcess },
  { createBufferedDestination, createLog, createPrettyDestination },
  { logEvents },
  { TrustedDocumentsError },
] = await Promise.all([
  import('./lib/clock.ts'),
  import('./app.ts'),
  import('./server/process-monitor.ts'),
  import('./telemetry/log.ts'),
  import('./telemetry/log-events.ts'),
  import('./graphql/trusted-documents-file.ts'),
]);

const pretty = (settings.logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json')) === 'pretty';
const destination = pretty
  ? await createPrettyDestination(process.stdout)
  : createBufferedDestination((task) => void process.once('exit', task));
const log = createLog(settings.logLevel, destination);

/** A signal that comes so soon after the first is the same one: npm passes on what the terminal sent to all. */
const SAME_SIGNAL_MS = 500;
/** By then the first token was asked for, which more is loaded for. */
const LATE_MODULES_MS = 1_000;
/** A fault can come again and again while the process ends. */
const MAX_FAULTS_LOGGED = 10;

let running: Gateway | undefined;
let endingSince: number | undefined;
let exitCode = 0;
let faults = 0;

/** Lets what is under way finish, then exits. */
async function end(noticeMs?: number): Promise<never> {
  endingSince = systemClock.now();
  await running?.close(noticeMs).catch((error: unknown) => onFault(error, 'shutdown failed'));
  log.info('stopped');
  process.exit(exitCode);
}

function stop(signal: NodeJS.Signals): void {
  if (endingSince === undefined) {
    log.info({ signal }, 'shutting down');
    // There is no balancer to wait for where somebody presses Ctrl+C.
    void end(signal === 'SIGINT' ? 0 : undefined);
  } else if (systemClock.now() - endingSince > SAME_SIGNAL_MS) {
    // A person who presses Ctrl+C again does not want to wait.
    process.exit(signal === 'SIGINT' ? 130 : 143);
  }
}

/** What nobody handled may have left anything behind, so the process ends; but nobody's request with it. */
function onFault(error: unknown, message: string): void {
  faults += 1;
  exitCode = 1;
  if (faults <= MAX_FAULTS_LOGGED) log.fatal({ err: error }, message);
  if (running === undefined) process.exit(exitCode);
  if (endingSince === undefined) void end();
}
process.on('uncaughtException', (error) => onFault(error, 'uncaught exception: shutting down'));
process.on('unhandledRejection', (error) => onFault(error, 'unhandled rejection: shutting down'));
process.on('SIGTERM', stop);
process.on('SIGINT', stop);

const telemetry = logEvents(log, destination);
const monitor = monitorProcess({
  clock: systemClock,
  telemetry,
  openFile: async () => (await open(devNull)).close(),
});
const gateway = await createGateway({
  settings,
  clock: systemClock,
  telemetry,
  readiness: monitor.checks,
}).catch((error: unknown) => {
  if (!(error instanceof TrustedDocumentsError)) throw error;
  return fail(`TRUSTED_DOCUMENTS ${settings.trustedDocuments} is faulty. ${error.message}`);
});
running = gateway;

const origin = await gateway.listen().catch((error: unknown) => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return fail(
    `Cannot listen on HOST ${settings.host}, PORT ${settings.port} (${code}): take another.`,
  );
});
monitor.begin();
const { unknownVariables: variables } = settings;
if (variables.length > 0) log.warn({ variables }, 'variables look like settings, and are none');
const endpoint = new URL(GRAPHQL_PATH, origin).href;
log.info(
  { graphql: endpoint, upstream: settings.participantService?.url.origin ?? 'sandbox' },
  'listening',
);
if (settings.participantService === undefined) process.stdout.write(sandboxGreeting());

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
