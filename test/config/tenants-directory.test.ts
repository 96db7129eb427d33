import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseSettings, SettingsError } from '../../src/config/load.ts';
import { TenantFileReader } from '../../src/config/tenant-file-reader.ts';
import { openTenantsDirectory, readTenantsDirectory } from '../../src/config/tenants-directory.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { TestClock } from '../support/test-clock.ts';

const SECRET = 'canary-0123456789';

/** A directory with the file of a secret. */
async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tenants-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'secret'), SECRET);
  return directory;
}

function textOf(name: string, more: object = {}): string {
  return JSON.stringify({
    PARTICIPANT_SERVICE_URL: 'https://tenants.example',
    PARTICIPANT_SERVICE_TENANT_ID: `${name}-1`,
    TOKEN_CLIENT_ID: 'gateway',
    TOKEN_CLIENT_SECRET_FILE: 'secret',
    TENANT_HOSTS: `${name}.test`,
    ...more,
  });
}

/** By rename, so that nobody sees half of it. */
async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
}

function locationOf(directory: string) {
  const { tenants } = parseSettings(
    { TENANTS_DIR: directory, AUTH_MODE: 'none', TRUSTED_PROXIES: '127.0.0.1' },
    () => Buffer.of(),
  );
  if (tenants === undefined) throw new Error('TENANTS_DIR is not read');
  return tenants;
}

/**
 * Lets events of the file system be acted on at once, and looks without them only when a test moves it. No file takes
 * too long, however slow the machine is.
 */
class WatchClock extends TestClock {
  override after(ms: number, run: () => void): () => void {
    if (ms === 5_000) return super.after(ms, run);
    if (ms === 100) setImmediate(run);
    return () => {};
  }

  /** The next look is due. */
  look(): void {
    this.advance(5_000);
  }
}

/** The directory under watch, and what it tells, in order. */
async function open(directory: string, clock = new WatchClock()) {
  const events: string[] = [];
  let wake = () => {};
  const tell = (event: string) => {
    events.push(event);
    wake();
  };
  const tenants = await openTenantsDirectory({
    ...locationOf(directory),
    clock,
    onChanged: (name, tenant) =>
      tell(
        tenant
          ? `${name} has a timeout of ${tenant.settings.upstreamTimeoutMs}`
          : `${name} is gone`,
      ),
    onFault: (name, message) => tell(`${name ?? 'the directory'} is faulty: ${message}`),
    onRepaired: (name) => tell(`${name ?? 'the directory'} is repaired`),
  });
  onTestFinished(() => tenants.close());
  return {
    tenants,
    clock,
    events,
    /** Resolves to what was told since it was asked last, once these are so many. */
    async next(count: number): Promise<string[]> {
      await new Promise<void>((resolve) => {
        wake = () => {
          if (events.length >= count) resolve();
        };
        wake();
      });
      return events.splice(0);
    },
  };
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SettingsError) return error.message;
  throw new Error('there is no fault');
}

test('each file is a tenant; what begins with a dot, or does not end in .json, is none', async () => {
  const directory = await makeDirectory();
  await writeFile(join(directory, 'b.json'), `\ufeff${textOf('b')}`);
  await writeFile(join(directory, 'a.1.json'), textOf('a'));
  for (const name of ['.c.json', 'd.json~', 'e.txt', 'F.JSON']) {
    await writeFile(join(directory, name), 'canary');
  }
  await mkdir(join(directory, 'g'));
  const { tenants } = await open(directory);
  expect([...tenants.tenants.keys()]).toEqual(['a.1', 'b']);
  expect(tenants.tenants.get('b')).toMatchObject({
    name: 'b',
    settings: {
      tenantHosts: ['b.test'],
      participantService: {
        tenantId: 'b-1',
        token: { clientSecret: { file: join(directory, 'secret') } },
      },
    },
  });
  expect(tenants.faults).toEqual(new Map());
});

