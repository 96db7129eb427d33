/** One metric, as it is shown to Prometheus. */
export interface ShownMetric {
  type: string;
  help: string;
  /** By name and labels, as they are written. */
  samples: Map<string, number>;
}

const NAME = '[a-zA-Z_][a-zA-Z0-9_]*';
const LABEL = `${NAME}="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"`;
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? ([^ ]+)$`);
const SUFFIXES: Record<string, string> = { histogram: '_(?:bucket|sum|count)' };

/**
 * Reads Prometheus's text format (version 0.0.4) strictly: each metric once, with help and type, its samples under
 * them, no two of the same labels, each a number. Throws where it is not so.
 */
export function parseExposition(text: string): Map<string, ShownMetric> {
  const metrics = new Map<string, ShownMetric>();
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  for (const block of text.trimEnd().split('\n\n')) {
    const [helpLine = '', typeLine = '', ...lines] = block.split('\n');
    const [, name = '', help = ''] = /^# HELP (\S+) (.+)$/.exec(helpLine) ?? [];
    const type = typeLine.replace(`# TYPE ${name} `, '');
    if (!['counter', 'gauge', 'histogram'].includes(type)) throw new Error(`no type: ${typeLine}`);
    if (metrics.has(name)) throw new Error(`there twice: ${name}`);
    if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`misnamed: ${name}`);
    const own = new RegExp(`^${name}${SUFFIXES[type] ?? ''}$`);
    const samples = new Map<string, number>();
    for (const line of lines) {
      const [, of = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      if (!own.test(of)) throw new Error(`no sample of ${name}: ${line}`);
      const series = labels === '' ? of : `${of}{${labels}}`;
      if (samples.has(series)) throw new Error(`there twice: ${series}`);
      if (Number.isNaN(Number(value.replace('Inf', 'Infinity')))) throw new Error(`NaN: ${line}`);
      samples.set(series, Number(value));
    }
    metrics.set(name, { type, help, samples });
  }
  return metrics;
}

/** How many series that are. */
export function countSeries(metrics: ReadonlyMap<string, ShownMetric>): number {
  return [...metrics.values()].reduce((sum, { samples }) => sum + samples.size, 0);
}
