import { readFile } from 'node:fs/promises';

/** The unit that is deployed, of which each instance is named after its port. */
export const UNIT = new URL('../../deploy/systemd/participant-gateway@.service', import.meta.url);

/** The directives of a section, in order. */
export async function readDirectives(section: string): Promise<[name: string, value: string][]> {
  const text = await readFile(UNIT, 'utf8');
  const parts = text.split(/^\[(\w+)\]\n/m);
  const body = parts[parts.indexOf(section) + 1] ?? '';
  return body
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
}

/** What the unit puts into the environment of the instance on a port. */
export async function readUnitEnvironment(
  port: number,
  credentials: string,
): Promise<Record<string, string>> {
  const assignments = (await readDirectives('Service'))
    .filter(([name]) => name === 'Environment')
    .map(([, value]) => value.replaceAll('%i', String(port)).replaceAll('%d', credentials));
  return Object.fromEntries(
    assignments.map((text) => [
      text.slice(0, text.indexOf('=')),
      text.slice(text.indexOf('=') + 1),
    ]),
  );
}
