import type { ReadFile } from './files.ts';
import { type Environment, SettingsError } from './load.ts';
import type { Settings } from './settings.ts';

/** One tenant of TENANTS_DIR. */
export interface TenantSettings {
  /** That of its file, without `.json`. */
  readonly name: string;
  readonly settings: Settings;
}

/**
 * The settings of one tenant: those of its file, then of the environment, then the defaults. `others` are the tenants
 * that are in force, from which it has to differ. Throws a {@link SettingsError} that names every fault (nothing that
 * may be a secret).
 */
export function parseTenantSettings(
  name: string,
  _text: string,
  _environment: Environment,
  _readFile: ReadFile,
  _others: Iterable<TenantSettings>,
): TenantSettings {
  throw new SettingsError(`${name} is not judged yet`);
}
