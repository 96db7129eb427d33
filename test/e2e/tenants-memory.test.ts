import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../support/child-process.ts';
import { askAs, startTestTenant, TENANT_CLAIM } from '../support/test-tenants.ts';

const TENANTS = 200;
const MAX_RESIDENT_MIB = 200;

async function residentMiB(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

test('200 tenants, each with its token, keys and an answer, take at most 200 MiB when idle', async () => {
  await using tenant = await startTestTenant('acme');
  const directory = await mkdtemp(join(tmpdir(), 'tenants-'));
  await writeFile(join(directory, 'acme.secret'), 'a-secret');
  const names = Array.from({ length: TENANTS }, (_, index) => `tenant-${index}`);
  for (const name of names) {
    const settings = {
      ...tenant.settings,
      PARTICIPANT_SERVICE_TENANT_ID: name,
      TENANT_HOSTS: `${name}.example`,
    };
    await writeFile(join(directory, `${name}.json`), JSON.stringify(settings));
  }
  // As npm start runs it.
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'));
  const [, ...nodeArgs] = scripts.start.split(' ').slice(0, -1);
  const environment = { PORT: '0', TENANTS_DIR: directory, AUTH_MODE: 'jwt', TENANT_CLAIM };
  await using program = runProgram('bin/participant-gateway.js', environment, { nodeArgs });
  const [, endpoint = ''] = await program.printed(/"graphql":"([^"]+)"/);
  const gateway = { endpoint: new URL(endpoint) };
  for (const name of names) {
    const token = await tenant.issueToken({ tenant: name });
    const { status, body } = await askAs(gateway, { authorization: `Bearer ${token}` });
    expect({ status, body }).toEqual({
      status: 200,
      body: { data: { batchStatus: { id: 'vehicles/b-1', status: 'acme' } } },
    });
  }
  expect(tenant.upstream.tokenCalls).toHaveLength(TENANTS);
  const resident = () => residentMiB(program.process.pid);
  await expect.poll(resident, { timeout: 20_000 }).toBeLessThanOrEqual(MAX_RESIDENT_MIB);
  await rm(directory, { recursive: true });
});
