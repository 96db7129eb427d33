import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

interface LockedPackage {
  dev?: boolean;
  devOptional?: boolean;
  version?: string;
  hasInstallScript?: boolean;
  resolved?: string;
  integrity?: string;
  link?: boolean;
}

/** The gateway, and what comes with it as packages of their own. */
const WITH_GRAPHQL = [
  '../../',
  '../../examples/clients/',
  '../../examples/supergraph/',
  '../../bench/',
];
const FOLDERS = [...WITH_GRAPHQL, '../oldest-node/'];

/** The licences, by their SPDX names, that ask for no more than to be named. */
const LICENCES = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
]);

async function lockedPackages(folder: string): Promise<[path: string, locked: LockedPackage][]> {
  const text = await readFile(new URL(`${folder}package-lock.json`, import.meta.url), 'utf8');
  const { packages }: { packages: Record<string, LockedPackage> } = JSON.parse(text);
  return Object.entries(packages).filter(([path]) => path !== '');
}

test.each(WITH_GRAPHQL)(
  '66: %s has one copy of graphql, of at least 16.15 and not 17',
  async (folder) => {
    const copies = (await lockedPackages(folder)).filter(([path]) =>
      path.endsWith('node_modules/graphql'),
    );
    expect(copies.map(([path]) => path)).toEqual(['node_modules/graphql']);
    const [major, minor] = copies[0]?.[1].version?.split('.').map(Number) ?? [];
    expect(major).toBe(16);
    expect(minor).toBeGreaterThanOrEqual(15);
  },
);

test.each(FOLDERS)('66: %s has install scripts of no packages but those named', async (folder) => {
  const manifest = JSON.parse(
    await readFile(new URL(`${folder}package.json`, import.meta.url), 'utf8'),
  );
  const scripted = (await lockedPackages(folder))
    .filter(([, locked]) => locked.hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
  // fsevents is for another system than Linux: optional, and its script only runs there.
  expect(scripted.filter((name) => name !== 'fsevents')).toEqual(
    Object.keys(manifest.allowScripts ?? {}),
  );
});

test.each(FOLDERS)(
  '66: %s has a digest for every locked package, and no address',
  async (folder) => {
    for (const [path, locked] of await lockedPackages(folder)) {
      expect([path, locked.resolved, typeof locked.integrity]).toEqual([path, undefined, 'string']);
    }
  },
);

test('66: what runs in production is under MIT, ISC, BSD, Apache-2.0 or a licence like them', async () => {
  const installed = (await lockedPackages('../../'))
    .filter(([, { dev, devOptional }]) => !dev && !devOptional)
    .map(async ([path]) => {
      const file = new URL(`../../${path}/package.json`, import.meta.url);
      const { name, version, license } = JSON.parse(await readFile(file, 'utf8'));
      return { name, version, license };
    });
  const packages = await Promise.all(installed);
  expect(packages.length).toBeGreaterThan(50);
  expect(packages.filter(({ license }) => !LICENCES.has(license))).toEqual([]);
});
