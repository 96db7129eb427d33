import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

interface LockedPackage {
  version?: string;
  hasInstallScript?: boolean;
  resolved?: string;
  integrity?: string;
  link?: boolean;
}

async function lockedPackages(): Promise<[path: string, locked: LockedPackage][]> {
  const text = await readFile(new URL('../package-lock.json', import.meta.url), 'utf8');
  const { packages }: { packages: Record<string, LockedPackage> } = JSON.parse(text);
  return Object.entries(packages).filter(([path]) => path !== '');
}

test('66: there is one copy of graphql, of at least 16.15 and not 17', async () => {
  const copies = (await lockedPackages()).filter(([path]) => path.endsWith('node_modules/graphql'));
  expect(copies.map(([path]) => path)).toEqual(['node_modules/graphql']);
  const [major, minor] = copies[0]?.[1].version?.split('.').map(Number) ?? [];
  expect(major).toBe(16);
  expect(minor).toBeGreaterThanOrEqual(15);
});

test('66: only the packages that package.json names have install scripts', async () => {
  const manifest = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  const scripted = (await lockedPackages())
    .filter(([, locked]) => locked.hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
  // fsevents is for another system than Linux: optional, and its script only runs there.
  expect(scripted.filter((name) => name !== 'fsevents')).toEqual(
    Object.keys(manifest.allowScripts),
  );
});

test('66: every locked package has its digest, and none an address', async () => {
  for (const [path, locked] of await lockedPackages()) {
    expect([path, locked.resolved, typeof locked.integrity]).toEqual([path, undefined, 'string']);
  }
});
