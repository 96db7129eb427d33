/** Measures the cold path as it is rebuilt from inside out, step by step: see README.md. */
import { readOptions, say, toCount } from './command-line.ts';
import { SLICE_OPTIONS, toOptions } from './options.ts';
import { type Row, toRows } from './results.ts';
import { measureInSlices, type Series } from './slices.ts';
import { setStage } from './stage.ts';
import { asBefore, BARE_PROXY, ladderAt, ROOT } from './subjects.ts';
import { COLUMNS, toMarkdown } from './table.ts';
import { describeSetup } from './versions.ts';
import { toNotes, writeLadder } from './write-report.ts';

const OPTIONS = { ...SLICE_OPTIONS, retention: { type: 'string', default: '60' } } as const;

const options = readOptions(OPTIONS, (values) => ({
  ...toOptions(values, [BARE_PROXY, ...ladderAt(ROOT)], (folder) => ladderAt(folder).map(asBefore)),
  retention: toCount('retention', values.retention, 0),
}));
const { subjects, retention } = options;
const stage = await setStage(options.env);
const setup = describeSetup(stage, options);
say(setup);

const sliced = await measureInSlices(subjects, 'cold', stage, options);
const alone: Series[] = [];
for (const subject of retention === 0 ? [] : subjects) {
  const once = { ...options, rounds: 1, seconds: retention };
  alone.push(...(await measureInSlices([subject], 'cold', stage, once)));
}
await stage.clear();

const afterwards = toRows(alone, 'cold');
const ofLong = (show: (row: Row) => string | undefined) => (row: Row) => {
  const long = afterwards.find(({ name }) => name === row.name);
  return (long && show(long)) ?? '';
};
const columns = COLUMNS.slice(0, 4);
if (retention > 0) {
  columns.push(
    [`ratio, ${retention} s alone`, ofLong(({ ratio }) => ratio?.median.toFixed(2))],
    ['CPU µs/request', ofLong(({ cpuUs }) => cpuUs.toFixed(0))],
  );
}
const table = toMarkdown(toRows(sliced, 'cold'), columns, 1);
say(`\n${table}`);
for (const note of toNotes([...sliced, ...alone])) say(`\n${note}`);
if (options.write) {
  writeLadder(setup, table);
  say('\nWritten: docs/performance.md.');
}
process.exit(0);
