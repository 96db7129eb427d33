import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { runProgram } from '../support/child-process.ts';

const SDL = await readFile(new URL('../../schema.graphql', import.meta.url), 'utf8');

interface Repository extends AsyncDisposable {
  git(...args: string[]): Promise<unknown>;
  write(sdl: string, version?: string): Promise<void>;
  check(): Promise<{ exitCode: number | null; output: string }>;
}

/** A repository with schema.graphql and package.json committed on main. */
async function createRepository(): Promise<Repository> {
  const folder = await mkdtemp(join(tmpdir(), 'schema-check-'));
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
  const repository: Repository = {
    git: (...args) => promisify(execFile)('git', [...who, ...args], { cwd: folder }),
    async write(sdl, version = '1.2.0') {
      await writeFile(join(folder, 'schema.graphql'), sdl);
      await writeFile(join(folder, 'package.json'), JSON.stringify({ version }));
    },
    async check() {
      const path = process.env['PATH'] ?? '';
      await using program = runProgram('scripts/check-schema.ts', { PATH: path }, { cwd: folder });
      return { exitCode: await program.exited, output: program.output() };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
  await repository.git('init', '--quiet', '--initial-branch=main');
  await repository.write(SDL);
  await repository.git('add', '.');
  await repository.git('commit', '--quiet', '-m', 'release');
  return repository;
}

const ADVICE =
  'Clients of the last release would fail. Keep what they use (@deprecated says what to use instead), or set a new major version (a new minor one while it is 0) in package.json.\n';
const WITHOUT_PROGRESS = SDL.replace(/ {2}"""[^"]+"""\n {2}progress: Float\n/, '');

test.concurrent('the schema check names a field that is gone as breaking, and fails', async () => {
  await using repository = await createRepository();
  await repository.write(WITHOUT_PROGRESS);

  expect(await repository.check()).toEqual({
    exitCode: 1,
    output: `Schema: compared with main: 1 changes, 1 of them breaking.
  breaking  BatchStatus.progress: Field 'progress' was removed from object type 'BatchStatus'
${ADVICE}`,
  });
});

test.concurrent('the schema check takes a key that is gone as breaking: other subgraphs refer to it', async () => {
  await using repository = await createRepository();
  await repository.write(SDL.replace(' @key(fields: "participantType batchId")', ''));

  const { exitCode, output } = await repository.check();
  expect(output).toContain(
    "  breaking  BatchStatus.@key: Directive 'key' was removed from object 'BatchStatus'\n",
  );
  expect(exitCode).toBe(1);
});

test.concurrent('the schema check lets a new major version break, and names what it breaks', async () => {
  await using repository = await createRepository();
  await repository.write(WITHOUT_PROGRESS, '2.0.0');

  expect(await repository.check()).toEqual({
    exitCode: 0,
    output: `Schema: compared with main: 1 changes, 1 of them breaking.
  breaking  BatchStatus.progress: Field 'progress' was removed from object type 'BatchStatus'
`,
  });
});

test.concurrent('the schema check compares with the last tag, and lets additions pass, and names them', async () => {
  await using repository = await createRepository();
  await repository.git('tag', 'v1.2.0');
  await repository.write(SDL.replace('  progress: Float\n', '  progress: Float\n  eta: String\n'));
  await repository.git('commit', '--quiet', '--all', '-m', 'add a field');

  expect(await repository.check()).toEqual({
    exitCode: 0,
    output: `Schema: compared with v1.2.0: 1 changes, 0 of them breaking.
  safe  BatchStatus.eta: Field 'eta' was added to object type 'BatchStatus'
`,
  });
});

test.concurrent('the schema check says when there is nothing to compare with', async () => {
  await using repository = await createRepository();
  await repository.git('branch', '--move', 'elsewhere');

  expect(await repository.check()).toEqual({
    exitCode: 0,
    output: 'Schema: nothing to compare with: no tag v*, and no main with schema.graphql.\n',
  });
});
