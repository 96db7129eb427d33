import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { findPromtool } from '../../scripts/find-promtool.ts';
import { createBusyMetrics } from '../support/busy-metrics.ts';
import { dashboardExpressions } from '../support/deploy-files.ts';
import { STATUS_QUERY, startTestGateway } from '../support/test-gateway.ts';

const FOLDER = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));

async function promtool(args: readonly string[], input = '') {
  const child = spawn(findPromtool() ?? 'promtool', args, { cwd: FOLDER });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  child.stdin.end(input);
  const [exitCode] = await once(child, 'close');
  return { exitCode, output };
}

test('promtool accepts the alerts', async () => {
  const { exitCode, output } = await promtool(['check', 'rules', 'alerts.yml']);
  expect(output).toContain('SUCCESS: 8 rules found');
  expect(exitCode).toBe(0);
});

test('each alert comes for what it is there for, and none without', async () => {
  const { exitCode, output } = await promtool(['test', 'rules', 'alerts.test.yml']);
  expect(output).toContain('SUCCESS');
  expect(exitCode).toBe(0);
  const tests = await readFile(`${FOLDER}alerts.test.yml`, 'utf8');
  const alerts = await readFile(`${FOLDER}alerts.yml`, 'utf8');
  for (const [, name] of alerts.matchAll(/alert: (\w+)/g)) expect(tests).toContain(`"${name}"`);
});

test('promtool accepts every expression of the dashboard', async () => {
  const rules = (await dashboardExpressions()).map((expr, index) => ({
    record: `panel:${index}`,
    expr,
  }));
  const folder = await mkdtemp(join(tmpdir(), 'dashboard-'));
  const file = join(folder, 'rules.yml');
  await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  const { exitCode, output } = await promtool(['check', 'rules', file]);
  await rm(folder, { recursive: true });
  expect(output).toContain(`SUCCESS: ${rules.length} rules found`);
  expect(exitCode).toBe(0);
});

test('promtool has nothing against what a gateway shows', async () => {
  await using gateway = await startTestGateway();
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'batch-finished' });
  await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'fault-404' });
  const { metricsUrl = gateway.url } = gateway;
  const text = await (await fetch(metricsUrl)).text();
  expect(await promtool(['check', 'metrics'], text)).toEqual({ exitCode: 0, output: '' });
});

test('nor against what one shows that has met all that there is', async () => {
  const metrics = createBusyMetrics({
    tenants: ['acme'],
    participantTypes: ['vehicles', '"quoted"', 'größer'],
    operationNames: ['A', 'B'],
  });
  const { body } = await metrics.scrape(undefined);
  metrics.close();
  expect(await promtool(['check', 'metrics'], body)).toEqual({ exitCode: 0, output: '' });
});
