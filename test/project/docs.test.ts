import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, validate } from 'graphql';
import { expect, onTestFinished, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { SETTINGS_DOCUMENTS } from '../../scripts/settings-documents.ts';
import { printSimulation } from '../../scripts/simulate.ts';
import { type Environment, parseSettings } from '../../src/config/load.ts';
import { readTenantsDirectory } from '../../src/config/tenants-directory.ts';
import {
  infoOf,
  isVariableName,
  VARIABLE_GROUPS,
  VARIABLE_NAMES,
} from '../../src/config/variables.ts';
import { ERROR_CODES } from '../../src/core/error-codes.ts';
import { createSchema } from '../../src/graphql/schema/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const ROOT = new URL('../../', import.meta.url);
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/architecture.md',
  'docs/deploy.md',
  'docs/errors.md',
  'docs/faults.md',
  'docs/federation.md',
  'docs/identity-providers.md',
  'docs/metrics.md',
  'docs/live.md',
  'docs/operations.md',
  'docs/performance.md',
  'docs/releasing.md',
  'docs/replicas.md',
  'docs/scale.md',
  'docs/security.md',
  'docs/settings.md',
  'docs/tenants.md',
  'docs/threat-model.md',
  'SECURITY.md',
  'bench/README.md',
  'examples/clients/README.md',
];
/** Its operations are for the supergraph: supergraph.test.ts runs them. */
const SUPERGRAPH = 'examples/supergraph/README.md';

function read(path: string): Promise<string> {
  return readFile(new URL(path, ROOT), 'utf8');
}

test('the table of error codes in docs/errors.md is the set in the code, in order', async () => {
  const rows = (await read('docs/errors.md'))
    .split('\n')
    .filter((line) => /^\| `[A-Z_]+` \| (yes|no) \|/.test(line));
  expect(rows).toEqual(
    Object.entries(ERROR_CODES).map(
      ([code, { retryable, cause }]) => `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${cause} |`,
    ),
  );
});

test('the query in README.md is answered on the sandbox as it says', async () => {
  const readme = await read('README.md');
  const [, query = ''] = /```graphql\n(.*?)```/s.exec(readme) ?? [];
  const [, variables = ''] = /With the variables `([^`]+)`/.exec(readme) ?? [];
  const [, answer = ''] = /```json\n(.*?)```/s.exec(readme) ?? [];
  await using gateway = await startTestGateway();
  expect(await gateway.query(query, JSON.parse(variables))).toEqual({
    status: 200,
    body: JSON.parse(answer),
  });
});

test('the operations in the documents are valid', async () => {
  const schema = createSchema();
  const texts = await Promise.all(DOCUMENTS.map(read));
  const operations = texts.flatMap((text) =>
    [...text.matchAll(/```graphql\n(.*?)```/gs)].map(([, operation = '']) => operation),
  );
  expect(operations).toHaveLength(2);
  expect(operations.flatMap((operation) => validate(schema, parse(operation)))).toEqual([]);
});

test("the numbers at the beginning of tests' names are rows of docs/faults.md, and each row has a test", async () => {
  const rows = [...(await read('docs/faults.md')).matchAll(/^\| (\d+) \|/gm)].map(([, row]) =>
    Number(row),
  );
  const folder = new URL('test/', ROOT);
  const paths = (await readdir(folder, { recursive: true })).filter((path) =>
    path.endsWith('.test.ts'),
  );
  const texts = await Promise.all(paths.map((path) => readFile(new URL(path, folder), 'utf8')));
  const named = texts.flatMap((text) =>
    [...text.matchAll(/['"`](\d{1,2}): /g)].map(([, row]) => Number(row)),
  );
  expect(rows).toEqual(rows.toSorted((a, b) => a - b));
  expect([...new Set(named)].toSorted((a, b) => a - b)).toEqual(rows);
});

