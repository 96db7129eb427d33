import {
  chmod,
  copyFile,
  link,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningProgram, runCommand } from '../support/child-process.ts';

/*
 * The package as its users meet it: packed, installed in an empty folder without the registry (it brings its
 * dependencies), and run by somebody who may write nowhere but in the folder for temporary files.
 */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OLDEST = fileURLToPath(new URL('../oldest-node/node_modules/node/bin/node', import.meta.url));
const NODES = [
  { name: 'the oldest Node.js that is supported', executable: OLDEST },
  { name: 'the pinned Node.js', executable: process.execPath },
];
const { version, engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
const SDL = await readFile(join(ROOT, 'schema.graphql'), 'utf8');

/** Nobody, where the tests are run by root; else who runs them. */
const USER = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
/** To pack takes a build; to install, 7,000 files. */
const INSTALL_MS = 600_000;

interface Manifest {
  name: string;
  version: string;
}

let folder: string;
let released: string;
let packed: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'package-'));
  await chmod(folder, 0o755);
  released = join(folder, 'release');
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? folder };
  const run = async (cwd: string, ...command: string[]) => {
    await using program = runCommand(command, { cwd, env });
    expect([await program.exited, program.output()]).toEqual([0, expect.anything()]);
  };
  await run(ROOT, process.execPath, 'scripts/release.ts', released);
  // With it npm takes this folder for the package's, and looks no further up.
  await writeFile(join(folder, 'package.json'), '{"private":true}');
  const offline = ['--offline', '--omit=dev', '--no-audit'];
  await run(folder, 'npm', 'install', ...offline, `./release/participant-gateway-${version}.tgz`);
  packed = await readdir(join(folder, 'node_modules/participant-gateway'), { recursive: true });
}, INSTALL_MS);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The folder of a program `node` that everybody may run: the checkout may be where only root gets to. */
async function folderOf(executable: string): Promise<string> {
  const bin = await mkdtemp(join(folder, 'node-'));
  await chmod(bin, 0o755);
  const node = join(bin, 'node');
  await link(executable, node).catch(() => copyFile(executable, node));
  return bin;
}

test('the package has what was built, documents, and its dependencies, and nothing else', () => {
  const own = packed.filter((path) => !path.startsWith('node_modules'));
  expect([...new Set(own.map((path) => path.split('/')[0]))].toSorted()).toEqual([
    '.env.example',
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin',
    'dist',
    'docs',
    'package.json',
    'schema.graphql',
  ]);
  expect(own.filter((path) => /(?<!\.d)\.ts$|\.test\./.test(path))).toEqual([]);
});

test('unpacked, the package has less than 60 MiB, and no source maps of its dependencies', async () => {
  const root = join(folder, 'node_modules/participant-gateway');
  const sizes = packed.map(async (path) => (await stat(join(root, path))).size);
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(bytes).toBeLessThan(60 * 1024 * 1024);
  expect(packed.filter((path) => path.endsWith('.map'))).toEqual([]);
});

test('a release is the package, its bill of materials, notes, and their checksums', async () => {
  const files = [
    'NOTES.md',
    `participant-gateway-${version}.cdx.json`,
    `participant-gateway-${version}.tgz`,
  ];
  expect((await readdir(released)).toSorted()).toEqual([...files, 'SHA256SUMS'].toSorted());
  await using check = runCommand(['sha256sum', '--check', 'SHA256SUMS'], {
    cwd: released,
    env: { PATH: process.env['PATH'] },
  });
  expect(await check.exited).toBe(0);
  expect(check.output().split('\n').toSorted()).toEqual([
    '',
    ...files.map((file) => `${file}: OK`),
  ]);
  expect(await readFile(join(released, 'NOTES.md'), 'utf8')).toMatch(
    new RegExp(`^# participant-gateway ${version}\n\n### Added\n\n- `),
  );
});

test('the bill of materials names what is in the package, and no more', async () => {
  const bill = JSON.parse(
    await readFile(join(released, `participant-gateway-${version}.cdx.json`), 'utf8'),
  );
  expect(bill.metadata.component).toMatchObject({ name: 'participant-gateway', version });
  const named = bill.components.map(({ name, version }: Manifest) => `${name}@${version}`);
  const manifests = packed.filter((path) =>
    /(^|\/)node_modules\/(@[^/]+\/)?[^/@]+\/package\.json$/.test(path),
  );
  const bundled = manifests.map(async (path) => {
    const file = join(folder, 'node_modules/participant-gateway', path);
    const { name, version }: Manifest = JSON.parse(await readFile(file, 'utf8'));
    return `${name}@${version}`;
  });
  expect(named.toSorted()).toEqual([...new Set(await Promise.all(bundled))].toSorted());
});

