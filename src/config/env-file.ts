import { parseEnv } from 'node:util';
import { decodeTextFile, TextFileError } from '../lib/text-file.ts';
import { type Environment, SettingsError } from './load.ts';

/** Node.js reads these before the file is read. */
const READ_BY_NODE = ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'NODE_USE_SYSTEM_CA'];

/**
 * What `.env` adds to the environment, whose own variables come first. Lines may end as on any system, and a byte
 * order mark is no part of the first. Throws a {@link SettingsError} that shows nothing of what the file holds.
 */
export function parseEnvFile(bytes: Uint8Array, environment: Environment): Environment {
  const text = textOf(bytes);
  const idle = idleLineOf(text);
  if (idle !== undefined) {
    throw new SettingsError(`Line ${idle} of the file .env sets nothing: write NAME=value.`);
  }
  const variables = parseEnv(text);
  const added = Object.entries(variables).filter(([name]) => environment[name] === undefined);
  const late = added.find(([name]) => READ_BY_NODE.includes(name));
  if (late !== undefined) {
    throw new SettingsError(
      `The file .env sets ${late[0]}, which Node.js does not read there: set it in the environment.`,
    );
  }
  return Object.fromEntries(added);
}

const LINE = /^\s*(?:#.*|(?:export\s+)?[\w.-]+\s*=\s*(?:(["'`])(.*)|.*))?$/;

/** The number of the first line that Node.js passes over, because it sets nothing. */
function idleLineOf(text: string): number | undefined {
  const lines = text.split('\n');
  let open: string | undefined;
  for (const [index, line] of lines.entries()) {
    if (open !== undefined) {
      if (line.includes(open)) open = undefined;
      continue;
    }
    const match = LINE.exec(line);
    if (match === null) return index + 1;
    const [, quote, rest] = match;
    // A value in quotes may have several lines.
    const later = lines.slice(index + 1).join('\n');
    if (quote !== undefined && !rest?.includes(quote) && later.includes(quote)) open = quote;
  }
  return undefined;
}

function textOf(bytes: Uint8Array): string {
  try {
    return decodeTextFile(bytes).replaceAll(/\r\n?/g, '\n');
  } catch (error) {
    if (error instanceof TextFileError) throw new SettingsError(`The file .env ${error.message}.`);
    throw error;
  }
}
