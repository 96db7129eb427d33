import type { Row } from './results.ts';
import type { Workload } from './workloads.ts';

const WIDTH = 820;
const BARS_AT = 250;
/** As wide as the limit itself, 1.00, is drawn. */
const FULL = 400;
const LINE = 28;
const TITLES: Readonly<Record<Workload, string>> = {
  cold: 'Cold: every query costs an upstream call. 1.00 is a bare proxy without GraphQL.',
  hot: 'Hot: many clients ask for 8 batches. 1.00 is a lookup in a map without GraphQL.',
};

/** The rows' ratios as bars, in SVG that reads on light and dark pages; the lines of `caption` go below. */
export function toPicture(rows: readonly Row[], caption: readonly string[]): string {
  const parts: string[] = [];
  let y = 66;
  for (const workload of ['cold', 'hot'] as const) {
    parts.push(`<text class="group" x="16" y="${y}">${escapeXml(TITLES[workload])}</text>`);
    y += 12;
    for (const row of rows.filter((one) => one.workload === workload)) {
      parts.push(bar(row, y));
      y += LINE;
    }
    y += 32;
  }
  for (const line of caption) {
    parts.push(`<text class="caption" x="16" y="${y}">${escapeXml(line)}</text>`);
    y += 18;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-labelledby="title">
<title id="title">Processor time of a request: the limit's, relative to each server's</title>
<style>
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #24292f; }
  .title { font-size: 17px; font-weight: 600; }
  .group { font-weight: 600; }
  .caption { font-size: 12px; fill: #57606a; }
  .limit { fill: #8c959f; }
  .gateway { fill: #1f6feb; }
  .peer { fill: #afb8c1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .caption { fill: #9198a1; }
    .limit { fill: #9198a1; }
    .gateway { fill: #4493f8; }
    .peer { fill: #59636e; }
  }
</style>
<text class="title" x="16" y="30">Processor time of a request: the limit's, relative to each server's</text>
${parts.join('\n')}
</svg>
`;
}

function bar(row: Row, y: number): string {
  const ratio = row.ratio?.median ?? 0;
  const width = Math.max(1, Math.round(ratio * FULL));
  const kind = row.name === 'gateway' ? 'gateway' : ratio === 1 ? 'limit' : 'peer';
  return `<text x="${BARS_AT - 10}" y="${y + 17}" text-anchor="end">${escapeXml(row.label)}</text>
<rect class="${kind}" x="${BARS_AT}" y="${y + 3}" width="${width}" height="${LINE - 8}" rx="2"/>
<text x="${BARS_AT + width + 8}" y="${y + 17}">${ratio.toFixed(2)} (${row.cpuUs.toFixed(0)} µs)</text>`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
