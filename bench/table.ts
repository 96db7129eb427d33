import type { Row } from './results.ts';
import { inHundredths, inWhole, spreadText } from './statistics.ts';
import type { Verdict } from './verdict.ts';

/** What is above a column, and in its cells. */
export type Column<T> = readonly [header: string, cell: (row: T) => string];

/** Those of servers; the first four are enough for a short table. */
export const COLUMNS: readonly Column<Row>[] = [
  ['server', ({ label }) => label],
  ['ratio of CPU time (spread)', ({ ratio }) => (ratio ? spreadText(ratio, inHundredths) : '')],
  ['CPU µs/request', ({ cpuUs }) => cpuUs.toFixed(0)],
  ['requests/s (spread)', ({ requestsPerSecond }) => spreadText(requestsPerSecond, inWhole)],
  ['ratio of requests/s', ({ requestsRatio }) => requestsRatio?.median.toFixed(2) ?? ''],
  ['p50 ms', ({ p50 }) => p50.toFixed(1)],
  ['p99 ms', ({ p99 }) => p99.toFixed(1)],
  ['RSS MiB', ({ memoryMiB }) => memoryMiB.toFixed(0)],
  ['upstream calls/request', ({ upstreamCallsPerRequest: calls }) => calls.toPrecision(3)],
  ['errors', ({ errors }) => String(errors)],
];

const yesOrNo = (met: boolean | undefined) => (met === undefined ? '' : met ? 'yes' : 'no');

const VERDICT_COLUMNS: readonly Column<Verdict>[] = [
  ['what', ({ what }) => what],
  ['measured', ({ measured }) => measured],
  ['must', ({ must }) => must.limit],
  ['met', ({ must }) => yesOrNo(must.met)],
  ['goal', ({ goal }) => goal?.limit ?? ''],
  ['met', ({ goal }) => yesOrNo(goal?.met)],
];

/** The rows as a table of Markdown. */
export function toTable(rows: readonly Row[]): string {
  return toMarkdown(rows, COLUMNS, 1);
}

/** Verdicts as a table of Markdown; columns for goals only where there are some. */
export function toVerdictTable(verdicts: readonly Verdict[]): string {
  const hasGoals = verdicts.some(({ goal }) => goal !== undefined);
  const columns = hasGoals ? VERDICT_COLUMNS : VERDICT_COLUMNS.slice(0, 4);
  return toMarkdown(verdicts, columns, columns.length);
}

/** Columns of equal width; those behind the first `leftColumns` are aligned to the right. */
export function toMarkdown<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  leftColumns: number,
): string {
  const lines = [
    columns.map(([header]) => header),
    ...rows.map((row) => columns.map(([, cell]) => cell(row))),
  ];
  const widths = columns.map((_, column) =>
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
