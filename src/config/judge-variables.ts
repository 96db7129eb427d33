import { hasInvisibleCharacters } from '../lib/text-file.ts';
import { describeValue } from './describe-value.ts';
import { type ReadFile, readClientCertificate, readSecretFiles } from './files.ts';
import type { ClientCertificate } from './settings.ts';
import { ALSO_IN_LOWER_CASE } from './variable-names.ts';
import {
  type Environment,
  environmentSchema,
  type Fault,
  type Given,
  infoOf,
  isVariableName,
  SECRET_NAMES,
  VARIABLE_NAMES,
  type VariableName,
  type VariableValues,
} from './variables.ts';

/** What is wrong with variables, by their names, as the end of a sentence that begins with it. */
export type Faults = ReadonlyMap<VariableName, string>;

interface JudgedVariables {
  readonly faults: Faults;
  /** Undefined where one of them could not be decoded. */
  readonly values: VariableValues | undefined;
  readonly clientCertificate: ClientCertificate | undefined;
}

/**
 * Decodes each variable and the files that they name. Of a variable, the first fault is told: what is known `before`,
 * then its own, then what `combinations` has.
 */
export function judgeVariables(
  given: Given,
  readFile: ReadFile,
  combinations: () => readonly Fault[],
  before: readonly Fault[] = [],
): JudgedVariables {
  const secrets = readSecretFiles(given, readFile);
  const certificate = readClientCertificate(given, readFile);
  const parsed = environmentSchema.safeParse(secrets.value);
  const faults = new Map<VariableName, string>();
  for (const [name, problem] of [
    ...before,
    ...invisibleCharacters(given),
    ...(parsed.error?.issues ?? []).flatMap(({ path: [name] }) => toFault(name, given)),
    ...secrets.faults,
    ...certificate.faults,
    ...combinations(),
  ]) {
    if (!faults.has(name)) faults.set(name, problem);
  }
  return { faults, values: parsed.data, clientCertificate: certificate.value };
}

/** A line for each, in the order of the documents. */
export function describeFaults(faults: Faults): string[] {
  return VARIABLE_NAMES.filter((name) => faults.has(name)).map(
    (name) => `${name} ${faults.get(name)}; it accepts ${infoOf(name).accepts}`,
  );
}

/** The texts of our variables that are set. */
export function textsOf(environment: Environment): Given {
  const texts = VARIABLE_NAMES.map((name) => {
    const lower = ALSO_IN_LOWER_CASE.has(name) ? environment[name.toLowerCase()]?.trim() : '';
    return [name, lower || environment[name]?.trim()] as const;
  });
  return Object.fromEntries(texts.filter(([, text]) => text !== undefined && text !== ''));
}

function invisibleCharacters(given: Given): Fault[] {
  return VARIABLE_NAMES.filter((name) => hasInvisibleCharacters(given[name] ?? '')).map((name) => [
    name,
    'has control or invisible characters, or more than one line',
  ]);
}

/** A secret that came from a file is that file's fault. */
function toFault(name: unknown, given: Given): Fault[] {
  if (!isVariableName(name)) return [];
  const text = given[name];
  const [, fileName] = SECRET_NAMES.find(([secret]) => secret === name) ?? [];
  return text === undefined && fileName !== undefined
    ? [[fileName, `names a file with a text that ${name} does not accept: ${infoOf(name).accepts}`]]
    : [[name, describeValue(name, text ?? '')]];
}
