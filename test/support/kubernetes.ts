import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

const manifestSchema = z.looseObject({ apiVersion: z.string(), kind: z.string() });

/** An object as it is sent to Kubernetes. */
export type Manifest = z.infer<typeof manifestSchema>;

const MODULES = fileURLToPath(new URL('../../node_modules/', import.meta.url));
const COMPILER = join(MODULES, 'typescript7/bin/tsc');
const OPTIONS =
  '--ignoreConfig --noEmit --strict --allowJs --checkJs --skipLibCheck --pretty false --module nodenext --target es2024';

/** Throws when it is none. */
export function decodeManifest(value: unknown): Manifest {
  return manifestSchema.parse(value);
}

/**
 * What Kubernetes would refuse, by the schemas of `kubernetes-models`. They let members pass that they do not know,
 * its types do not: so a program that builds the manifests is compiled, and then run, up to the first fault.
 */
export async function findManifestFaults(manifests: readonly Manifest[]): Promise<string[]> {
  await mkdir(join(MODULES, '.cache'), { recursive: true });
  // Below node_modules, to find the package.
  const folder = await mkdtemp(join(MODULES, '.cache/manifests-'));
  try {
    const file = join(folder, 'manifests.mjs');
    await writeFile(file, manifests.map(toStatements).join(''));
    return [
      ...(await faultsOf([COMPILER, ...OPTIONS.split(' '), file])),
      ...(await faultsOf([file])),
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}

function toStatements({ apiVersion, kind, ...members }: Manifest, index: number): string {
  return `import * as models${index} from 'kubernetes-models/${apiVersion}';
new models${index}.${kind}(${JSON.stringify(members, null, 2)}).validate();
`;
}

/** What a program of Node's says is wrong; nothing when it ends well. */
async function faultsOf(args: string[]): Promise<string[]> {
  try {
    await promisify(execFile)(process.execPath, args);
    return [];
  } catch (error) {
    if (!(error instanceof Error && 'stdout' in error && 'stderr' in error)) throw error;
    const lines = `${error.stdout}${error.stderr}`.split('\n');
    return lines.flatMap((line) => /(?:^\w*Error\b.*|error TS\d+: .*)/.exec(line) ?? []);
  }
}
