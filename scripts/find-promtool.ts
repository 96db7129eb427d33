import { fileURLToPath } from 'node:url';
import { findProgram } from './find-program.ts';

/** Where `npm run test:prepare` unpacks promtool, where it is not installed. */
export const PROMTOOL_FOLDER = fileURLToPath(
  new URL('../node_modules/.cache/prometheus/', import.meta.url),
);

/** The path of Prometheus's promtool; undefined where there is none. */
export function findPromtool(): string | undefined {
  return findProgram('promtool', [`${PROMTOOL_FOLDER}usr/bin`]);
}
