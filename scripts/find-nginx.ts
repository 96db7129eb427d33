import { fileURLToPath } from 'node:url';
import { findProgram } from './find-program.ts';

/** Where `npm run test:prepare` unpacks Debian's nginx, where it is not installed. */
export const NGINX_FOLDER = fileURLToPath(
  new URL('../node_modules/.cache/nginx/', import.meta.url),
);

/** The path of nginx; undefined where there is none. */
export function findNginx(): string | undefined {
  return findProgram('nginx', ['/usr/sbin', `${NGINX_FOLDER}usr/sbin`]);
}
