import { type Environment, isVariableName, VARIABLE_NAMES } from './variables.ts';

/** Names of an environment that are none of ours, although they look like it. */
interface OddNames {
  /** Each with the name that is meant. */
  readonly misspelt: readonly (readonly [name: string, meant: string])[];
  /** They begin as ours do. */
  readonly unknown: readonly string[];
}

/** As Kubernetes injects them for each Service of a namespace, whatever its name is. */
const OF_KUBERNETES =
  /_SERVICE_HOST$|_SERVICE_PORT(?:_\w+)?$|_PORT$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?$/;

/** As CGI (RFC 3875, section 4.1) and the servers that speak it set them; and the proxy for what is not encrypted. */
const OF_OTHERS: ReadonlySet<string> = new Set([
  'AUTH_PASSWORD',
  'AUTH_TYPE',
  'AUTH_USER',
  'HTTP_PROXY',
  'QUERY_STRING',
  'REQUEST_FILENAME',
  'REQUEST_METHOD',
  'REQUEST_SCHEME',
  'REQUEST_TIME',
  'REQUEST_TIME_FLOAT',
  'REQUEST_URI',
]);

/** Of OpenTelemetry's own variables, which are set for all programs of a cluster: not those about where traces go. */
const OF_OPENTELEMETRY = /^OTEL_(?!EXPORTER_OTLP_(?!METRICS_|LOGS_))/;

/** These are read in lower case, too, as other programs do; then that one counts. */
export const ALSO_IN_LOWER_CASE: ReadonlySet<string> = new Set(['HTTPS_PROXY', 'NO_PROXY']);

/** Too short to tell a misspelt one from another word. */
const SHORT_NAMES: ReadonlySet<string> = new Set(['HOST', 'PORT']);

/** Not those of which others are known to begin so: NO_COLOR, HOST_IP. */
const PREFIXES = new Set(
  VARIABLE_NAMES.filter((name) => !SHORT_NAMES.has(name) && !/^(?:HTTPS|NO)_PROXY/.test(name)).map(
    (name) => `${name.split('_')[0]}_`,
  ),
);

/** Looks through the variables that are set for names that are probably meant to be ours. Tells nothing of values. */
export function findOddNames(environment: Environment): OddNames {
  const misspelt: (readonly [string, string])[] = [];
  const unknown: string[] = [];
  for (const [name, text = ''] of Object.entries(environment)) {
    const isInjected = OF_KUBERNETES.test(name);
    if (text.trim() === '' || isOfSomebody(name) || (isInjected && !isPort(name, text))) continue;
    const meant = nearestName(name);
    if (meant !== undefined) misspelt.push([name, meant]);
    else if (isInjected || OF_OPENTELEMETRY.test(name)) continue;
    else if (PREFIXES.has(name.slice(0, name.indexOf('_') + 1))) unknown.push(name);
  }
  return { misspelt, unknown };
}

/** What Kubernetes sets as `X_PORT` is a URL, such as tcp://10.0.0.1:80: METRICS_PORT may be meant by another one. */
function isPort(name: string, text: string): boolean {
  return name.endsWith('_PORT') && !text.includes('://');
}

function isOfSomebody(name: string): boolean {
  const upper = name.toUpperCase();
  return (
    isVariableName(name) ||
    name === 'NODE_ENV' ||
    OF_OTHERS.has(upper) ||
    (ALSO_IN_LOWER_CASE.has(upper) && name === name.toLowerCase())
  );
}

const UNIT =
  /_(?:PER_)?(?:FILE|MS|MSEC|MILLIS|MILLISECONDS?|S|SECS?|SECONDS?|MIN|MINUTES?|BYTES?|[KMG]I?B)$/;

const CAN_BE_MEANT = [...VARIABLE_NAMES, 'NODE_ENV']
  .filter((name) => !SHORT_NAMES.has(name))
  .map((name) => ({ name, stem: stemOf(name), letters: lettersOf(name) }));

/** The name of ours that is the same but for two letters (one, where it is short), plurals, a unit, or `_FILE`. */
export function nearestName(written: string): string | undefined {
  const text = written.toUpperCase().replace(/_PATH$/, '_FILE');
  const [stem, letters] = [stemOf(text), lettersOf(text)];
  let nearest: string | undefined;
  let least = 3;
  for (const candidate of CAN_BE_MEANT) {
    const { name } = candidate;
    if (name === text) return name;
    const most = Math.min(least - 1, name.length < 8 ? 1 : 2);
    if (least > 0 && candidate.stem === stem) [nearest, least] = [name, 0];
    else if (countBits(candidate.letters ^ letters) <= 2 * most) {
      const distance = editDistance(text, name, most);
      if (distance <= most) [nearest, least] = [name, distance];
    }
  }
  return nearest;
}

/** Which letters there are, a bit for each: an edit changes two at most, and most names differ by more. */
function lettersOf(name: string): number {
  let letters = 0;
  for (let index = 0; index < name.length; index += 1)
    letters |= 1 << (name.charCodeAt(index) & 31);
  return letters;
}

function countBits(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count += 1;
  return count;
}

/** Without plurals, units and `_FILE`. */
function stemOf(name: string): string {
  const bare = name.replace(UNIT, '').replace(UNIT, '');
  return bare
    .split('_')
    .map((word) => word.replace(/IES$/, 'Y').replace(/S$/, ''))
    .join('_');
}

/**
 * How many letters have to be added, left out, changed or swapped with the next (optimal string alignment);
 * Infinity where that is more than `most`.
 */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return Number.POSITIVE_INFINITY;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = at(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? at(before, j - 2) + 1 : change;
      next.push(Math.min(at(row, j) + 1, at(next, j - 1) + 1, change, swap));
    }
    if (Math.min(...next) > most) return Number.POSITIVE_INFINITY;
    [before, row] = [row, next];
  }
  return at(row, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