test('64: where a tenant is good, those that are not are told; where none is, all are told in one message', async () => {
  const directory = await makeDirectory();
  await mkdir(join(directory, 'a.json'));
  await writeFile(join(directory, 'b.json'), '{}\n{}');
  await writeFile(join(directory, 'c.json'), Buffer.from(`\ufeff${textOf('c')}`, 'utf16le'));
  await writeFile(join(directory, 'd.json'), ' '.repeat(64 * 1024 + 1));
  await symlink('no-such-file', join(directory, 'e.json'));
  await writeFile(join(directory, 'f g.json'), textOf('f'));
  await writeFile(
    join(directory, 'h.json'),
    textOf('h', { TOKEN_CLIENT_SECRET_FILE: 'no-such-file' }),
  );
  await writeFile(join(directory, 'i.json'), textOf('i', { TOKEN_CLIENT_SECRET_FILE: '.' }));
  await writeFile(join(directory, 'j.json'), textOf('j', { TOKEN_CLIENT_SECRET_FILE: 'd.json' }));
  execFileSync('mkfifo', [join(directory, 'k.json')]);
  const ofFile = (name: string, problem: string) =>
    `The tenant's file ${name}.json is faulty:\n  ${problem}`;
  const ofSecret = (problem: string) =>
    `TOKEN_CLIENT_SECRET_FILE names a file that ${problem}; it accepts the path of a file that can be read`;
  const faults = new Map([
    ['a', ofFile('a', 'It is a directory, or something else that is no file')],
    ['b', ofFile('b', 'It goes on after the end of its object (line 2)')],
    ['c', ofFile('c', 'It is in UTF-16: save it as UTF-8')],
    ['d', ofFile('d', 'It is longer than 64 KiB')],
    ['e', ofFile('e', 'It cannot be read (ENOENT)')],
    [
      'f g',
      `The tenant's file "f g.json" is faulty:\n  Its name before .json is not a letter or digit and up to 63 more, or _ . -`,
    ],
    ['h', ofFile('h', ofSecret('cannot be read (ENOENT)'))],
    ['i', ofFile('i', ofSecret('is a directory, or something else that is no file'))],
    ['j', ofFile('j', ofSecret('is longer than 64 KiB'))],
    ['k', ofFile('k', 'It is a directory, or something else that is no file')],
  ]);
  expect(await messageOf(open(directory))).toBe([...faults.values()].join('\n'));

  await writeFile(join(directory, 'z.json'), textOf('z'));
  const { tenants, events } = await open(directory);
  expect([...tenants.tenants.keys()]).toEqual(['z']);
  expect(tenants.faults).toEqual(faults);
  expect(events).toEqual([]);
  expect(
    (await readTenantsDirectory({ ...locationOf(directory), clock: systemClock })).faults,
  ).toEqual(faults);
});

test('64: a directory that is missing, none, or without a tenant is a fault', async () => {
  const directory = await makeDirectory();
  const heading = 'The settings are faulty:\n  TENANTS_DIR names a directory';
  expect(await messageOf(open(join(directory, 'missing')))).toBe(
    `${heading} that cannot be read (ENOENT)`,
  );
  expect(await messageOf(open(join(directory, 'secret')))).toBe(
    `${heading} that cannot be read (ENOTDIR)`,
  );
  expect(await messageOf(open(directory))).toBe(
    `${heading} without tenants: each has a file <name>.json in it`,
  );
});

test('a file that comes, changes, breaks, and goes is one tenant that does, and no other', async () => {
  const directory = await makeDirectory();
  const file = join(directory, 'b.json');
  await writeFile(join(directory, 'a.json'), textOf('a'));
  const { tenants, next } = await open(directory);
  const unchanged = tenants.tenants.get('a');

  await writeWhole(file, textOf('b'));
  expect(await next(1)).toEqual(['b has a timeout of 2000']);
  await writeWhole(file, textOf('b', { UPSTREAM_TIMEOUT_MS: 300 }));
  expect(await next(1)).toEqual(['b has a timeout of 300']);
  await writeWhole(file, textOf('b', { UPSTREAM_TIMEOUT_MS: SECRET }));
  expect(await next(1)).toEqual([
    "b is faulty: The tenant's file b.json is faulty:\n  UPSTREAM_TIMEOUT_MS is not valid (17 characters, not shown); it accepts milliseconds, 1 to 600000",
  ]);
  expect(tenants.tenants.get('b')?.settings.upstreamTimeoutMs).toBe(300);
  await writeWhole(file, textOf('b', { UPSTREAM_TIMEOUT_MS: 300 }));
  expect(await next(1)).toEqual(['b is repaired']);
  await rm(file);
  expect(await next(1)).toEqual(['b is gone']);
  expect(tenants.tenants).toEqual(new Map([['a', unchanged]]));
  expect(tenants.tenants.get('a')).toBe(unchanged);
});

