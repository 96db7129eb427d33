import { inHundredths, type Spread, spreadText } from './statistics.ts';

/** What was measured, against its limits. */
export interface Verdict {
  what: string;
  measured: string;
  /** What it has to keep to. */
  must: { limit: string; met: boolean };
  /** What would be good. */
  goal?: Verdict['must'];
}

/** What a figure has to keep to: an upper limit, or a lower one; and what would be good. */
type Limits = ({ most: number } | { least: number }) & { goal?: number };

/** Judges a figure, or the median of several. `measured` says it in other words than `format` would. */
export function toVerdict(
  what: string,
  figure: number | Spread,
  limits: Limits,
  format: (figure: number) => string = inHundredths,
  measured = typeof figure === 'number' ? format(figure) : spreadText(figure, format),
): Verdict {
  const value = typeof figure === 'number' ? figure : figure.median;
  const [words, must] = 'most' in limits ? ['at most', limits.most] : ['at least', limits.least];
  const bound = (limit: number) => ({
    limit: `${words} ${format(limit)}`,
    met: 'most' in limits ? value <= limit : value >= limit,
  });
  const { goal } = limits;
  return { what, measured, must: bound(must), ...(goal !== undefined && { goal: bound(goal) }) };
}
