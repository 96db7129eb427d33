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

/** Limits of one figure. */
interface Limits {
  must: number;
  goal?: number;
}

/** A figure that should be small. `measured` says it in other words than `format` would. */
export function atMost(
  what: string,
  figure: number,
  { must, goal }: Limits,
  format: (figure: number) => string,
  measured = format(figure),
): Verdict {
  const bound = (limit: number) => ({ limit: `at most ${format(limit)}`, met: figure <= limit });
  return { what, measured, must: bound(must), ...(goal !== undefined && { goal: bound(goal) }) };
}

/** A figure that should be great; see {@link atMost}. */
export function atLeast(
  what: string,
  figure: number,
  { must, goal }: Limits,
  format: (figure: number) => string,
  measured = format(figure),
): Verdict {
  const bound = (limit: number) => ({ limit: `at least ${format(limit)}`, met: figure >= limit });
  return { what, measured, must: bound(must), ...(goal !== undefined && { goal: bound(goal) }) };
}