test('a fault is told once, however often it is looked at; what is written as it was changes nothing', async () => {
  const directory = await makeDirectory();
  const elsewhere = await makeDirectory();
  const TOKEN_CLIENT_SECRET_FILE = join(elsewhere, 'secret');
  for (const name of ['a', 'b']) await writeFile(join(directory, `${name}.json`), textOf(name));
  await writeFile(join(directory, 'c.json'), textOf('c', { TOKEN_CLIENT_SECRET_FILE }));
  const { next, clock } = await open(directory);
  await writeWhole(join(directory, 'b.json'), '{');
  expect(await next(1)).toHaveLength(1);
  await writeWhole(join(directory, 'a.json'), textOf('a'));
  await utimes(join(directory, 'secret'), 1, 1);
  for (const secret of ['secret-2', 'secret-3', 'secret-4']) {
    await writeWhole(TOKEN_CLIENT_SECRET_FILE, secret);
    clock.look();
    expect(await next(1)).toEqual(['c has a timeout of 2000']);
  }
  await writeWhole(join(directory, 'b.json'), '{ ');
  expect(await next(1)).toHaveLength(1);
});

test("Kubernetes' swap of a whole volume changes what is another text, and nothing else", async () => {
  const directory = await makeDirectory();
  const volume = async (version: string, files: Record<string, string>) => {
    await mkdir(join(directory, version));
    for (const [name, text] of Object.entries(files))
      await writeFile(join(directory, version, name), text);
    await symlink(version, join(directory, '..data_tmp'));
    await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  };
  await volume('..1', { 'a.json': textOf('a'), 'b.json': textOf('b'), 'c.json': textOf('c') });
  for (const name of ['a', 'b', 'c'])
    await symlink(`..data/${name}.json`, join(directory, `${name}.json`));
  const { next } = await open(directory);

  await volume('..2', {
    'a.json': textOf('a'),
    'b.json': textOf('b', { UPSTREAM_TIMEOUT_MS: 300 }),
    'd.json': textOf('d'),
  });
  await symlink('..data/d.json', join(directory, 'd.json'));
  await rm(join(directory, 'c.json'));
  await rm(join(directory, '..1'), { recursive: true });
  expect((await next(3)).toSorted()).toEqual([
    'b has a timeout of 300',
    'c is gone',
    'd has a timeout of 2000',
  ]);
});

test('a file is read twice before it is taken as it is: what is written within a tick of the clock looks the same', async () => {
  const directory = await makeDirectory();
  await writeFile(join(directory, 'a.json'), textOf('a'));
  const reader = new TenantFileReader({ ...locationOf(directory), clock: systemClock });
  const read = async (isFaulty: boolean) => [...(await reader.read(['a'], () => isFaulty)).keys()];
  expect(await read(false)).toEqual(['a']);
  expect(await read(false)).toEqual(['a']);
  expect(await read(false)).toEqual([]);
  expect(await read(true)).toEqual(['a']);
  await writeWhole(join(directory, 'secret'), 'another-secret');
  expect(await read(false)).toEqual(['a']);
});

test('a link to nothing is a fault only once it stays so: until then its file may be about to go', async () => {
  const directory = await makeDirectory();
  await writeFile(join(directory, 'target'), textOf('a'));
  await symlink('target', join(directory, 'a.json'));
  await writeFile(join(directory, 'b.json'), textOf('b'));
  const { tenants, next, clock } = await open(directory);
  await rm(join(directory, 'target'));
  await writeWhole(join(directory, 'b.json'), textOf('b', { UPSTREAM_TIMEOUT_MS: 300 }));
  expect(await next(1)).toEqual(['b has a timeout of 300']);
  clock.look();
  expect(await next(1)).toEqual([
    "a is faulty: The tenant's file a.json is faulty:\n  It cannot be read (ENOENT)",
  ]);
  expect([...tenants.tenants.keys()]).toEqual(['a', 'b']);
});

