import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findProgram } from './find-program.ts';

/** Where Debian's package is unpacked. It is not installed: that would start a server. */
const FOLDER = fileURLToPath(new URL('../node_modules/.cache/prometheus/', import.meta.url));

/** The path of Prometheus's promtool; undefined where it is neither on the PATH nor unpacked. */
export function findPromtool(): string | undefined {
  return findProgram('promtool', [`${FOLDER}usr/bin`]);
}

/** Takes it out of Debian's package `prometheus`, where it is missing. */
export async function unpackPromtool(): Promise<void> {
  if (findPromtool() !== undefined) return;
  process.stdout.write("Unpacking promtool, for the tests of Prometheus's rules.\n");
  mkdirSync(FOLDER, { recursive: true });
  await run('apt-get', ['download', '-qq', 'prometheus']);
  const archive = readdirSync(FOLDER).find((name) => name.endsWith('.deb'));
  if (archive !== undefined) await run('dpkg-deb', ['--extract', archive, '.']);
}

async function run(command: string, args: readonly string[]): Promise<void> {
  await once(spawn(command, args, { cwd: FOLDER, stdio: 'inherit' }), 'close');
}
