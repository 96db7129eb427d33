import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { UNIT } from '../support/systemd-unit.ts';

const run = promisify(execFile);

test('systemd understands every line of the unit', async () => {
  expect(await run('systemd-analyze', ['verify', fileURLToPath(UNIT)])).toEqual({
    stdout: '',
    stderr: '',
  });

  const folder = await mkdtemp(join(tmpdir(), 'unit-'));
  const misspelt = join(folder, 'misspelt@.service');
  const text = await readFile(UNIT, 'utf8');
  await writeFile(misspelt, text.replace('DynamicUser=', 'DynamicUsers='));
  const { stderr } = await run('systemd-analyze', ['verify', misspelt]);
  expect(stderr).toMatch(/Unknown key.*'DynamicUsers' in section/);
  await rm(folder, { recursive: true });
});
