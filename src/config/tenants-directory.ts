import { type FSWatcher, watch } from 'node:fs';
import type { Clock } from '../lib/clock.ts';
import { SettingsError } from './load.ts';
import { listTenantFiles, TenantFileReader } from './tenant-file-reader.ts';
import type { TenantSettings } from './tenant-settings.ts';
import { type TenantListener, TenantsInForce } from './tenants-in-force.ts';
import type { Environment } from './variables.ts';

/** The tenants of TENANTS_DIR, as its files are now. */
export interface TenantsDirectory {
  /** Those in force, by name. */
  readonly tenants: ReadonlyMap<string, TenantSettings>;
  /** What is wrong with a file now, by the tenant's name. Its old self, if there was one, stays in force. */
  readonly faults: ReadonlyMap<string, string>;
  /** Ends the watch. */
  close(): void;
}

/** Where the tenants are: see `TenantsSettings`. */
interface TenantsLocation {
  directory: string;
  environment: Environment;
  clock: Clock;
}

export interface TenantsDirectoryOptions extends TenantsLocation, TenantListener {}

/** The file system's events say that something changes, often before it has: they are gathered for so long. */
const GATHER_MS = 100;

/** No event tells of what a link leads to, nor of network file systems: so often everything is looked at. */
const LOOK_MS = 5_000;

/**
 * Reads all files, then watches them. What is found at the start is in `tenants` and `faults`, and not told to the
 * listener. Rejects with a {@link SettingsError} that names every fault where there is no good tenant, or the
 * directory cannot be read.
 */
export async function openTenantsDirectory(
  options: TenantsDirectoryOptions,
): Promise<TenantsDirectory> {
  const directory = new WatchedDirectory(options);
  await directory.start();
  const { tenants, faults } = directory;
  if (tenants.size > 0) {
    directory.watch();
    return directory;
  }
  throw new SettingsError([...faults.values()].join('\n'));
}

/** Reads all files once. Rejects with a {@link SettingsError} where the directory cannot be read, or has no file. */
export async function readTenantsDirectory(
  location: TenantsLocation,
): Promise<Pick<TenantsDirectory, 'tenants' | 'faults'>> {
  const directory = new WatchedDirectory({
    ...location,
    onChanged() {},
    onFault() {},
    onRepaired() {},
  });
  await directory.start();
  return directory;
}

class WatchedDirectory implements TenantsDirectory {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #listener: TenantListener;
  readonly #reader: TenantFileReader;
  readonly #inForce: TenantsInForce;
  /** It cannot be read. */
  #fault: string | undefined;
  /** Which directory is watched, where its path leads to now this one, now that. */
  #identity: string | undefined;
  #watcher: FSWatcher | undefined;
  /** What is found before and after is not told. */
  #isWatching = false;
  #isClosed = false;
  #isLooking = false;
  #isDue = false;
  #cancelLook = () => {};
  #cancelGather: (() => void) | undefined;

  constructor({ directory, environment, clock, ...listener }: TenantsDirectoryOptions) {
    this.#path = directory;
    this.#clock = clock;
    this.#listener = {
      onChanged: (name, tenant) => this.#isWatching && listener.onChanged(name, tenant),
      onFault: (name, message) => this.#isWatching && listener.onFault(name, message),
      onRepaired: (name) => this.#isWatching && listener.onRepaired(name),
    };
    this.#reader = new TenantFileReader({ directory, environment, clock });
    this.#inForce = new TenantsInForce(environment, this.#listener);
  }

  get tenants(): ReadonlyMap<string, TenantSettings> {
    return this.#inForce.tenants;
  }

  get faults(): ReadonlyMap<string, string> {
    return this.#inForce.faults;
  }

  /** The first look. Rejects with a {@link SettingsError} where there is nothing to judge. */
  async start(): Promise<void> {
    await this.#look();
    const fault =
      this.#fault ??
      (this.tenants.size + this.faults.size === 0
        ? 'TENANTS_DIR names a directory without tenants: each has a file <name>.json in it'
        : undefined);
    if (fault !== undefined) throw new SettingsError(`The settings are faulty:\n  ${fault}`);
  }

  watch(): void {
    this.#isWatching = true;
    this.#beginWatch();
    this.#lookLater();
  }

  close(): void {
    this.#isClosed = true;
    this.#isWatching = false;
    this.#watcher?.close();
    this.#cancelLook();
    this.#cancelGather?.();
  }

  /** Looks at everything once, and puts in force what is good. */
  async #look(): Promise<void> {
    const listed = await listTenantFiles(this.#path);
    if (this.#isClosed) return;
    this.#judgeDirectory('fault' in listed ? listed.fault : undefined);
    if ('fault' in listed) return;
    const { names, identity } = listed;
    if (this.#isWatching && (identity !== this.#identity || this.#watcher === undefined)) {
      this.#beginWatch();
    }
    this.#identity = identity;
    const files = await this.#reader.read(names, (name) => this.faults.has(name));
    if (this.#isClosed) return;
    for (const name of this.#inForce.removeOthersThan(names)) this.#reader.forget(name);
    await this.#inForce.judge(files);
  }

  /** While it cannot be read, all stays as it is: nobody removed a tenant. */
  #judgeDirectory(fault: string | undefined): void {
    if (fault === this.#fault) return;
    this.#fault = fault;
    if (fault === undefined) this.#listener.onRepaired(undefined);
    else this.#listener.onFault(undefined, fault);
  }

  /** Where there are no events to be had, the looks alone do it. */
  #beginWatch(): void {
    this.#watcher?.close();
    try {
      const watcher = watch(this.#path, { persistent: false }, () => this.#gather());
      watcher.on('error', () => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = undefined;
      });
      this.#watcher = watcher;
    } catch {
      this.#watcher = undefined;
    }
  }

  #gather(): void {
    this.#cancelGather ??= this.#clock.after(GATHER_MS, () => {
      this.#cancelGather = undefined;
      this.#lookNow();
    });
  }

  #lookLater(): void {
    this.#cancelLook = this.#clock.after(LOOK_MS, () => {
      this.#lookNow();
      this.#lookLater();
    });
  }

  /** One look at a time; what happens in it, another one sees. */
  #lookNow(): void {
    if (this.#isLooking) {
      this.#isDue = true;
      return;
    }
    this.#isLooking = true;
    void this.#look().finally(() => {
      this.#isLooking = false;
      if (!this.#isDue || this.#isClosed) return;
      this.#isDue = false;
      this.#lookNow();
    });
  }
}
