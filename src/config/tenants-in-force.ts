import { setImmediate } from 'node:timers/promises';
import { describeFaults } from './judge-variables.ts';
import { SettingsError } from './load.ts';
import { TenantConflicts } from './tenant-conflicts.ts';
import type { TenantFileContent } from './tenant-file-reader.ts';
import { faultyTenantFile, parseTenantSettings, type TenantSettings } from './tenant-settings.ts';
import type { Environment } from './variables.ts';

/** What comes of a change of the files. */
export interface TenantListener {
  /** A tenant is in force from now on: a new one, or another self of it. Undefined: its file was removed. */
  onChanged(name: string, tenant: TenantSettings | undefined): void;
  /** Once for each change that is faulty. The name is undefined where the directory itself cannot be read. */
  onFault(name: string | undefined, message: string): void;
  /** What was faulty is so no longer, after `onChanged` where that is told. */
  onRepaired(name: string | undefined): void;
}

/** A file, and what it says on its own: its settings, or what is wrong. */
interface JudgedFile {
  readonly digest: string;
  readonly parsed: TenantSettings | string;
}

/** The tenants that are in force: of each the last self that was good. */
export class TenantsInForce {
  readonly tenants = new Map<string, TenantSettings>();
  /** What is wrong with a file now, by the tenant's name. */
  readonly faults = new Map<string, string>();
  readonly #environment: Environment;
  readonly #listener: TenantListener;
  /** What was judged last, by the tenant's name. */
  readonly #judged = new Map<string, JudgedFile>();
  /** Of what those in force were made of. */
  readonly #inForce = new Map<string, string>();

  constructor(environment: Environment, listener: TenantListener) {
    this.#environment = environment;
    this.#listener = listener;
  }

  /** Removes those that have no file any more, and returns their names. */
  removeOthersThan(names: readonly string[]): string[] {
    const present = new Set(names);
    const removed = [...this.#judged.keys()].filter((name) => !present.has(name));
    for (const name of removed) {
      this.#judged.delete(name);
      this.#inForce.delete(name);
      if (this.tenants.delete(name)) this.#listener.onChanged(name, undefined);
      if (this.faults.delete(name)) this.#listener.onRepaired(name);
    }
    return removed;
  }

  /**
   * Judges files, by the tenants' names; what is the same as before is passed over, unless it was faulty: that may
   * have been another's fault. What changed together is judged together, in this order, so that a Host can go from
   * one tenant to another. Requests have their turns in between.
   */
  async judge(files: ReadonlyMap<string, TenantFileContent>): Promise<void> {
    const news = new Map<string, JudgedFile>();
    for (const [name, content] of files) {
      const { digest } = content;
      const known = this.#judged.get(name);
      if (known?.digest === digest) {
        if (this.faults.has(name)) news.set(name, known);
        continue;
      }
      news.set(name, { digest, parsed: this.#parse(name, content) });
      await setImmediate();
    }
    const found = new Map([...news].map(([name, { parsed }]) => [name, parsed]));
    this.#findConflicts(found);
    for (const [name, file] of news) {
      const tenant = found.get(name) ?? file.parsed;
      if (typeof tenant === 'string') this.#tellFault(name, file.digest, tenant);
      else this.#putInForce(file.digest, tenant);
      this.#judged.set(name, file);
    }
  }

  /** The settings, or what is wrong. */
  #parse(name: string, { text, fault, readFile }: TenantFileContent): TenantSettings | string {
    if (fault !== undefined) return faultyTenantFile(name, [`It ${fault}`]).message;
    try {
      return parseTenantSettings(name, text, this.#environment, readFile);
    } catch (error) {
      if (error instanceof SettingsError) return error.message;
      throw error;
    }
  }

  /**
   * Puts what is wrong in the place of those that are in conflict with others. Whose new self is faulty keeps its old
   * one, with which others may be in conflict then: so until nothing changes.
   */
  #findConflicts(found: Map<string, TenantSettings | string>): void {
    let isAgain: boolean;
    do {
      isAgain = false;
      const conflicts = new TenantConflicts();
      for (const [name, tenant] of this.tenants) {
        const next = found.get(name);
        if (next === undefined || typeof next === 'string') conflicts.add(tenant);
      }
      for (const [name, tenant] of found) {
        if (typeof tenant === 'string') continue;
        const faults = conflicts.of(tenant);
        if (faults.length === 0) {
          conflicts.add(tenant);
          continue;
        }
        found.set(name, faultyTenantFile(name, describeFaults(new Map(faults))).message);
        isAgain ||= this.tenants.has(name);
      }
    } while (isAgain);
  }

  #putInForce(digest: string, tenant: TenantSettings): void {
    const { name } = tenant;
    if (this.#inForce.get(name) !== digest) {
      this.tenants.set(name, tenant);
      this.#inForce.set(name, digest);
      this.#listener.onChanged(name, tenant);
    }
    if (this.faults.delete(name)) this.#listener.onRepaired(name);
  }

  #tellFault(name: string, digest: string, fault: string): void {
    const isTold = this.faults.get(name) === fault && this.#judged.get(name)?.digest === digest;
    this.faults.set(name, fault);
    if (!isTold) this.#listener.onFault(name, fault);
  }
}
