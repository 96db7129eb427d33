import { SettingsError } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import { readTenantsDirectory } from '../config/tenants-directory.ts';
import type { Clock } from '../lib/clock.ts';

/** Whose settings are examined; what is wrong with them; or why it is not clear whose. */
type Chosen = { settings: Settings } | { fault: SettingsError } | { unclear: string };

/** The settings of the one tenant that there is, or with TENANTS_DIR of the one of that name. */
export async function chooseTenant(
  name: string | undefined,
  readSettings: () => Settings | Promise<Settings>,
  clock: Clock,
): Promise<Chosen> {
  try {
    const settings = await readSettings();
    if (settings.tenants === undefined) {
      return name === undefined
        ? { settings }
        : { unclear: '--tenant is for many tenants, and TENANTS_DIR is not set.' };
    }
    const { tenants, faults } = await readTenantsDirectory({ ...settings.tenants, clock });
    const tenant = tenants.get(name ?? '');
    if (tenant !== undefined) {
      const { unknownVariables } = settings;
      return { settings: { ...tenant.settings, unknownVariables } };
    }
    const fault = faults.get(name ?? '');
    if (fault !== undefined) return { fault: new SettingsError(fault) };
    const names = [...tenants.keys(), ...faults.keys()].sort().map(toPrintable).join(', ');
    const why =
      name === undefined ? 'There are many tenants' : `There is no tenant ${JSON.stringify(name)}`;
    return { unclear: `${why}: name one with --tenant, of ${names}.` };
  } catch (error) {
    if (error instanceof SettingsError) return { fault: error };
    throw error;
  }
}

/** What is no name of a tenant, but of a file that is faulty. */
function toPrintable(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : JSON.stringify(name);
}
