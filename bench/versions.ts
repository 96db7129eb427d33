import { readFileSync } from 'node:fs';
import { LOADER } from './load.ts';
import type { SliceOptions } from './slices.ts';
import type { Stage } from './stage.ts';
import { CONNECTIONS } from './workloads.ts';

const NAMES: Readonly<Record<string, string>> = {
  mercurius: 'Mercurius',
  '@apollo/server': 'Apollo Server',
  'graphql-yoga': 'Yoga',
  undici: 'undici',
};

/** What measures, and how, as text: the versions, the upstream, the load and its times. */
export function describeSetup(
  { upstream, loadCore }: Stage,
  { rounds, seconds }: SliceOptions,
): string {
  const where = loadCore === undefined ? '; one core for load and server' : '';
  return `${describeVersions()}; upstream ${upstream.kind}, load ${LOADER} with ${CONNECTIONS} connections, median of ${rounds} × ${seconds} s${where}`;
}

function describeVersions(): string {
  const lock: { packages: Record<string, { version?: string }> } = JSON.parse(
    readFileSync(new URL('package-lock.json', import.meta.url), 'utf8'),
  );
  const versions = Object.entries(NAMES).map(
    ([name, label]) => `${label} ${lock.packages[`node_modules/${name}`]?.version ?? '?'}`,
  );
  return [`Node ${process.versions.node}`, ...versions].join(', ');
}
