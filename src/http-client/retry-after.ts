/** No server is believed that asks to wait for longer. */
const LONGEST_WAIT_MS = 3_600_000;

/** RFC 9110, section 5.6.7, in the form that servers send: "Sun, 06 Nov 1994 08:49:37 GMT". */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * The milliseconds that a Retry-After header asks to wait (RFC 9110, section 10.2.3: seconds, or a
 * date), 0 for a date that is past, at most an hour; undefined when there is none, or no sense in it.
 */
export function readRetryAfterMs(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Math.min(Number(header) * 1000, LONGEST_WAIT_MS);
  const ms = HTTP_DATE.test(header) ? Date.parse(header) - now.getTime() : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_WAIT_MS);
}
