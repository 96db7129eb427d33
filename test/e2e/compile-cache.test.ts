import { chmod, lstat, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../support/child-process.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compile-cache-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Loaded first: the process takes itself for another user's. */
const ANOTHER_USER = ['--import', 'data:text/javascript,process.getuid = () => 4711'];

/** Starts the gateway with an argument that it refuses, and tells what was put into the folder for compiled code. */
async function startIn(home: string, environment: Record<string, string>, nodeArgs: string[] = []) {
  const temporary = join(home, 'tmp');
  await mkdir(temporary);
  await using program = runProgram(
    'bin/participant-gateway.js',
    { HOME: home, TMPDIR: temporary, ...environment },
    { args: ['x'], nodeArgs },
  );
  expect([await program.exited, program.output()]).toEqual([
    2,
    'participant-gateway does not know "x". See participant-gateway --help.\n',
  ]);
  // Where Node would put it of itself, and everybody could.
  expect(await readdir(temporary)).toEqual([]);
}

const isFilled = async (path: string) => (await readdir(path)).length > 0;

async function makeHome(name: string): Promise<{ home: string; cache: string }> {
  const home = join(folder, name);
  await mkdir(home, { mode: 0o700 });
  return { home, cache: join(home, '.cache', 'participant-gateway') };
}

test('85: compiled code is kept in a folder of the user alone', async () => {
  const { home, cache } = await makeHome('own');
  await startIn(home, {});
  const { mode } = await lstat(cache);
  expect((mode & 0o777).toString(8)).toBe('700');
  expect(await isFilled(cache)).toBe(true);
});

test('85: it is kept below XDG_CACHE_HOME, unless that is a relative path', async () => {
  const { home, cache } = await makeHome('xdg');
  await startIn(home, { XDG_CACHE_HOME: join(home, 'elsewhere') });
  expect(await isFilled(join(home, 'elsewhere', 'participant-gateway'))).toBe(true);
  const relative = await makeHome('relative');
  await startIn(relative.home, { XDG_CACHE_HOME: 'elsewhere' });
  expect(await isFilled(relative.cache)).toBe(true);
  await expect(lstat(cache)).rejects.toThrow('ENOENT');
});

const UNSAFE: [name: string, make: (paths: { home: string; cache: string }) => Promise<unknown>][] =
  [
    ['others may read it', ({ cache }) => chmod(cache, 0o755)],
    ['others may write to it', ({ cache }) => chmod(cache, 0o707)],
    ['the group may write to the folder above it', ({ cache }) => chmod(join(cache, '..'), 0o770)],
    ['others may write to one above that', ({ home }) => chmod(home, 0o777)],
    [
      'it is a link',
      async ({ home, cache }) => {
        await rm(cache, { recursive: true });
        await mkdir(join(home, 'linked'), { mode: 0o700 });
        await symlink(join(home, 'linked'), cache);
      },
    ],
  ];

test.each(UNSAFE)('85: nothing is kept or read where %s', async (name, make) => {
  const paths = await makeHome(name);
  await mkdir(paths.cache, { recursive: true, mode: 0o700 });
  await make(paths);
  await startIn(paths.home, {});
  expect(await isFilled(paths.cache)).toBe(false);
});

test('85: nothing is kept or read where it is of another user', async () => {
  const { home, cache } = await makeHome('another');
  await startIn(home, {}, ANOTHER_USER);
  expect(await isFilled(cache)).toBe(false);
});

test('85: a link further up leads to a folder that is looked at itself', async () => {
  const { home, cache } = await makeHome('further up');
  const target = join(home, 'target');
  await mkdir(target, { mode: 0o700 });
  await symlink(target, join(home, '.cache'));
  await startIn(home, {});
  expect(await isFilled(cache)).toBe(true);

  const open = await makeHome('further up, open');
  await chmod(target, 0o777);
  await rm(join(target, 'participant-gateway'), { recursive: true });
  await symlink(target, join(open.home, '.cache'));
  await startIn(open.home, {});
  expect(await isFilled(open.cache)).toBe(false);
});

test('85: without a home that can be written the gateway starts all the same', async () => {
  const { home } = await makeHome('none');
  await startIn(home, { HOME: '/dev/null' });
});