test('the links between the documents lead somewhere', async () => {
  for (const path of [...DOCUMENTS, SUPERGRAPH]) {
    const links = [...(await read(path)).matchAll(/\]\((?!https?:)([^)#]+)/g)];
    for (const [, link = ''] of links) await access(new URL(link, new URL(path, ROOT)));
  }
});

test('each configuration in docs/federation.md sends FEDERATION_SECRET under the name that is read', async () => {
  const text = await read('docs/federation.md');
  const blocks = [...text.matchAll(/```(yaml|ts)\n(.*?)```/gs)];
  expect(blocks).toHaveLength(6);
  for (const [, language, block = ''] of blocks) {
    expect(block).toMatch(
      /router-authorization.*FEDERATION_SECRET|Router-Authorization\n.*FEDERATION_SECRET/,
    );
    if (language === 'yaml') expect(parseYaml(block)).toEqual(expect.any(Object));
  }
});

test('the files that the architecture names exist', async () => {
  const named = [
    ...(await read('docs/architecture.md')).matchAll(/`([a-z]+\/[a-z0-9/-]*(?:\.ts)?)`/g),
  ];
  const paths = named.map(([, path = '']) =>
    /^(?:src|scripts|examples)\//.test(path) ? path : `src/${path}`,
  );
  expect(paths.length).toBeGreaterThan(15);
  for (const path of paths) await access(new URL(path, ROOT));
});

test('what docs/operations.md writes in capitals are settings and error codes', async () => {
  const known = new Set([...VARIABLE_NAMES, ...Object.keys(ERROR_CODES)]);
  const text = await read('docs/operations.md');
  const named = [...text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test('the log lines in docs/operations.md are written by the code, and all that warn are there', async () => {
  const files = (await readdir(new URL('src/', ROOT), { recursive: true })).filter((path) =>
    path.endsWith('.ts'),
  );
  const code = (await Promise.all(files.map((path) => read(`src/${path}`)))).join('\n');
  const calls = code.matchAll(
    /(?:log\.(?:warn|error)|onFault)\((?:[^;"']*, )?\s*(?:"([^"]+)"|'([^']+)'),?\s*\)/g,
  );
  const inCode = [...calls].map(([, double, single]) => double ?? single);
  const rows = [
    ...(await read('docs/operations.md')).matchAll(/^\| (?:fatal|error|warn) \| (.+?) \|/gm),
  ];
  const written = rows.flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, message]) => message),
  );
  expect(written.toSorted()).toEqual(inCode.toSorted());
});

test('the settings for production are taken as they are written', async () => {
  const [, block = ''] = /```env\n(.*?)```/s.exec(await read('docs/security.md')) ?? [];
  const environment: Environment = Object.fromEntries(
    block
      .trim()
      .split('\n')
      .map((line) => line.split('=')),
  );
  expect(parseSettings(environment, () => Buffer.from('a-secret'))).toMatchObject({
    auth: { mode: 'jwt' },
    graphiql: false,
    introspection: false,
    errorDetail: 'public',
    federation: false,
    getQueries: false,
    rateLimit: { perSecond: 100, burst: 100 },
  });
});

test('the tenants in docs/tenants.md are taken as they are written, also those of the ConfigMap', async () => {
  const text = await read('docs/tenants.md');
  const [, block = ''] = /```env\n(.*?)```/s.exec(text) ?? [];
  const directory = await mkdtemp(join(tmpdir(), 'tenants-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const environment: Environment = {
    ...Object.fromEntries(
      block
        .trim()
        .split('\n')
        .map((line) => line.split('=')),
    ),
    TENANTS_DIR: join(directory, 'tenants'),
  };
  const { tenants } = parseSettings(environment, () => Buffer.of());
  if (tenants === undefined) throw new Error('there is no TENANTS_DIR');
  await mkdir(join(directory, 'secrets'));
  await mkdir(tenants.directory);
  for (const name of ['acme', 'globex'])
    await writeFile(join(directory, 'secrets', name), 'a-secret');
  const judge = async (files: Readonly<Record<string, string>>) => {
    for (const [file, content] of Object.entries(files)) {
      await writeFile(join(tenants.directory, file), content);
    }
    const found = await readTenantsDirectory({ ...tenants, clock: systemClock });
    expect([...found.faults.values()]).toEqual([]);
    return [...found.tenants].map(([name, { settings }]) => [name, settings.tenantHosts]);
  };
  const [acme = '', globex = ''] = [...text.matchAll(/```json\n(.*?)```/gs)].map(
    ([, json]) => json,
  );
  expect(await judge({ 'acme.json': acme, 'globex.json': globex })).toEqual([
    ['acme', ['acme.example.com']],
    ['globex', ['batches.globex.example', 'globex.example.com']],
  ]);
  const [, manifest = ''] = /```yaml\n(.*?)\n---/s.exec(text) ?? [];
  const map: { data: Record<string, string> } = parseYaml(manifest);
  expect(Object.keys(map.data)).toEqual(['acme.json']);
  expect(await judge(map.data)).toEqual([
    ['acme', []],
    ['globex', ['batches.globex.example', 'globex.example.com']],
  ]);
});

test('what docs/tenants.md says of a setting is what the table has', async () => {
  const text = await read('docs/tenants.md');
  const named = (pattern: RegExp) => {
    const [line = ''] = text.split('\n').filter((each) => pattern.test(each));
    return [...line.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, name]) => name);
  };
  const kinds = (names: readonly (string | undefined)[]) =>
    new Set(names.map((name) => (isVariableName(name) ? infoOf(name).perTenant : 'none')));
  expect(kinds(named(/^- \*\*What names one tenant/))).toEqual(new Set(['own']));
  expect(kinds(named(/^- \*\*What is the process's/))).toEqual(new Set([undefined]));
});

test.each(SETTINGS_DOCUMENTS)('$path is as npm run settings prints it', async ({ path, print }) => {
  const present = await read(path);
  expect(present).toBe(print(present));
});

test('docs/settings.md and .env.example have every setting once, in order', async () => {
  const named = async (path: string, pattern: RegExp) =>
    [...(await read(path)).matchAll(pattern)].map(([, name]) => name);
  expect(await named('docs/settings.md', /^\| `([A-Z_]+)` \|/gm)).toEqual(VARIABLE_NAMES);
  expect(await named('.env.example', /^#([A-Z_]+)=/gm)).toEqual(VARIABLE_NAMES);
});

test('the limits in docs/security.md are all that the settings have', async () => {
  const text = await read('docs/security.md');
  const limits = VARIABLE_GROUPS.find(({ heading }) => heading === 'Limits')?.names ?? [];
  const rows = text.split('\n').filter((line) => line.startsWith('| '));
  expect(limits.length).toBeGreaterThan(10);
  expect(limits.filter((name) => !rows.some((row) => row.includes(`\`${name}\``)))).toEqual([]);
});

test('docs/scale.md has what npm run simulate prints', async () => {
  const blocks = [
    ...(await read('docs/scale.md')).matchAll(/```\n\$ npm run simulate(?: -- )?(.*)\n([^`]*)```/g),
  ];
  expect(blocks.length).toBeGreaterThan(5);
  for (const [, options = '', printed] of blocks) {
    expect(printSimulation(options.split(' ').filter(Boolean))).toBe(printed);
  }
});

test.each([
  [['--replicas', '0'], '--replicas takes a number from 1.'],
  [['--every', 'often'], '--every takes a number from 0.001.'],
  [['--env', 'STATUS_TTL_MS=soon'], 'STATUS_TTL_MS'],
])('npm run simulate refuses %j', (options, message) => {
  expect(() => printSimulation(options)).toThrow(message);
});
