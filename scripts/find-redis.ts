import { fileURLToPath } from 'node:url';
import { findProgram } from './find-program.ts';

/** Where `npm run test:prepare` unpacks Debian's redis-server, with the libraries that it needs. */
export const REDIS_FOLDER = fileURLToPath(
  new URL('../node_modules/.cache/redis/', import.meta.url),
);

/** LD_LIBRARY_PATH for that one. */
export const REDIS_LIBRARIES = ['x86_64', 'aarch64']
  .map((machine) => `${REDIS_FOLDER}usr/lib/${machine}-linux-gnu`)
  .join(':');

/** The path of redis-server; undefined where there is none. */
export function findRedis(): string | undefined {
  return findProgram('redis-server', [`${REDIS_FOLDER}usr/bin`]);
}