test('what no event tells of is found within 5 s: a secret that is another, the target of a link, another directory', async () => {
  const directory = await makeDirectory();
  const elsewhere = await makeDirectory();
  await writeFile(join(elsewhere, 'target'), textOf('a'));
  await symlink(join(elsewhere, 'target'), join(directory, 'a.json'));
  await writeFile(join(elsewhere, 'rotated'), SECRET);
  await writeFile(
    join(directory, 'b.json'),
    textOf('b', { TOKEN_CLIENT_SECRET_FILE: join(elsewhere, 'rotated') }),
  );
  const link = join(elsewhere, 'link');
  await symlink(directory, link);
  const { tenants, next, clock } = await open(link);

  await writeWhole(join(elsewhere, 'target'), textOf('a', { UPSTREAM_TIMEOUT_MS: 300 }));
  clock.look();
  expect(await next(1)).toEqual(['a has a timeout of 300']);
  const before = tenants.tenants.get('b');
  await writeWhole(join(elsewhere, 'rotated'), 'another-secret');
  clock.look();
  expect(await next(1)).toEqual(['b has a timeout of 2000']);
  expect(tenants.tenants.get('b')).not.toBe(before);
  await rm(join(elsewhere, 'rotated'));
  clock.look();
  expect(await next(1)).toEqual([
    "b is faulty: The tenant's file b.json is faulty:\n  TOKEN_CLIENT_SECRET_FILE names a file that cannot be read (ENOENT); it accepts the path of a file that can be read",
  ]);

  const other = await makeDirectory();
  await writeFile(join(other, 'c.json'), textOf('c'));
  await symlink(other, `${link}.tmp`);
  await rename(`${link}.tmp`, link);
  clock.look();
  expect((await next(4)).toSorted()).toEqual([
    'a is gone',
    'b is gone',
    'b is repaired',
    'c has a timeout of 2000',
  ]);
  // The events are those of the other directory from now on.
  await writeWhole(join(other, 'd.json'), textOf('d'));
  expect(await next(1)).toEqual(['d has a timeout of 2000']);
});

test('a file that cannot be read in time is a fault, and holds up no other', async () => {
  const directory = await makeDirectory();
  for (const name of ['a', 'b']) await writeFile(join(directory, `${name}.json`), textOf(name));
  /** Its first limit is over before any file can be read. */
  class HastyClock extends WatchClock {
    #isFirst = true;
    override after(ms: number, run: () => void): () => void {
      if (this.#isFirst && ms === 2_000) queueMicrotask(run);
      this.#isFirst = false;
      return super.after(ms, run);
    }
  }
  const { tenants, next, clock } = await open(directory, new HastyClock());
  expect([...tenants.tenants.keys()]).toEqual(['b']);
  expect([...tenants.faults.values()]).toEqual([
    "The tenant's file a.json is faulty:\n  It cannot be read in time",
  ]);
  clock.look();
  expect(await next(2)).toEqual(['a has a timeout of 2000', 'a is repaired']);
});

test('while the directory cannot be read, all tenants stay', async () => {
  const directory = await makeDirectory();
  const inner = join(directory, 'inner');
  await mkdir(inner);
  await writeFile(join(inner, 'a.json'), textOf('a', { TOKEN_CLIENT_SECRET_FILE: '../secret' }));
  const { tenants, next, clock } = await open(inner);
  await rename(inner, `${inner}.away`);
  clock.look();
  expect(await next(1)).toEqual([
    'the directory is faulty: TENANTS_DIR names a directory that cannot be read (ENOENT)',
  ]);
  expect([...tenants.tenants.keys()]).toEqual(['a']);
  await rename(`${inner}.away`, inner);
  clock.look();
  expect(await next(1)).toEqual(['the directory is repaired']);
  await writeWhole(join(inner, 'b.json'), textOf('b', { TOKEN_CLIENT_SECRET_FILE: '../secret' }));
  expect(await next(1)).toEqual(['b has a timeout of 2000']);
});

test('after close nothing is looked at, and no timer is left', async () => {
  const directory = await makeDirectory();
  await writeFile(join(directory, 'a.json'), textOf('a'));
  const { tenants, clock, events } = await open(directory);
  expect(clock.pending).toBe(1);
  tenants.close();
  expect(clock.pending).toBe(0);
  await rm(join(directory, 'a.json'));
  clock.advance(60_000);
  expect([...tenants.tenants.keys()]).toEqual(['a']);
  expect(events).toEqual([]);
});