test('a program that is typed finds the types of createGateway', async () => {
  const program = `import { createGateway, type Gateway, SettingsError } from 'participant-gateway';
const gateway: Gateway = await createGateway({ PORT: 0, GRAPHIQL: false, HOST: undefined });
const endpoint: URL = await gateway.start();
await gateway.stop(0);
// @ts-expect-error: no such setting
await createGateway({ PORTS: 1 });
console.log(endpoint.href, SettingsError.name);
`;
  await writeFile(join(folder, 'program.mts'), program);
  const compiler = join(ROOT, 'node_modules/typescript7/bin/tsc');
  const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types')];
  const modern = ['--strict', '--target', 'es2024', '--module', 'nodenext', '--ignoreConfig'];
  await using compiled = runCommand(
    [process.execPath, compiler, ...modern, ...types, '--noEmit', 'program.mts'],
    { cwd: folder, env: {} },
  );
  expect([await compiled.exited, compiled.output()]).toEqual([0, '']);
});

describe.each(NODES)('on $name, by a user who has no home', ({ executable }) => {
  let bin: string;
  beforeAll(async () => {
    bin = await folderOf(executable);
  });

  function run(
    command: readonly string[],
    environment: Record<string, string> = {},
  ): RunningProgram {
    const PATH = [bin, process.env['PATH']].join(delimiter);
    const npmrc = { npm_config_offline: 'true', npm_config_update_notifier: 'false' };
    const env = { PATH, HOME: '/nonexistent', ...npmrc, ...environment };
    return runCommand(command, { cwd: folder, env, ...USER });
  }
  const npx = (args: readonly string[], environment?: Record<string, string>) =>
    run(['npx', 'participant-gateway', ...args], environment);

  test.concurrent('npx participant-gateway answers on its sandbox, without a warning', async () => {
    await using program = npx([], { PORT: '0' });
    const [, curl = '', address = ''] = await program.printed(/curl +(curl -s (\S+) .+)\n/);
    const [, body = ''] = / -d '([^']+)'$/.exec(curl) ?? [];
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(address, { method: 'POST', headers, body });
    expect(await answer.json()).toEqual({
      data: { batchStatus: { status: 'PARTIAL_SUCCESS', progress: 1 } },
    });
    expect(program.output()).not.toMatch(/warning/i);
  });

  test.concurrent('SIGTERM ends it with exit code 0', async () => {
    await using program = run(['node_modules/.bin/participant-gateway'], { PORT: '0' });
    await program.printed(/"listening"/);
    program.process.kill('SIGTERM');
    expect(await program.exited).toBe(0);
  });

  test.concurrent.each([
    { args: ['--version'], exitCode: 0, output: `${version}\n` },
    {
      args: ['--help'],
      exitCode: 0,
      output: expect.stringMatching(/^participant-gateway \[serve\]/),
    },
    { args: ['schema'], exitCode: 0, output: SDL },
    {
      args: ['check'],
      exitCode: 0,
      output: expect.stringMatching(/^The settings are good: .+\n$/),
    },
    { args: ['doctor'], exitCode: 0, output: expect.stringContaining('All is well.') },
    {
      args: ['check'],
      environment: { PORT: 'http' },
      exitCode: 1,
      output:
        'The settings are faulty:\n  PORT is "http"; it accepts a whole number from 0 to 65535\n',
    },
    {
      args: ['no-command'],
      exitCode: 2,
      output: 'participant-gateway does not know "no-command". See participant-gateway --help.\n',
    },
  ])('npx participant-gateway $args ends with exit code $exitCode', async (expected) => {
    const { args, environment, exitCode, output } = expected;
    await using program = npx(args, environment);
    expect([await program.exited, program.output()]).toEqual([exitCode, output]);
  });

  test.concurrent('sandbox runs until SIGTERM', async () => {
    await using program = run(['node_modules/.bin/participant-gateway', 'sandbox'], { PORT: '0' });
    const [, address = ''] = await program.printed(/PARTICIPANT_SERVICE_URL=(\S+)/);
    expect((await fetch(address)).status).toBe(404);
    program.process.kill('SIGTERM');
    expect(await program.exited).toBe(0);
  });

  test.concurrent('a program starts a gateway by createGateway', async () => {
    const program = `import { createGateway } from 'participant-gateway';
const gateway = await createGateway({ PORT: 0, LOG_LEVEL: 'silent' });
const { status } = await fetch(new URL('/livez', await gateway.start()));
await gateway.stop(0);
console.log(status);`;
    await using started = run(['node', '--input-type=module', '--eval', program]);
    expect([await started.exited, started.output()]).toEqual([0, '200\n']);
  });
});

test('an older Node.js is told in one line which one it takes', async () => {
  const [, oldest] = /^>=(\d+\.\d+)$/.exec(engines.node) ?? [];
  const pretended =
    "data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'20.20.2'}})";
  const launcher = 'node_modules/participant-gateway/bin/participant-gateway.js';
  await using program = runCommand([process.execPath, '--import', pretended, launcher], {
    cwd: folder,
    env: {},
  });
  expect([await program.exited, program.output()]).toEqual([
    1,
    `participant-gateway needs Node.js ${oldest} or newer; this is 20.20.2.\n`,
  ]);
  // What it imported, an older one would look for before its first line is run.
  expect(await readFile(join(folder, launcher), 'utf8')).not.toMatch(/^import /m);
});
