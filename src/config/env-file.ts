import { parseEnv } from 'node:util';
import { decodeTextFile, TextFileError } from '../lib/text-file.ts';
import { type Environment, SettingsError } from './load.ts';

/** Node.js reads these before the file is read. */
const READ_BY_NODE = ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'NODE_USE_SYSTEM_CA'];

/**
 * What `.env` adds to the environment, whose own variables come first. Lines may end as on any system, and a byte
 * order mark is no part of the first. Throws a {@link SettingsError}.
 */
export function parseEnvFile(bytes: Uint8Array, environment: Environment): Environment {
  const added = Object.entries(parseEnv(textOf(bytes))).filter(
    ([name]) => environment[name] === undefined,
  );
  const late = added.find(([name]) => READ_BY_NODE.includes(name));
  if (late !== undefined) {
    throw new SettingsError(
      `The file .env sets ${late[0]}, which Node.js does not read there: set it in the environment.`,
    );
  }
  return Object.fromEntries(added);
}

function textOf(bytes: Uint8Array): string {
  try {
    return decodeTextFile(bytes).replaceAll(/\r\n?/g, '\n');
  } catch (error) {
    if (error instanceof TextFileError) throw new SettingsError(`The file .env ${error.message}.`);
    throw error;
  }
}
