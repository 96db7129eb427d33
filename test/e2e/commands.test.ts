import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../src/commands/run-command.ts';
import { readRegularFile } from '../../src/config/files.ts';
import { type Environment, parseSettings } from '../../src/config/load.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { runProgram } from '../support/child-process.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { environmentFor } from '../support/test-gateway.ts';

const GATEWAY = 'bin/participant-gateway.js';
const ROOT = new URL('../../', import.meta.url);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'commands-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A command in this process, told to end at once. */
async function run(args: readonly string[], environment: Environment = {}) {
  let output = '';
  let errors = '';
  const exitCode = await runCommand(args, {
    readSettings: () => parseSettings(environment, readRegularFile),
    port: environment['PORT'],
    clock: systemClock,
    lookUp: async () => [],
    stopped: async () => {},
    write(text) {
      output += text;
    },
    writeError(text) {
      errors += text;
    },
  });
  return { exitCode, output, errors };
}

test('--version is the version of package.json', async () => {
  const { version } = JSON.parse(await readFile(new URL('package.json', ROOT), 'utf8'));
  const told = { exitCode: 0, output: `${version}\n`, errors: '' };
  expect(await run(['--version'])).toEqual(told);
  expect(await run(['-v'])).toEqual(told);
});

test('--help names every command, whichever it follows; the doctor has a help of its own', async () => {
  const help = await run(['--help']);
  expect([help.exitCode, help.errors]).toEqual([0, '']);
  const named = [...help.output.matchAll(/^participant-gateway (\S+)/gm)].map(([, name]) => name);
  expect(named).toEqual(['[serve]', 'doctor', 'check', 'health', 'sandbox', 'schema']);
  expect(await run(['-h'])).toEqual(help);
  for (const name of ['serve', 'check', 'sandbox', 'schema']) {
    expect(await run([name, '--help'])).toEqual(help);
    expect(await run([name, '-h'])).toEqual(help);
  }
  expect((await run(['doctor', '--help'])).output).toMatch(
    /^participant-gateway doctor \[--json\]/,
  );
});

test.each([
  { args: ['doktor'], unknown: 'doktor' },
  { args: [''], unknown: '' },
  { args: ['--port=1'], unknown: '--port=1' },
  { args: ['\u001b[2J'], unknown: '\\u001b[2J' },
  { args: ['toString'], unknown: 'toString' },
  { args: ['doktor', '--help'], unknown: 'doktor' },
  { args: ['serve', 'now'], unknown: 'now' },
  { args: ['check', '--json'], unknown: '--json' },
  { args: ['sandbox', '4001'], unknown: '4001' },
  { args: ['schema', '--', 'x'], unknown: '--' },
  { args: ['--version', 'x'], unknown: 'x' },
])('$args is refused with exit code 2', async ({ args, unknown }) => {
  expect(await run(args)).toEqual({
    exitCode: 2,
    output: '',
    errors: `participant-gateway does not know "${unknown}". See participant-gateway --help.\n`,
  });
});

test('schema prints the SDL as schema.graphql holds it', async () => {
  const output = await readFile(new URL('schema.graphql', ROOT), 'utf8');
  expect(await run(['schema'])).toEqual({ exitCode: 0, output, errors: '' });
});

test('64: check says that settings are good, and calls nobody', async () => {
  await using upstream = await startScriptedUpstream();
  const output = `The settings are good: tenant tenant-1 at ${upstream.url.origin}; HOST 127.0.0.1, PORT 4321.\n`;
  expect(await run(['check'], { ...environmentFor(upstream.url), PORT: '4321' })).toEqual({
    exitCode: 0,
    output,
    errors: '',
  });
  expect([upstream.tokenCalls, upstream.statusCalls]).toEqual([[], []]);
});

test('64: check names every faulty setting, exit code 1', async () => {
  expect(await run(['check'], { PORT: 'http', LOG_LEVEL: 'loud' })).toEqual({
    exitCode: 1,
    output: '',
    errors:
      'The settings are faulty:\n' +
      '  PORT is "http"; it accepts a whole number from 0 to 65535\n' +
      '  LOG_LEVEL is "loud"; it accepts trace, debug, info, warn, error, fatal or silent\n',
  });
});

test('64: check looks into the file of trusted documents', async () => {
  const file = join(folder, 'documents.json');
  await writeFile(file, '{"b":"{ no }"}');
  expect(await run(['check'], { TRUSTED_DOCUMENTS: file })).toEqual({
    exitCode: 1,
    output: '',
    errors: `TRUSTED_DOCUMENTS ${file} is faulty. The document "b" cannot run: Cannot query field "no" on type "Query".\n`,
  });
});

