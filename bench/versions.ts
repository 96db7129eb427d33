import { readFileSync } from 'node:fs';

const NAMES: Readonly<Record<string, string>> = {
  mercurius: 'Mercurius',
  '@apollo/server': 'Apollo Server',
  'graphql-yoga': 'Yoga',
  undici: 'undici',
};

/** The versions that are measured, as text. */
export function describeVersions(): string {
  const lock: { packages: Record<string, { version?: string }> } = JSON.parse(
    readFileSync(new URL('package-lock.json', import.meta.url), 'utf8'),
  );
  const versions = Object.entries(NAMES).map(
    ([name, label]) => `${label} ${lock.packages[`node_modules/${name}`]?.version ?? '?'}`,
  );
  return [`Node ${process.versions.node}`, ...versions].join(', ');
}
