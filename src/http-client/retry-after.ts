/** No server is believed that asks to wait for longer. */
const LONGEST_WAIT_MS = 3_600_000;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The three forms of RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 …", "Sunday, 06-Nov-94 …", "Sun Nov  6 …". */
const HTTP_DATES = [
  /^[A-Z][a-z]{2}, (?<day>\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  /^[A-Z][a-z]{5,8}, (?<day>\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\d{2}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d{2}:\d{2}:\d{2}) (?<year>\d{4})$/,
];

/**
 * The milliseconds that a Retry-After header asks to wait (RFC 9110, section 10.2.3: seconds, or a
 * date), 0 for a date that is past, at most an hour; undefined when there is none, or no sense in it.
 */
export function readRetryAfterMs(header: string | undefined, now: Date): number | undefined {
  const text = header?.trim();
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, LONGEST_WAIT_MS);
  const date = parseHttpDate(text, now);
  if (date === undefined) return undefined;
  return Math.min(Math.max(date - now.getTime(), 0), LONGEST_WAIT_MS);
}

function parseHttpDate(text: string, now: Date): number | undefined {
  const found = HTTP_DATES.map((form) => form.exec(text)?.groups).find((groups) => groups);
  if (found === undefined) return undefined;
  const { day = '', month = '', year = '', time = '' } = found;
  const [hours, minutes, seconds] = time.split(':').map(Number);
  const date = Date.UTC(
    fullYear(year, now),
    MONTHS.indexOf(month),
    Number(day),
    hours,
    minutes,
    seconds,
  );
  return MONTHS.includes(month) ? date : undefined;
}

/** Two digits are of the century in which they are no more than 50 years in the future. */
function fullYear(year: string, now: Date): number {
  if (year.length === 4) return Number(year);
  const thisYear = now.getUTCFullYear();
  const sameCentury = thisYear - (thisYear % 100) + Number(year);
  return sameCentury > thisYear + 50 ? sameCentury - 100 : sameCentury;
}
