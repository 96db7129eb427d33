import { expect, test } from 'vitest';
import { createGateway, type GatewaySettings, SettingsError } from '../../src/index.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { environmentFor, STATUS_QUERY } from '../support/test-gateway.ts';

async function ask(endpoint: URL, batchId: string): Promise<unknown> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      query: STATUS_QUERY,
      variables: { participantType: 'vehicles', batchId },
    }),
  });
  return response.json();
}

test('a program starts a gateway with settings of its own, reads its log, and stops it', async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = () => ({ body: { data: { status: 'DONE' } } });
  const lines: string[] = [];
  const gateway = await createGateway(
    { ...environmentFor(upstream.url), PORT: 0, GRAPHIQL: false, SHUTDOWN_DELAY_MS: 0 },
    { writeLog: (line) => void lines.push(line) },
  );
  const endpoint = await gateway.start();
  expect(await ask(endpoint, 'b-1')).toEqual({
    data: { batchStatus: { id: 'vehicles/b-1', status: 'DONE' } },
  });
  expect(
    (await fetch(endpoint, { headers: { accept: 'text/html' } })).headers.get('content-type'),
  ).not.toContain('html');
  await gateway.stop();

  await expect(fetch(endpoint)).rejects.toThrow();
  expect(lines.every((line) => line.endsWith('}\n'))).toBe(true);
  expect(lines.map((line) => JSON.parse(line).msg)).toContain('request');
});

test('without settings it runs on the sandbox; the environment of the process is not read', async () => {
  process.env['FEDERATION'] = 'nonsense';
  try {
    const gateway = await createGateway({ PORT: 0 }, { writeLog() {} });
    const endpoint = await gateway.start();
    expect(await ask(endpoint, 'batch-partial')).toEqual({
      data: { batchStatus: { id: 'vehicles/batch-partial', status: 'PARTIAL_SUCCESS' } },
    });
    await gateway.stop(0);
  } finally {
    delete process.env['FEDERATION'];
  }
});

test('a gateway that never started can be stopped', async () => {
  const gateway = await createGateway({}, { writeLog() {} });
  await gateway.stop(0);
});

const misspelt = { AUTH_MOD: 'jwt', PORTS: 1, PORT: 0 };
test.each<{ what: string; settings: GatewaySettings; message: string }>([
  {
    what: 'two faulty settings',
    settings: { PORT: 'http', QUERY_MAX_DEPTH: 1.5 },
    message:
      'The settings are faulty:\n  PORT is "http"; it accepts a whole number from 0 to 65535\n  QUERY_MAX_DEPTH is "1.5"; it accepts a whole number from 1 to 100',
  },
  {
    what: 'a directory of tenants that is not there, and a setting beside it',
    settings: { TENANTS_DIR: '/no/such/directory', PORT: 'http' },
    message:
      'The settings are faulty:\n  PORT is "http"; it accepts a whole number from 0 to 65535\n  TENANTS_DIR names a directory that cannot be read (ENOENT)',
  },
  {
    what: 'names that are none',
    settings: misspelt,
    message: 'There are no settings AUTH_MOD, PORTS.',
  },
])('64: $what are refused', async ({ settings, message }) => {
  await expect(createGateway(settings)).rejects.toEqual(new SettingsError(message));
});
