/** No server is believed that asks to wait for longer. */
const LONGEST_WAIT_MS = 3_600_000;

/**
 * The milliseconds that a Retry-After header asks to wait (RFC 9110, section 10.2.3: seconds, or a
 * date), 0 for a date that is past, at most an hour; undefined when there is none, or no sense in it.
 */
export function readRetryAfterMs(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\s*\d+\s*$/.test(header)
    ? Number(header) * 1000
    : Date.parse(header) - now.getTime();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_WAIT_MS);
}
