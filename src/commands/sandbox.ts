import type { Clock } from '../lib/clock.ts';
import { startSandbox } from '../sandbox/sandbox.ts';

/** What `sandbox` has of the process. */
export interface SandboxOptions {
  /** The variable PORT. */
  port: string | undefined;
  clock: Clock;
  /** Resolves when the process is told to end. */
  stopped: () => Promise<void>;
  /** To standard output. */
  write: (text: string) => void;
  /** To standard error. */
  writeError: (text: string) => void;
}

/** Beside a gateway, which is on 4000. */
const DEFAULT_PORT = '4001';

/**
 * Runs the sandbox alone until the process is told to end, and prints the settings of a gateway that uses it.
 * Resolves to the exit code: 1 when the port cannot be had.
 */
export async function runSandbox(options: SandboxOptions): Promise<number> {
  const { port, clock, stopped, write, writeError } = options;
  const chosen = port || DEFAULT_PORT;
  const sandbox = await startSandbox({ clock, port: Number(chosen) }).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    writeError(`The sandbox cannot listen on PORT ${chosen} (${code}): take another.\n`);
  });
  if (sandbox === undefined) return 1;
  write(`The sandbox listens. For a gateway that uses it as it would use a tenant:

PARTICIPANT_SERVICE_URL=${sandbox.url.origin}
PARTICIPANT_SERVICE_TENANT_ID=${sandbox.tenantId}
TOKEN_CLIENT_ID=${sandbox.credentials.clientId}
TOKEN_CLIENT_SECRET=${sandbox.credentials.clientSecret}
`);
  await stopped();
  await sandbox.close();
  return 0;
}
