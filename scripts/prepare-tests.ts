/**
 * Brings what the tests need besides the root's packages: the packages of the bench and the examples, and Chromium
 * for the tests in a browser. Chromium is taken from Debian's packages where it is missing and this
 * may be done (root, apt-get); where it may not, the browser tests say that they were left out.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findChromium } from './find-chromium.ts';

function run(command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'inherit' }).status === 0;
}

/** npm writes the file into node_modules when an install is complete. */
function isInstalled(folder: URL): boolean {
  const installed = new URL('node_modules/.package-lock.json', folder);
  const lock = new URL('package-lock.json', folder);
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
}

const root = new URL('../', import.meta.url);
const examples = readdirSync(new URL('examples/', root)).map((name) => `examples/${name}`);
for (const name of ['bench', ...examples]) {
  const folder = new URL(`${name}/`, root);
  if (isInstalled(folder)) continue;
  process.stdout.write(`Installing the packages of ${name}.\n`);
  if (!run('npm', ['ci', '--no-audit', '--prefix', fileURLToPath(folder)])) process.exit(1);
}

if (findChromium() === undefined && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
  process.stdout.write('Installing Chromium for the browser tests.\n');
  const quietly = ['-qq', '-o', 'Dpkg::Use-Pty=0'];
  run('apt-get', ['update', ...quietly]);
  run('apt-get', ['install', '-y', '--no-install-recommends', ...quietly, 'chromium']);
}
