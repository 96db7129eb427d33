import type { Verdict } from './goals.ts';
import type { Row } from './results.ts';

const HEADERS = [
  'server',
  'requests/s (spread)',
  'ratio',
  'p50 ms',
  'p99 ms',
  'CPU µs/request',
  'RSS MiB',
  'upstream calls/request',
  'errors',
];

/** The rows as a table of Markdown. */
export function toTable(rows: readonly Row[]): string {
  return toMarkdown(HEADERS, rows.map(toCells), 1);
}

function toCells(row: Row): string[] {
  const { median, min, max } = row.requestsPerSecond;
  return [
    row.label,
    `${whole(median)} (${whole(min)}–${whole(max)})`,
    row.ratio?.toFixed(2) ?? '',
    row.p50.toFixed(1),
    row.p99.toFixed(1),
    row.cpuUs.toFixed(0),
    row.memoryMiB.toFixed(0),
    row.upstreamCallsPerRequest.toFixed(row.upstreamCallsPerRequest < 0.1 ? 4 : 2),
    String(row.errors),
  ];
}

function whole(figure: number): string {
  return Math.round(figure).toLocaleString('en-GB');
}

/** Goals as a table of Markdown. */
export function toVerdictTable(verdicts: readonly Verdict[]): string {
  return toMarkdown(
    ['goal', 'measured', 'met'],
    verdicts.map(({ goal, measured, met }) => [goal, measured, met ? 'yes' : 'no']),
    3,
  );
}

/** Columns of equal width; those behind the first `leftColumns` are aligned to the right. */
function toMarkdown(header: string[], rows: string[][], leftColumns: number): string {
  const lines = [header, ...rows];
  const widths = header.map((_, column) =>
    Math.max(...lines.map((cells) => cells[column]?.length ?? 0)),
  );
  const [first = '', ...others] = lines.map((cells) => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column < leftColumns ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(' | ')} |`;
  });
  const rules = widths.map((width, column) =>
    column < leftColumns ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`,
  );
  return [first, `|${rules.join('|')}|`, ...others].join('\n');
}
