import { accessSync, constants, statSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';

// Before anything else is loaded: the second start finds its code compiled, and is twice as fast.
enableCompileCache();
const [
  { systemClock },
  { createGateway, GRAPHQL_PATH },
  { createBufferedDestination, createLog, createPrettyDestination },
  settingsFile,
  { TrustedDocumentsError },
] = await Promise.all([
  import('./clock.ts'),
  import('./gateway.ts'),
  import('./log.ts'),
  import('./settings.ts'),
  import('./graphql/trusted-documents-file.ts'),
]);
const { parseSettings, SettingsError } = settingsFile;

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function canRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function readSettings() {
  try {
    process.loadEnvFile();
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!missing) fail('The file .env is there, but cannot be read.');
  }
  try {
    return parseSettings(process.env, canRead);
  } catch (error) {
    if (error instanceof SettingsError) fail(error.message);
    throw error;
  }
}

const settings = readSettings();
const pretty = (settings.logFormat ?? (process.stdout.isTTY ? 'pretty' : 'json')) === 'pretty';
const log = createLog(
  settings.logLevel,
  pretty ? await createPrettyDestination(process.stdout) : createBufferedDestination(),
);

function die(error: unknown, message: string): never {
  log.fatal({ err: error }, message);
  process.exit(1);
}
process.on('uncaughtException', (error) => die(error, 'uncaught exception'));
process.on('unhandledRejection', (error) => die(error, 'unhandled rejection'));

const gateway = await createGateway({ settings, clock: systemClock, log }).catch(
  (error: unknown) => {
    if (!(error instanceof TrustedDocumentsError)) throw error;
    return fail(`TRUSTED_DOCUMENTS ${settings.trustedDocuments} is faulty. ${error.message}`);
  },
);
/** A signal that comes so soon after the first is the same one: npm passes on what the terminal sent to all. */
const SAME_SIGNAL_MS = 500;
let stoppingSince: number | undefined;
async function stop(signal: NodeJS.Signals): Promise<void> {
  if (stoppingSince !== undefined) {
    // A person who presses Ctrl+C again does not want to wait.
    if (systemClock.now() - stoppingSince > SAME_SIGNAL_MS)
      process.exit(signal === 'SIGINT' ? 130 : 143);
    return;
  }
  stoppingSince = systemClock.now();
  log.info({ signal }, 'shutting down');
  // There is no balancer to wait for where somebody presses Ctrl+C.
  await gateway.close(signal === 'SIGINT' ? 0 : undefined);
  log.info('stopped');
  process.exit(0);
}
process.on('SIGTERM', (signal) => void stop(signal));
process.on('SIGINT', (signal) => void stop(signal));

const origin = await gateway.listen().catch((error: unknown) => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return fail(
    `Cannot listen on HOST ${settings.host}, PORT ${settings.port} (${code}): take another.`,
  );
});
const endpoint = new URL(GRAPHQL_PATH, origin).href;
log.info(
  { graphql: endpoint, upstream: settings.participantService?.url.origin ?? 'sandbox' },
  'listening',
);
if (settings.participantService === undefined) process.stdout.write(sandboxGreeting());

// Not left to the exit, which may be a kill.
flushCompileCache();

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
