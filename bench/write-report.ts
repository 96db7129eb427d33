import { readFileSync, writeFileSync } from 'node:fs';
import type { Verdict } from './goals.ts';
import { toPicture } from './picture.ts';
import type { Row } from './results.ts';
import { toTable, toVerdictTable } from './table.ts';
import type { Workload } from './workloads.ts';

/** A whole run. */
export interface Report {
  /** The day, as YYYY-MM-DD. */
  date: string;
  /** What ran it: versions, upstream, load, times. */
  setup: string;
  rows: readonly Row[];
  verdicts: readonly Verdict[];
}

const DOCS = new URL('../docs/', import.meta.url);
const PLACE = /(<!-- bench -->\n).*(<!-- \/bench -->)/s;

/**
 * Writes a run to docs/bench.json, docs/images/bench.svg and its place in docs/performance.md. Throws
 * when that place is missing.
 */
export function writeReport(report: Report): void {
  const { date, setup, rows, verdicts } = report;
  const page = new URL('performance.md', DOCS);
  const text = readFileSync(page, 'utf8');
  if (!PLACE.test(text)) throw new Error('docs/performance.md has no place for the tables.');
  const table = (workload: Workload) => toTable(rows.filter((row) => row.workload === workload));
  const section = `${date}, ${setup}.

Cold:

${table('cold')}

Hot:

${table('hot')}

Goals:

${toVerdictTable(verdicts)}
`;
  writeFileSync(
    page,
    text.replace(PLACE, (_whole, begin: string, end: string) => `${begin}${section}${end}`),
  );
  writeFileSync(new URL('bench.json', DOCS), `${JSON.stringify(report, rounded, 2)}\n`);
  writeFileSync(new URL('images/bench.svg', DOCS), toPicture(rows, [date, ...setup.split('; ')]));
}

/** Five digits are more than any figure deserves. */
function rounded(_name: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}
