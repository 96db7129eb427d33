import { resolve } from 'node:path';
import { TextFileError } from '../lib/text-file.ts';
import type { ReadFile } from './files.ts';
import { describeFaults, judgeVariables, textsOf } from './judge-variables.ts';
import { SettingsError } from './load.ts';
import { faultyTenant, missingOfService } from './rules.ts';
import type { Settings } from './settings.ts';
import { decodeTenantFile, type TenantFileEntry } from './tenant-file.ts';
import { faultyHosts } from './tenant-rules.ts';
import { toSettings } from './to-settings.ts';
import { nearestName } from './variable-names.ts';
import {
  type Environment,
  type Fault,
  type Given,
  infoOf,
  isVariableName,
  SECRET_NAMES,
  VARIABLE_NAMES,
  type VariableName,
} from './variables.ts';

/** One tenant of TENANTS_DIR. */
export interface TenantSettings {
  /** That of its file, without `.json`. */
  readonly name: string;
  readonly settings: Settings;
}

/** What a file has before `.json`. */
function isTenantName(text: string): boolean {
  return /^[A-Za-z\d][\w.-]{0,63}$/.test(text);
}

/**
 * The settings of one tenant: those of its file, then of the environment (as `TenantsSettings` has it), then the
 * defaults. Paths in the file are relative to it. Throws a {@link SettingsError} that names every fault (nothing that
 * may be a secret); what is wrong between tenants is for `conflictsOf`.
 */
export function parseTenantSettings(
  name: string,
  text: string,
  environment: Environment,
  readFile: ReadFile,
): TenantSettings {
  if (!isTenantName(name)) {
    throw faultyTenantFile(name, [
      'Its name before .json is not a letter or digit and up to 63 more, or _ . -',
    ]);
  }
  const file = readTenantFile(text, environment);
  if ('fault' in file) throw faultyTenantFile(name, [file.fault]);
  const { given } = file;
  const { faults, values, clientCertificate } = judgeVariables(
    given,
    readFile,
    () => [...missingService(given), ...faultyTenant(given), ...faultyHosts(given)],
    file.faults,
  );
  const lines = [...file.lines, ...describeFaults(faults)];
  if (values === undefined || lines.length > 0) throw faultyTenantFile(name, lines);
  const settings = toSettings(values, {
    production: environment['NODE_ENV'] === 'production',
    clientCertificate,
    environment,
    unknownVariables: [],
  });
  return { name, settings };
}

/** What is wrong with a tenant's file, as the message of the gateway. */
export function faultyTenantFile(name: string, lines: readonly string[]): SettingsError {
  const file = isTenantName(name) ? `${name}.json` : JSON.stringify(`${name}.json`);
  return new SettingsError(`The tenant's file ${file} is faulty:\n  ${lines.join('\n  ')}`);
}

/** The files whose content is part of a tenant's settings: those of secrets and of its certificate. */
export function filesOfTenant(text: string, environment: Environment): string[] {
  const file = readTenantFile(text, environment);
  if ('fault' in file) return [];
  return NAMES_OF_FILES.flatMap((name) => file.given[name] ?? []);
}

const NAMES_OF_FILES: readonly VariableName[] = [
  ...SECRET_NAMES.map(([, fileName]) => fileName),
  'UPSTREAM_CLIENT_CERT_FILE',
  'UPSTREAM_CLIENT_KEY_FILE',
];

interface TenantFile {
  /** With what the environment adds. */
  readonly given: Given;
  readonly faults: readonly Fault[];
  /** What is wrong beside variables of a tenant. */
  readonly lines: readonly string[];
}

function readTenantFile(text: string, environment: Environment): TenantFile | { fault: string } {
  let entries: TenantFileEntry[];
  try {
    entries = decodeTenantFile(text);
  } catch (error) {
    if (error instanceof TextFileError) return { fault: `It ${error.message}` };
    throw error;
  }
  const texts = new Map<VariableName, string | undefined>();
  const faults: Fault[] = [];
  const lines: string[] = [];
  for (const { name, line, text: value } of entries) {
    if (!isVariableName(name) || infoOf(name).perTenant === undefined) {
      lines.push(problemOfName(name, line));
      continue;
    }
    if (texts.has(name)) faults.push([name, `is there once more, in line ${line}`]);
    else if (value === undefined)
      faults.push([name, 'is no text, number, true, false, or list of texts without commas']);
    else if (infoOf(name).secret)
      faults.push([name, `is in the file itself: name another one by ${name}_FILE`]);
    texts.set(name, toText(name, value, environment));
  }
  return {
    given: { ...inherited(environment, texts), ...Object.fromEntries(texts) },
    faults,
    lines,
  };
}

/** Undefined for what the tenant does not have, whatever the environment says. */
function toText(
  name: VariableName,
  value: string | undefined,
  environment: Environment,
): string | undefined {
  const text = value?.trim() || undefined;
  const isPath = NAMES_OF_FILES.includes(name);
  return isPath && text !== undefined ? resolve(environment['TENANTS_DIR'] ?? '', text) : text;
}

function problemOfName(name: string, line: number): string {
  if (!/^[A-Za-z]\w{0,63}$/.test(name)) return `Line ${line} has a name that is no setting`;
  if (isVariableName(name) || name === 'NODE_ENV') {
    return `${name} is not a tenant's, but the process's: set it in the environment`;
  }
  const meant = nearestName(name);
  return `${name} is no setting${meant === undefined ? '' : `: ${meant} is meant`}`;
}

/** What the environment's goes with: a tenant that sets the one does not want the others. */
const GO_TOGETHER: Readonly<Partial<Record<VariableName, readonly VariableName[]>>> = {
  TOKEN_GRANT: ['TOKEN_URL', 'TOKEN_ISSUER'],
  TOKEN_URL: ['TOKEN_ISSUER'],
  TOKEN_ISSUER: ['TOKEN_URL'],
  AUTH_ISSUER: ['AUTH_JWKS_URL'],
  FEDERATION_SECRET_FILE: ['FEDERATION_SECRET'],
};

function inherited(environment: Environment, texts: ReadonlyMap<VariableName, unknown>): Given {
  const replaced = new Set([...texts.keys()].flatMap((name) => GO_TOGETHER[name] ?? []));
  const given = textsOf(environment);
  return Object.fromEntries(
    VARIABLE_NAMES.filter((name) => infoOf(name).perTenant !== 'own' && !replaced.has(name)).map(
      (name) => [name, given[name]],
    ),
  );
}

function missingService(given: Given): Fault[] {
  const missing = missingOfService(given, 'TOKEN_CLIENT_SECRET_FILE');
  return given.PARTICIPANT_SERVICE_URL === undefined
    ? [['PARTICIPANT_SERVICE_URL', 'is missing'], ...missing]
    : missing;
}