/** A directory of tenants, each with its settings. */
async function tenantsDirectory(files: Readonly<Record<string, object>>): Promise<string> {
  const directory = await mkdtemp(join(folder, 'tenants-'));
  for (const [name, file] of Object.entries(files)) {
    await writeFile(join(directory, `${name}.json`), JSON.stringify(file));
  }
  await writeFile(join(directory, 'secret'), 'a-secret');
  return directory;
}

function tenantFile(name: string) {
  return {
    PARTICIPANT_SERVICE_URL: 'https://tenants.example',
    PARTICIPANT_SERVICE_TENANT_ID: name,
    TOKEN_CLIENT_ID: 'gateway',
    TOKEN_CLIENT_SECRET_FILE: 'secret',
    TENANT_HOSTS: `${name}.localhost`,
  };
}

test('64: check judges the files of all tenants', async () => {
  const a = tenantFile('a');
  const TENANTS_DIR = await tenantsDirectory({ a, b: tenantFile('b') });
  expect(await run(['check'], { TENANTS_DIR })).toEqual({
    exitCode: 0,
    output: 'The settings are good: 2 tenants of TENANTS_DIR; HOST 127.0.0.1, PORT 4000.\n',
    errors: '',
  });
  expect(
    await run(['check'], {
      TENANTS_DIR: await tenantsDirectory({ a, c: a, d: { ...tenantFile('d'), PORT: 1 } }),
    }),
  ).toEqual({
    exitCode: 1,
    output: '',
    errors: `The tenant's file c.json is faulty:
  PARTICIPANT_SERVICE_TENANT_ID is, at the same PARTICIPANT_SERVICE_URL, that of tenant a: callers of each would see the other's batches; it accepts 1 to 256 characters of ASCII, no control characters
  TENANT_HOSTS has a.localhost, which means tenant a; it accepts host names, each maybe with a port but 80 and 443, separated by commas, in a tenant's file; with AUTH_MODE=none only with TRUSTED_PROXIES
The tenant's file d.json is faulty:
  PORT is not a tenant's, but the process's: set it in the environment
`,
  });
});

test('64: the faults of the environment and of the files of tenants are told in one message', async () => {
  const TENANTS_DIR = await tenantsDirectory({
    a: { ...tenantFile('a'), TOKEN_CLIENT_ID: '' },
    b: tenantFile('b'),
  });
  const told = `The settings are faulty:
  PORT is "http"; it accepts a whole number from 0 to 65535
  STATUS_TTL_MS is "soon"; it accepts milliseconds, 0 to 86400000
The tenant's file a.json is faulty:
  TOKEN_CLIENT_ID is missing; it accepts up to 1024 characters
`;
  const environment = { TENANTS_DIR, PORT: 'http', STATUS_TTL_MS: 'soon' };
  await using start = runProgram(GATEWAY, environment);
  await using check = runProgram(GATEWAY, environment, { args: ['check'] });
  expect([await start.exited, start.output()]).toEqual([1, told]);
  expect([await check.exited, check.output()]).toEqual([1, told]);
  await using missing = runProgram(GATEWAY, { TENANTS_DIR: join(folder, 'no'), PORT: 'http' });
  expect([await missing.exited, missing.output()]).toEqual([
    1,
    `The settings are faulty:
  PORT is "http"; it accepts a whole number from 0 to 65535
  TENANTS_DIR names a directory that cannot be read (ENOENT)
`,
  ]);
});

test('a port that is taken is said by sandbox in one line, exit code 1', async () => {
  await using upstream = await startScriptedUpstream();
  const { port } = upstream.url;
  expect(await run(['sandbox'], { PORT: port })).toEqual({
    exitCode: 1,
    output: '',
    errors: `The sandbox cannot listen on PORT ${port} (EADDRINUSE): take another.\n`,
  });
});

test.concurrent('serve is what the program does without a command', async () => {
  await using program = runProgram(GATEWAY, { PORT: '0' }, { args: ['serve'] });
  const [, address = ''] = await program.printed(/"graphql":"([^"]+)"/);
  expect((await fetch(new URL('/livez', address))).status).toBe(200);
});

test.concurrent('64: the program ends with the exit code of its command, and writes what that does', async () => {
  await using good = runProgram(GATEWAY, {}, { args: ['check'] });
  await using faulty = runProgram(GATEWAY, { PORT: 'http' }, { args: ['check'] });
  await using unknown = runProgram(GATEWAY, {}, { args: ['doktor'] });
  expect([await good.exited, good.output()]).toEqual([
    0,
    'The settings are good: the sandbox, as no PARTICIPANT_SERVICE_URL is set; HOST 127.0.0.1, PORT 4000.\n',
  ]);
  expect([await faulty.exited, faulty.output()]).toEqual([
    1,
    'The settings are faulty:\n  PORT is "http"; it accepts a whole number from 0 to 65535\n',
  ]);
  expect([await unknown.exited, unknown.output()]).toEqual([
    2,
    'participant-gateway does not know "doktor". See participant-gateway --help.\n',
  ]);
});
