import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findProgram } from './find-program.ts';

/** Where it is unpacked to. Debian's package is not installed: that would start a server. */
const FOLDER = fileURLToPath(new URL('../node_modules/.cache/prometheus/', import.meta.url));

/** The path of Prometheus's promtool; undefined where it is neither on the PATH nor unpacked. */
export function findPromtool(): string | undefined {
  return findProgram('promtool', [`${FOLDER}usr/bin`]);
}

const UNPACK = `apt-get download -qq prometheus &&
  dpkg-deb --fsys-tarfile prometheus_*.deb | tar --extract ./usr/bin/promtool
  rm -f prometheus_*.deb`;

/** Takes it out of Debian's package `prometheus`, where it is missing. */
export async function unpackPromtool(): Promise<void> {
  if (findPromtool() !== undefined) return;
  process.stdout.write("Unpacking promtool, for the tests of Prometheus's rules.\n");
  mkdirSync(FOLDER, { recursive: true });
  await once(spawn('sh', ['-c', UNPACK], { cwd: FOLDER, stdio: 'inherit' }), 'close');
}
