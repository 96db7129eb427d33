import type { ParseArgsOptionsConfig } from 'node:util';
import { ENV, HEADER, toCount, toEnv, toNames, type Values } from './command-line.ts';
import type { SliceOptions } from './slices.ts';
import type { Subject } from './subjects.ts';

/** What the programs read that measure in slices. */
export const SLICE_OPTIONS = {
  rounds: { type: 'string', default: '10' },
  seconds: { type: 'string', default: '1' },
  warmup: { type: 'string', default: '10' },
  only: { type: 'string' },
  against: { type: 'string' },
  write: { type: 'boolean', default: false },
  ...ENV,
  ...HEADER,
} satisfies ParseArgsOptionsConfig;

/** What the command line asks for. */
export interface Options extends SliceOptions {
  subjects: readonly Subject[];
  /** Settings of the gateway besides those of the benchmark. */
  env: Record<string, string>;
  /** Whether all of this project is measured, and nothing else. */
  whole: boolean;
  write: boolean;
}

/**
 * Checks them; `other` gives what is measured of another checkout besides. Throws an Error with a message for the
 * person who wrote them.
 */
export function toOptions(
  values: Values<typeof SLICE_OPTIONS>,
  own: readonly Subject[],
  other: (folder: string) => readonly Subject[],
): Options {
  const { only, against, write } = values;
  const known = against === undefined ? own : [...own, ...other(against)];
  const all = known.map(({ name }) => name);
  const names = toNames(only, all);
  const whole = only === undefined && against === undefined;
  if (write && !whole)
    throw new Error('--write takes a whole run: nothing chosen, nothing besides.');
  return {
    rounds: toCount('rounds', values.rounds),
    seconds: toCount('seconds', values.seconds),
    warmupSeconds: toCount('warmup', values.warmup, 0),
    subjects: known.filter(({ name }) => names.includes(name)),
    env: toEnv(values.env),
    headers: values.header,
    whole,
    write,
  };
}
