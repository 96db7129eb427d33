import type { ReadFile } from './files.ts';
import { describeFaults, judgeVariables, textsOf } from './judge-variables.ts';
import { faultyCombinations } from './rules.ts';
import type { Settings } from './settings.ts';
import { toSettings } from './to-settings.ts';
import { findOddNames } from './variable-names.ts';
import type { Environment } from './variables.ts';

/** Faulty settings, all of them in one message. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export type { Environment };

/** Variables that there were, and what to do instead. */
const RETIRED: readonly (readonly [name: string, advice: string])[] = [
  [
    'MAX_CONCURRENT_REQUESTS',
    'set INTAKE_MAX_REQUESTS for the requests that are held at a time, and UPSTREAM_MAX_CONNECTIONS for the upstream calls',
  ],
];

/**
 * Reads the settings. White space around a variable is not part of it, and one that is empty then counts as not set.
 * The files of TENANTS_DIR are not read. Throws a {@link SettingsError} that names every faulty variable, and every
 * one whose name is misspelt, what it got (nothing that may be a secret), and what it accepts.
 */
export function parseSettings(environment: Environment, readFile: ReadFile): Settings {
  const given = textsOf(environment);
  const nodeEnv = environment['NODE_ENV']?.trim() ?? '';
  const { faults, values, clientCertificate } = judgeVariables(given, readFile, () =>
    faultyCombinations(given, { nodeEnv, readFile }),
  );
  const { misspelt, unknown } = findOddNames(environment);
  const others = [
    ...misspelt.map(([name, meant]) => `${name} is no setting: ${meant} is meant`),
    ...RETIRED.filter(([name]) => environment[name]).map(
      ([name, advice]) => `${name} is retired: ${advice}`,
    ),
    ...(/^prod/i.test(nodeEnv) && nodeEnv !== 'production'
      ? ['NODE_ENV is something like production: write it so']
      : []),
  ];
  if (values !== undefined && faults.size === 0 && others.length === 0) {
    return toSettings(values, {
      production: nodeEnv === 'production',
      clientCertificate,
      environment: ownEnvironment(environment),
      unknownVariables: unknown,
    });
  }
  const lines = [...describeFaults(faults), ...others].map((line) => `  ${line}`);
  throw new SettingsError(`The settings are faulty:\n${lines.join('\n')}`);
}

/** Of an environment, what the gateway reads, without white space around it and what is empty. */
export function ownEnvironment(environment: Environment): Environment {
  return { ...textsOf(environment), NODE_ENV: environment['NODE_ENV']?.trim() };
}
