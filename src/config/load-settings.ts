import type { Clock } from '../lib/clock.ts';
import type { ReadFile } from './files.ts';
import { ownEnvironment, parseSettings, SettingsError } from './load.ts';
import type { Settings } from './settings.ts';
import type { Environment } from './variables.ts';

/**
 * Reads the settings as {@link parseSettings} does. Where they are faulty, what is wrong with the files of TENANTS_DIR
 * is told in the same {@link SettingsError}; else these are for `tenants-directory.ts`.
 */
export async function loadSettings(
  environment: Environment,
  readFile: ReadFile,
  clock: Clock,
): Promise<Settings> {
  try {
    return parseSettings(environment, readFile);
  } catch (error) {
    const own = ownEnvironment(environment);
    const directory = own['TENANTS_DIR'];
    if (!(error instanceof SettingsError) || directory === undefined) throw error;
    const lines = error.message.split('\n');
    for (const message of await faultsOfTenants({ directory, environment: own, clock })) {
      const [heading = '', ...others] = message.split('\n');
      // A faulty variable of the environment is one of each tenant, too.
      const news = others.filter((line) => !lines.includes(line));
      if (news.length > 0) lines.push(...(lines.includes(heading) ? [] : [heading]), ...news);
    }
    throw new SettingsError(lines.join('\n'));
  }
}

async function faultsOfTenants(
  location: Parameters<typeof import('./tenants-directory.ts').readTenantsDirectory>[0],
): Promise<string[]> {
  const { readTenantsDirectory } = await import('./tenants-directory.ts');
  try {
    return [...(await readTenantsDirectory(location)).faults.values()];
  } catch (error) {
    if (error instanceof SettingsError) return [error.message];
    throw error;
  }
}
