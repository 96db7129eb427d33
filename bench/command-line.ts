import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { type Stage, setStage } from './stage.ts';
import { toVerdictTable } from './table.ts';
import type { Verdict } from './verdict.ts';

/** What {@link readOptions} reads. */
export type Values<T extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: T }>
>['values'];

/** `--env NAME=value` for the gateway's settings, see {@link toEnv}; it may be repeated. */
export const ENV = {
  env: { type: 'string', multiple: true, default: [] },
} satisfies ParseArgsOptionsConfig;

/** `--header 'name: value'` for what all clients send; it may be repeated. */
export const HEADER = {
  header: { type: 'string', multiple: true, default: [] },
} satisfies ParseArgsOptionsConfig;

/** Tells the person who waits a line. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Reads the command line. Ends the process, with a message, when it is faulty, or `use` throws. */
export function readOptions<T extends ParseArgsOptionsConfig, R>(
  options: T,
  use: (values: Values<T>) => R,
): R {
  try {
    return use(parseArgs({ options }).values);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return process.exit(2);
  }
}

/** A count on the command line. Throws when it is not one, or below `min`. */
export function toCount(name: string, text: string, min = 1): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < min) {
    throw new Error(`--${name} takes a whole number from ${min}.`);
  }
  return count;
}

/** The names that `--only` or the like gives, of those that there are; all without it. Throws at any other name. */
export function toNames(only: string | undefined, known: readonly string[]): readonly string[] {
  const names = only?.split(',') ?? known;
  if (names.every((name) => known.includes(name))) return names;
  throw new Error(`Choose some of ${known.join(', ')}.`);
}

/** The scenarios that `--only` names, in their order; see {@link toNames}. */
export function toChosen<T>(only: string | undefined, all: ReadonlyMap<string, T>): [string, T][] {
  const names = toNames(only, [...all.keys()]);
  return [...all].filter(([name]) => names.includes(name));
}

/**
 * The gateway's settings: those that GATEWAY_ENV has as a JSON object, then those of `--env NAME=value`. Throws
 * when it is something else.
 */
export function toEnv(pairs: readonly string[]): Record<string, string> {
  const settings: Record<string, unknown> = JSON.parse(process.env['GATEWAY_ENV'] || '{}');
  const given = Object.entries(settings).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries([...given, ...pairs.map(toPair)]);
}

function toPair(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error('--env takes NAME=value.');
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Measures on a stage of its own, prints the verdicts, and ends the process: with 1 when a limit is missed. */
export async function judge(
  env: Record<string, string>,
  measure: (stage: Stage) => Promise<Verdict[]>,
): Promise<never> {
  const stage = await setStage(env);
  const verdicts = await measure(stage);
  await stage.clear();
  say(`\n${toVerdictTable(verdicts)}`);
  return process.exit(verdicts.every(({ must }) => must.met) ? 0 : 1);
}
