/**
 * Compares `schema.graphql` with that of the last release (the newest tag `v*`, or else main), and names
 * what changed. Breaking
 * changes end it with 1, unless package.json announces them by a new major version (while it is 0, a
 * new minor version). Without a base, or without git, there is nothing to compare, and it says so.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { CriticalityLevel, diff, type Rule } from '@graphql-inspector/core';
import { buildASTSchema, type GraphQLSchema, parse } from 'graphql';

const SCHEMA = 'schema.graphql';

async function git(...args: string[]): Promise<string | undefined> {
  try {
    return (await promisify(execFile)('git', args)).stdout.trimEnd();
  } catch {
    return undefined;
  }
}

async function findBase(): Promise<string | undefined> {
  const tag = await git('describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*');
  for (const base of [tag, 'origin/main', 'main']) {
    if (base && (await git('cat-file', '-e', `${base}:${SCHEMA}`)) !== undefined) return base;
  }
  return undefined;
}

/** Of a subgraph's SDL, in which federation's own definitions are left out. */
function toSchema(sdl: string): GraphQLSchema {
  return buildASTSchema(parse(sdl), { assumeValidSDL: true });
}

/** Other subgraphs refer to an entity by its keys: without one of them, they no longer compose. */
const removedKeysBreak: Rule = ({ changes }) =>
  changes.map((change) =>
    change.type === 'DIRECTIVE_USAGE_OBJECT_REMOVED' && change.path?.endsWith('.@key')
      ? { ...change, criticality: { level: CriticalityLevel.Breaking } }
      : change,
  );

/** What no client depends on: descriptions, and how the SDL links its directives. */
const leaveOutWords: Rule = ({ changes }) =>
  changes.filter(({ type, path }) => !type.includes('DESCRIPTION') && !path?.startsWith('.@link'));

/** What of a version has to change with a breaking change, as Semantic Versioning has it. */
function compatibilityOf(manifest: string): string {
  const [major, minor] = String(JSON.parse(manifest).version).split('.');
  return major === '0' ? `0.${minor}` : String(major);
}

const base = await findBase();
if (base === undefined) {
  process.stdout.write(`Schema: nothing to compare with: no tag v*, and no main with ${SCHEMA}.\n`);
  process.exit(0);
}
const [baseSdl = '', baseManifest = '{}'] = await Promise.all(
  [SCHEMA, 'package.json'].map((path) => git('show', `${base}:${path}`)),
);
const changes = await diff(toSchema(baseSdl), toSchema(await readFile(SCHEMA, 'utf8')), [
  removedKeysBreak,
  leaveOutWords,
]);
const named = (level: CriticalityLevel, word: string) =>
  changes
    .filter(({ criticality }) => criticality.level === level)
    .map(({ path = SCHEMA, message }) => `  ${word}  ${path}: ${message}\n`);

const breaking = named(CriticalityLevel.Breaking, 'breaking');
const lines = [
  ...breaking,
  ...named(CriticalityLevel.Dangerous, 'dangerous'),
  ...named(CriticalityLevel.NonBreaking, 'safe'),
];
process.stdout.write(
  `Schema: compared with ${base}: ${changes.length} changes, ${breaking.length} of them breaking.\n${lines.join('')}`,
);

const announced =
  compatibilityOf(baseManifest) !== compatibilityOf(await readFile('package.json', 'utf8'));
if (breaking.length > 0 && !announced) {
  process.stderr.write(
    'Clients of the last release would fail. Keep what they use (@deprecated says what to use instead), or set a new major version (a new minor one while it is 0) in package.json.\n',
  );
  process.exit(1);
}
