/**
 * Brings what the tests need besides the root's packages, all at once: the packages of the bench and the
 * examples, the oldest Node.js that is supported, and Chromium for the tests in a browser. Chromium is taken from Debian's packages where it is
 * missing and this may be done (root, apt-get); where it may not, the browser tests say that they were
 * left out.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findChromium } from './find-chromium.ts';

async function run(command: string, args: string[]): Promise<boolean> {
  const [code] = await once(spawn(command, args, { stdio: 'inherit' }), 'close');
  return code === 0;
}

/** npm writes the file into node_modules when an install is complete. */
function isInstalled(folder: URL): boolean {
  const installed = new URL('node_modules/.package-lock.json', folder);
  const lock = new URL('package-lock.json', folder);
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
}

async function installPackages(name: string): Promise<void> {
  const folder = new URL(`../${name}/`, import.meta.url);
  if (isInstalled(folder)) return;
  process.stdout.write(`Installing the packages of ${name}.\n`);
  if (!(await run('npm', ['ci', '--no-audit', '--prefix', fileURLToPath(folder)]))) process.exit(1);
}

async function installChromium(): Promise<void> {
  if (findChromium() !== undefined) return;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  process.stdout.write('Installing Chromium for the browser tests.\n');
  const quietly = ['-qq', '-o', 'Dpkg::Use-Pty=0'];
  await run('apt-get', ['update', ...quietly]);
  const install = ['install', '-y', '--no-install-recommends', ...quietly];
  // Chromium with its windows is much larger, and all that older releases have.
  if (await run('apt-get', [...install, 'chromium-headless-shell'])) return;
  await run('apt-get', [...install, 'chromium']);
}

const examples = readdirSync(new URL('../examples/', import.meta.url));
await Promise.all([
  installChromium(),
  ...['bench', 'test/oldest-node', ...examples.map((name) => `examples/${name}`)].map(
    installPackages,
  ),
]);
