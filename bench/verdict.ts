/** What was measured, against its limits. */
export interface Verdict {
  what: string;
  measured: string;
  /** What it has to keep to. */
  must: Bound;
  /** What would be good. */
  goal?: Bound;
}

interface Bound {
  /** For people. */
  limit: string;
  met: boolean;
}

/** What a figure has to keep to: an upper limit, or a lower one; and what would be good. */
type Limits = ({ most: number } | { least: number }) & { goal?: number };

/** Judges a figure. `measured` says it in other words than `format` would. */
export function toVerdict(
  what: string,
  figure: number,
  limits: Limits,
  format: (figure: number) => string,
  measured = format(figure),
): Verdict {
  const [words, must] = 'most' in limits ? ['at most', limits.most] : ['at least', limits.least];
  const bound = (limit: number) => ({
    limit: `${words} ${format(limit)}`,
    met: 'most' in limits ? figure <= limit : figure >= limit,
  });
  const { goal } = limits;
  return { what, measured, must: bound(must), ...(goal !== undefined && { goal: bound(goal) }) };
}
