import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stage } from '../stage.ts';
import { BAD_TENANT, GOOD_TENANT, TENANT_HEADER } from './ways.ts';

/** Of the environment with one tenant, what names it. */
const NOT_WITH_TENANTS = [
  'PARTICIPANT_SERVICE_URL',
  'PARTICIPANT_SERVICE_TENANT_ID',
  'TOKEN_CLIENT_ID',
  'TOKEN_CLIENT_SECRET',
];

/** Settings of a gateway that serves a good and a bad tenant, told apart by a header. Writes their files. */
export function tenantsEnv(stage: Stage, upstreamOrigin: string): Record<string, string> {
  const directory = join(stage.folder, 'tenants');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'secret'), 'bench');
  for (const name of [GOOD_TENANT, BAD_TENANT]) {
    const settings = {
      PARTICIPANT_SERVICE_URL: upstreamOrigin,
      PARTICIPANT_SERVICE_TENANT_ID: name,
      TOKEN_CLIENT_ID: 'bench',
      TOKEN_CLIENT_SECRET_FILE: 'secret',
    };
    writeFileSync(join(directory, `${name}.json`), JSON.stringify(settings));
  }
  return {
    ...Object.fromEntries(NOT_WITH_TENANTS.map((name) => [name, ''])),
    AUTH_MODE: 'none',
    TENANTS_DIR: directory,
    TENANT_HEADER,
  };
}
