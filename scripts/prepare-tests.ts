/**
 * Brings what the tests need besides the root's packages, all at once: the packages of the bench and the
 * examples, the oldest Node.js that is supported, Chromium for the tests in a browser, nginx for those of
 * `deploy/nginx`, promtool for those of the alerts, and redis-server for those of replicas. The programs are taken from
 * Debian's packages where they are missing and this may be done (root, apt-get, and TEST_SYSTEM is not off), which is
 * said before; where it may not, their tests are left out, and the test run says so.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findChromium } from './find-chromium.ts';
import { findNginx, NGINX_FOLDER } from './find-nginx.ts';
import { findPromtool, PROMTOOL_FOLDER } from './find-promtool.ts';
import { findRedis, REDIS_FOLDER } from './find-redis.ts';

async function run(command: string, args: string[], cwd?: string): Promise<boolean> {
  const [code] = await once(spawn(command, args, { stdio: 'inherit', cwd }), 'close');
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

const QUIETLY = ['-qq', '-o', 'Dpkg::Use-Pty=0'];

async function installDebianPackages(): Promise<void> {
  const wanted = [
    { name: 'chromium', find: findChromium, install: installChromium },
    {
      name: 'nginx',
      find: findNginx,
      install: () => unpack('nginx', './usr/sbin/nginx', NGINX_FOLDER),
    },
    {
      name: 'promtool',
      find: findPromtool,
      install: () => unpack('prometheus', './usr/bin/promtool', PROMTOOL_FOLDER),
    },
    { find: findRedis, install: unpackRedis },
  ].filter(({ find }) => find() === undefined);
  if (wanted.length === 0) return;
  const isOff = process.env['TEST_SYSTEM'] === 'off';
  if (isOff || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  const names = wanted.map(({ name }) => name).join(', ');
  process.stdout.write(
    `Taken from Debian's packages by apt-get, for the tests: ${names}. Chromium is installed, the others are unpacked below node_modules/.cache. TEST_SYSTEM=off leaves this out.\n`,
  );
  await run('apt-get', ['update', ...QUIETLY]);
  for (const { install } of wanted) await install();
}

async function installChromium(): Promise<void> {
  process.stdout.write('Installing Chromium for the browser tests.\n');
  const install = ['install', '-y', '--no-install-recommends', ...QUIETLY];
  // Chromium with its windows is much larger, and all that older releases have.
  if (await run('apt-get', [...install, 'chromium-headless-shell'])) return;
  await run('apt-get', [...install, 'chromium']);
}

/** redis-server is a link to a program of redis-tools, and needs two libraries that few machines have. */
async function unpackRedis(): Promise<void> {
  await unpack('redis-server', './usr/bin/redis-server', REDIS_FOLDER);
  await unpack('redis-tools', './usr/bin/redis-check-rdb', REDIS_FOLDER);
  await unpack('liblzf1', './usr/lib', REDIS_FOLDER);
  await unpack('libjemalloc2', './usr/lib', REDIS_FOLDER);
}

/** Takes a part of a Debian package out of it. It is not installed: that would start a server, now and with the machine. */
async function unpack(name: string, part: string, folder: string): Promise<void> {
  process.stdout.write(`Unpacking ${part} of Debian's package ${name}, for the tests.\n`);
  mkdirSync(folder, { recursive: true });
  if (!(await run('apt-get', ['download', name, ...QUIETLY], folder))) return;
  const extract =
    'for deb in *.deb; do dpkg-deb --fsys-tarfile "$deb" | tar --extract "$0"; rm "$deb"; done';
  await run('sh', ['-c', extract, part], folder);
}

const examples = readdirSync(new URL('../examples/', import.meta.url));
await Promise.all([
  installDebianPackages(),
  ...['bench', 'test/oldest-node', ...examples.map((name) => `examples/${name}`)].map(
    installPackages,
  ),
]);
