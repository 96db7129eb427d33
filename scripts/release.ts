/**
 * Makes what a release consists of, in `release/` or the folder that is named: the package, its bill of materials
 * (CycloneDX), the notes out of CHANGELOG.md, and the checksums of these (SHA-256, for `sha256sum --check`). Publishes
 * nothing. docs/releasing.md is the way there.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

async function outputOf(cwd: string, command: string, ...args: string[]): Promise<string> {
  const options = { cwd, maxBuffer: MAX_OUTPUT_BYTES };
  return (await promisify(execFile)(command, args, options)).stdout;
}

/** The text below the heading of a version; undefined where it has none. */
function sectionOf(changelog: string, version: string): string | undefined {
  const sections = changelog.split(/^## /m);
  return sections.find((text) => text.startsWith(`[${version}]`))?.replace(/^.*\n/, '');
}

interface Lock {
  packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
}

/**
 * Of what is locked for production. npm is asked where nothing else is: what production and development share,
 * graphql for one, it leaves out with `--omit=dev`. It names the root after its folder.
 */
async function billOfMaterials(name: string): Promise<string> {
  const temporary = await mkdtemp(join(tmpdir(), 'bill-'));
  try {
    const folder = join(temporary, name);
    await mkdir(folder);
    const { devDependencies: _, ...manifest } = await readJson('package.json');
    const lock: Lock = await readJson('package-lock.json');
    const locked = Object.entries(lock.packages).filter(
      ([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional,
    );
    const packages = { '': manifest, ...Object.fromEntries(locked) };
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ ...lock, packages }));
    const format = ['--sbom-format=cyclonedx', '--sbom-type=application'];
    return await outputOf(folder, 'npm', 'sbom', '--package-lock-only', ...format);
  } finally {
    await rm(temporary, { recursive: true });
  }
}

/** Without the source maps of its dependencies: a sixth of its bytes, and nobody debugs their sources. */
async function pack(destination: string): Promise<void> {
  const temporary = await mkdtemp(join(tmpdir(), 'pack-'));
  try {
    await outputOf(ROOT, 'npm', 'pack', '--pack-destination', temporary);
    const [tarball = ''] = await readdir(temporary);
    await outputOf(temporary, 'tar', '-xzf', tarball);
    const unpacked = join(temporary, 'package');
    for (const path of await readdir(unpacked, { recursive: true })) {
      if (path.endsWith('.map')) await rm(join(unpacked, path));
    }
    await outputOf(unpacked, 'npm', 'pack', '--ignore-scripts', '--pack-destination', destination);
  } finally {
    await rm(temporary, { recursive: true });
  }
}

async function readJson(path: string) {
  return JSON.parse(await readFile(join(ROOT, path), 'utf8'));
}

const folder = resolve(process.argv[2] ?? join(ROOT, 'release'));
const { name, version } = await readJson('package.json');
const changelog = await readFile(join(ROOT, 'CHANGELOG.md'), 'utf8');
const dated = sectionOf(changelog, version);
const notes = (dated ?? sectionOf(changelog, 'Unreleased') ?? '').trim();
if (notes === '') {
  process.stderr.write(`CHANGELOG.md says nothing of ${version}.\n`);
  process.exit(1);
}

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
await pack(folder);
const files = [`${name}-${version}.tgz`, `${name}-${version}.cdx.json`, 'NOTES.md'] as const;
const [, bill, release] = files;
await writeFile(join(folder, bill), await billOfMaterials(name));
await writeFile(join(folder, release), `# ${name} ${version}\n\n${notes}\n`);
const sums = files.map(async (file) => {
  const bytes = await readFile(join(folder, file));
  return `${createHash('sha256').update(bytes).digest('hex')}  ${file}\n`;
});
await writeFile(join(folder, 'SHA256SUMS'), (await Promise.all(sums)).join(''));

process.stdout.write(`${[...files, 'SHA256SUMS'].map((file) => join(folder, file)).join('\n')}\n`);
if (dated === undefined) {
  process.stdout.write(
    `A rehearsal: CHANGELOG.md has no section [${version}] yet, so the notes are what is Unreleased.\n`,
  );
}
