import { readFileSync, writeFileSync } from 'node:fs';
import { notesOf } from './core-watch.ts';
import { toPicture } from './picture.ts';
import type { Row } from './results.ts';
import type { Series } from './slices.ts';
import { toTable, toVerdictTable } from './table.ts';
import type { Verdict } from './verdict.ts';
import type { Workload } from './workloads.ts';

const DOCS = new URL('../docs/', import.meta.url);

/** Where there was too little of the machine for a slice, in lines for people. */
export function toNotes(series: readonly Series[]): string[] {
  return series.flatMap(({ subject, workload, rounds }) =>
    notesOf(rounds, `${workload} ${subject.name}: `),
  );
}

/**
 * Writes a run to docs/bench.json, docs/images/bench.svg and its place in docs/performance.md. Throws
 * when that place is missing.
 */
export function writeReport(
  setup: string,
  rows: readonly Row[],
  verdicts: readonly Verdict[],
): void {
  const date = today();
  const table = (workload: Workload) => toTable(rows.filter((row) => row.workload === workload));
  const section = `${date}, ${setup}.

Cold:

${table('cold')}

Hot:

${table('hot')}

Goals:

${toVerdictTable(verdicts)}
`;
  writePlace('bench', section);
  const all = { date, setup, rows, verdicts };
  writeFileSync(new URL('bench.json', DOCS), `${JSON.stringify(all, rounded, 2)}\n`);
  writeFileSync(new URL('images/bench.svg', DOCS), toPicture(rows, [date, ...setup.split('; ')]));
}

/** Writes a ladder to its place in docs/performance.md. Throws when that is missing. */
export function writeLadder(setup: string, table: string): void {
  writePlace('ladder', `${today()}, ${setup}.\n\n${table}\n`);
}

/** As YYYY-MM-DD. */
function today(): string {
  return new Date().toISOString().slice(0, 10);
}

/** Between two comments of docs/performance.md. */
function writePlace(name: string, section: string): void {
  const page = new URL('performance.md', DOCS);
  const text = readFileSync(page, 'utf8');
  const place = new RegExp(`(<!-- ${name} -->\n).*(<!-- /${name} -->)`, 's');
  if (!place.test(text)) throw new Error(`docs/performance.md has no place for the ${name}.`);
  const written = text.replace(place, (_, begin: string, end: string) => begin + section + end);
  writeFileSync(page, written);
}

/** Five digits are more than any figure deserves. */
function rounded(_name: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}
