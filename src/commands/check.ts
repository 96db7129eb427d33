import { createGateway } from '../app.ts';
import { SettingsError } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import type { Clock } from '../lib/clock.ts';

/** What `check` has of the process. */
export interface CheckOptions {
  /** Throws a {@link SettingsError} when they are faulty. */
  readSettings: () => Settings;
  clock: Clock;
  /** To standard output. */
  write: (text: string) => void;
  /** To standard error. */
  writeError: (text: string) => void;
}

/**
 * Judges the settings, and the files that they name, as a start would: it does all that a start does before it
 * listens. No call is made. Resolves to 0 when a gateway would start with them, else to 1; what is wrong is
 * written as the start would write it.
 */
export async function runCheck(options: CheckOptions): Promise<number> {
  const { readSettings, clock, write, writeError } = options;
  try {
    const settings = { ...readSettings(), metrics: undefined };
    const gateway = await createGateway({ settings, clock, telemetry: {} });
    await gateway.close(0);
    const { participantService: service, host, port } = settings;
    const upstream =
      service === undefined
        ? 'the sandbox, as no PARTICIPANT_SERVICE_URL is set'
        : `tenant ${service.tenantId} at ${service.url.origin}`;
    write(`The settings are good: ${upstream}; HOST ${host}, PORT ${port}.\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    writeError(`${error.message}\n`);
    return 1;
  }
}
