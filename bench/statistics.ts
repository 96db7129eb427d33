/** The middle of several figures, and how far they spread. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** The median; the mean of the two in the middle where there are two. NaN of nothing. */
export function medianOf(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? Number.NaN) + upper) / 2 : upper;
}

export function spreadOf(figures: readonly number[]): Spread {
  return { median: medianOf(figures), min: Math.min(...figures), max: Math.max(...figures) };
}

/** The figure that `percent` % of all are no greater than. NaN of nothing. */
export function percentileOf(figures: readonly number[], percent: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN;
}

/** For people: the median, and in brackets the least and the greatest. */
export function spreadText(
  { median, min, max }: Spread,
  format: (figure: number) => string,
): string {
  return `${format(median)} (${format(min)}–${format(max)})`;
}

/** With two digits behind the point. */
export function inHundredths(figure: number): string {
  return figure.toFixed(2);
}

/** A whole number, in groups of three digits. */
export function inWhole(figure: number): string {
  return Math.round(figure).toLocaleString('en-GB');
}

export function inMs(ms: number): string {
  return `${ms < 100 ? ms.toFixed(1) : inWhole(ms)} ms`;
}

/** For people: how long requests took, in milliseconds. */
export function latencyText(ms: readonly number[]): string {
  const [p50, p99, max] = [medianOf(ms), percentileOf(ms, 99), percentileOf(ms, 100)].map(inMs);
  return `p50 ${p50}, p99 ${p99}, max ${max}`;
}
