import { readFile } from 'node:fs/promises';

export interface Alert {
  name: string;
  expr: string;
  severity: string;
  summary: string;
  runbook: string;
}

function read(path: string): Promise<string> {
  return readFile(new URL(`../../deploy/${path}`, import.meta.url), 'utf8');
}

/** The alerts in deploy/prometheus, as far as tests look at them. Throws where one lacks something. */
export async function readAlerts(): Promise<Alert[]> {
  const [, ...texts] = (await read('prometheus/alerts.yml')).split(/^ {6}- alert: /m);
  return texts.map((text) => {
    const find = (pattern: RegExp): string => {
      const [, found] = pattern.exec(text) ?? [];
      if (found === undefined) throw new Error(`an alert lacks ${pattern}: ${text}`);
      return found;
    };
    const isBlock = text.includes('expr: |\n');
    return {
      name: find(/^(\w+)\n/),
      expr: find(isBlock ? /expr: \|\n((?: {10}.+\n)+)/ : /expr: (.+)\n/),
      severity: find(/ severity: (warning|critical)\n/),
      summary: find(/ summary: (.+)\n/),
      runbook: find(/ runbook: (\S+)\n/),
    };
  });
}

interface Panel {
  id: number;
  type: string;
  title: string;
  targets?: { expr: string; legendFormat: string }[];
}

export async function readDashboard(): Promise<{ title: string; panels: Panel[] }> {
  return JSON.parse(await read('grafana/dashboard.json'));
}

/** The expressions of the dashboard as Grafana sends them, its variables filled in. */
export async function dashboardExpressions(): Promise<string[]> {
  const { panels } = await readDashboard();
  return panels.flatMap(({ targets = [] }) =>
    targets.map(({ expr }) =>
      expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(?:job|instance)/g, '.*'),
    ),
  );
}

const WORDS = new Set(
  'by on and or sum max min count rate increase absent histogram_quantile'.split(' '),
);

/** The metrics that an expression of PromQL names. */
export function metricsIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replaceAll(/\b(?:by|on) *\([^)]*\)/g, ' ');
  return (bare.match(/[a-z_]\w*/g) ?? []).filter((word) => !WORDS.has(word));
}
