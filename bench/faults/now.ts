/** Milliseconds since 1970, as a log has them, but in fractions, and on the monotonic clock. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
