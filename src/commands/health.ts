import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { SettingsError } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import type { Clock } from '../lib/clock.ts';
import { get } from '../lib/node-http.ts';

type Address = Pick<Settings, 'host' | 'port'>;

interface HealthOptions {
  /** What follows `health` on the command line. */
  args: readonly string[];
  /** Of the gateway that is asked. Throws a {@link SettingsError} when they are faulty. */
  readSettings: () => Address | Promise<Address>;
  clock: Clock;
  /** To standard output: what the gateway answered. */
  write: (text: string) => void;
  /** To standard error: that it did not, or what is wrong with the arguments. */
  writeError: (text: string) => void;
}

/** How long an answer is waited for. */
const LIMIT_MS = 2_000;

const HEALTH_USAGE = `participant-gateway health [--ready]

  Asks the gateway with the same settings, on this machine, whether it lives (/livez).

  --ready   whether it can serve requests (/readyz)

  Exit code: 0 it does, 1 it does not, or not within 2 s, 2 these arguments are not understood.
`;

/** Runs `health`, for supervisors that run a command where others ask over HTTP, and resolves to its exit code. */
export async function runHealth(options: HealthOptions): Promise<number> {
  const { args, readSettings, clock, write, writeError } = options;
  const [flag, ...others] = args;
  if (flag === '--help' || flag === '-h') {
    write(HEALTH_USAGE);
    return 0;
  }
  if ((flag !== undefined && flag !== '--ready') || others.length > 0) {
    writeError(HEALTH_USAGE);
    return 2;
  }
  const late = new AbortController();
  const cancelLimit = clock.after(LIMIT_MS, () => late.abort());
  try {
    const url = new URL(flag === '--ready' ? '/readyz' : '/livez', originOf(await readSettings()));
    const response = await ask(url, late.signal);
    write(await text(response));
    return response.statusCode === 200 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof SettingsError) writeError(`${error.message}\n`);
    else
      writeError(
        `The gateway does not answer: ${late.signal.aborted ? 'too late' : error.message}.\n`,
      );
    return 1;
  } finally {
    cancelLimit();
  }
}

/** With an agent of its own: the global one can be set up to use a proxy. */
function ask(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { signal, agent: false }, resolve).on('error', reject);
  });
}

/** Who listens on all addresses is asked on loopback. */
function originOf({ host, port }: Address): string {
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
