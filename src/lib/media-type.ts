/** A media type or range with its parameters (RFC 9110, section 8.3.1), names and type in lower case. */
interface MediaType {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[\\w!#$%&'*+.^`|~-]+";
const TYPE = new RegExp(`^\\s*(${TOKEN}/${TOKEN})\\s*`);
const PARAMETER = new RegExp(`^;\\s*(?:(${TOKEN})=(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)")\\s*)?`);

/** Undefined for what is no media type. */
export function parseMediaType(text: string): MediaType | undefined {
  const [head, type] = TYPE.exec(text) ?? [];
  if (head === undefined || type === undefined) return undefined;
  const parameters = new Map<string, string>();
  let rest = text.slice(head.length);
  while (rest !== '') {
    const [whole, name, token, quoted] = PARAMETER.exec(rest) ?? [];
    if (whole === undefined) return undefined;
    const value = token ?? quoted?.replaceAll(/\\(.)/g, '$1');
    if (name !== undefined && value !== undefined) parameters.set(name.toLowerCase(), value);
    rest = rest.slice(whole.length);
  }
  return { type: type.toLowerCase(), parameters };
}

/** Elements of a list that stand in no quotes (RFC 9110, section 5.6.1). */
function splitList(text: string): string[] {
  return text.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];
}

/** Whether a text in this charset is read right as UTF-8. */
export function isUtf8Charset(charset: string | undefined): boolean {
  return charset === undefined || /^(?:utf-?8|us-ascii)$/i.test(charset);
}

/**
 * Which of the media types an `accept` header wants most (RFC 9110, section 12.5.1): by weight, of equal ones
 * the one that the header names first. A missing header, and a range of everything, take the first of `offered`.
 * Undefined where none is acceptable. A range with a charset other than UTF-8 does not count.
 */
export function negotiate<Type extends string>(
  accept: string | undefined,
  offered: readonly [Type, ...Type[]],
): Type | undefined {
  if (accept === undefined) return offered[0];
  const ranges = splitList(accept).flatMap((text, position) => {
    const range = parseMediaType(text);
    if (range === undefined || !isUtf8Charset(range.parameters.get('charset'))) return [];
    return { type: range.type, weight: weightOf(range), position };
  });
  let best: { type: Type; weight: number; position: number } | undefined;
  for (const type of offered) {
    const [range] = ranges
      .filter((each) => covers(each.type, type))
      .sort((a, b) => precision(b.type) - precision(a.type));
    if (range === undefined || range.weight === 0) continue;
    const isBetter =
      best === undefined ||
      range.weight > best.weight ||
      (range.weight === best.weight && range.position < best.position);
    if (isBetter) best = { type, weight: range.weight, position: range.position };
  }
  return best?.type;
}

function weightOf({ parameters }: MediaType): number {
  const weight = parameters.get('q');
  if (weight === undefined) return 1;
  // A weight that is none counts as the least.
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(weight) ? Number(weight) : 0.001;
}

function covers(range: string, type: string): boolean {
  return range === type || range === '*/*' || range === `${type.slice(0, type.indexOf('/'))}/*`;
}

function precision(range: string): number {
  if (range === '*/*') return 0;
  return range.endsWith('/*') ? 1 : 2;
}
