import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createBusyMetrics } from '../support/busy-metrics.ts';
import {
  dashboardExpressions,
  metricsIn,
  readAlerts,
  readDashboard,
} from '../support/deploy-files.ts';
import { parseExposition } from '../support/exposition.ts';
import { startTestGateway } from '../support/test-gateway.ts';

function read(path: string): Promise<string> {
  return readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
}

test('the table in docs/metrics.md is what a gateway shows, in order', async () => {
  const metrics = createBusyMetrics({
    participantTypes: ['vehicles'],
    operationNames: ['Status'],
    tenants: ['acme'],
  });
  const shown = parseExposition((await metrics.scrape(undefined)).body);
  metrics.close();
  const rows = [...shown].map(([name, { type, help, samples }]) => {
    const all = [...samples.keys()].flatMap((series) => [...series.matchAll(/[{,](\w+)="/g)]);
    const labels = new Set(all.map(([, label]) => `\`${label}\``));
    labels.delete('`le`');
    const cell = labels.size === 0 ? ' ' : ` ${[...labels].join(', ')} `;
    return `| \`${name}\` | ${type} |${cell}| ${help} |`;
  });
  const written = (await read('docs/metrics.md')).match(/^\| `\w+` \| (?:counter|gauge|hist).+$/gm);
  expect(written).toEqual(rows);
});

test('every metric that alerts and dashboard name is in a scrape', async () => {
  const alerts = await readAlerts();
  const expressions = [...alerts.map(({ expr }) => expr), ...(await dashboardExpressions())];
  const named = new Set(expressions.flatMap(metricsIn));
  expect(named.size).toBeGreaterThan(25);
  await using gateway = await startTestGateway();
  const { metricsUrl = gateway.url } = gateway;
  const text = await (await fetch(metricsUrl)).text();
  const names = [...parseExposition(text)].flatMap(([name, { samples }]) => [
    name,
    ...[...samples.keys()].map((series) => series.replace(/\{.*$/, '')),
  ]);
  expect([...named].filter((name) => !names.includes(name))).toEqual([]);
});

test('each of the eight alerts has a runbook in docs/operations.md, and no other has', async () => {
  const alerts = await readAlerts();
  const operations = await read('docs/operations.md');
  const runbooks = [...operations.matchAll(/^#### (ParticipantGateway\w+)\n\n(.+)$/gm)];
  expect(alerts).toHaveLength(8);
  expect(runbooks.map(([, name]) => name)).toEqual(alerts.map(({ name }) => name));
  expect(alerts.map(({ runbook }) => runbook)).toEqual(
    alerts.map(({ name }) => `docs/operations.md#${name.toLowerCase()}`),
  );
});

test('each panel of the dashboard has a place, a title and expressions of its own', async () => {
  const { title, panels } = await readDashboard();
  expect(title).toBe('participant-gateway');
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const graphs = panels.filter(({ type }) => type !== 'row');
  expect(graphs.length).toBeGreaterThan(15);
  for (const { targets = [], ...panel } of graphs) {
    expect(panel).toMatchObject({ type: 'timeseries', title: expect.stringMatching(/\w/) });
    expect(targets.length).toBeGreaterThan(0);
    for (const { expr } of targets) expect(expr).toContain('{job=~"$job",instance=~"$instance"');
  }
});
