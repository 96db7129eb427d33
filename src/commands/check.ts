import { createGateway } from '../app.ts';
import { SettingsError } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import { readTenantsDirectory } from '../config/tenants-directory.ts';
import type { Clock } from '../lib/clock.ts';

/** What `check` has of the process. */
export interface CheckOptions {
  /** Throws a {@link SettingsError} when they are faulty. */
  readSettings: () => Settings | Promise<Settings>;
  clock: Clock;
  /** To standard output. */
  write: (text: string) => void;
  /** To standard error. */
  writeError: (text: string) => void;
}

/**
 * Judges the settings, and the files that they name, as a start would: it does all that a start does before it
 * listens. No call is made. Resolves to 0 when a gateway would start with them, and with every tenant of TENANTS_DIR,
 * else to 1; what is wrong is written as the start would write it.
 */
export async function runCheck(options: CheckOptions): Promise<number> {
  const { readSettings, clock, write, writeError } = options;
  try {
    const settings = { ...(await readSettings()), metrics: undefined };
    const tenants =
      settings.tenants && (await readTenantsDirectory({ ...settings.tenants, clock }));
    if (tenants !== undefined && tenants.faults.size > 0) {
      throw new SettingsError([...tenants.faults.values()].join('\n'));
    }
    const gateway = await createGateway({ settings, clock, telemetry: {} });
    await gateway.close(0);
    const { host, port } = settings;
    const served =
      tenants === undefined
        ? describeTenant(settings)
        : `${tenants.tenants.size} tenants of TENANTS_DIR`;
    write(`The settings are good: ${served}; HOST ${host}, PORT ${port}.\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    writeError(`${error.message}\n`);
    return 1;
  }
}

function describeTenant({ participantService: service }: Settings): string {
  return service === undefined
    ? 'the sandbox, as no PARTICIPANT_SERVICE_URL is set'
    : `tenant ${service.tenantId} at ${service.url.origin}`;
}
