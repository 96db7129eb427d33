import { parse as parseSafely } from 'secure-json-parse';

/** Whatever JSON can say. */
export type JsonValue = string | number | boolean | null | RawNumber | JsonValue[] | JsonObject;
export interface JsonObject {
  [name: string]: JsonValue;
}

/**
 * A number as it was written, where a JavaScript number would be another one: 9007199254740993, 1e400,
 * 0.12345678901234567890. `JSON.stringify` writes it as it came.
 */
interface RawNumber {
  readonly rawJSON: string;
}

// JSON.parse source text access (ECMAScript 2026), which the types of the language do not have yet.
declare global {
  interface JSON {
    parse(
      text: string,
      reviver: (name: string, value: unknown, context: { source?: string }) => unknown,
    ): JsonValue;
    rawJSON(text: string): RawNumber;
    isRawJSON(value: unknown): value is RawNumber;
  }
}

/**
 * The value that `text` says, with numbers that are exact: no digit that counts is lost, though 12.50 is written
 * 12.5 again. Throws a SyntaxError for what is no JSON, and for members `__proto__` and `constructor.prototype`,
 * which `JSON.parse` would let through; a RangeError for what is nested deeper than the stack allows. A byte order
 * mark is ignored.
 */
export function parseJson(text: string): JsonValue {
  const value: JsonValue = isPlain(text) ? JSON.parse(text) : parseSafely(text);
  return hasRawNumber(text) ? JSON.parse(text.replace(/^\ufeff/, ''), keepDigits) : value;
}

/** Whether it has neither a byte order mark nor a name that {@link parseJson} refuses, however it is written. */
function isPlain(text: string): boolean {
  return (
    text.charCodeAt(0) !== BYTE_ORDER_MARK &&
    !text.includes('__proto__') &&
    !text.includes('constructor') &&
    !text.includes('\\u')
  );
}

const BYTE_ORDER_MARK = 0xfeff;

function keepDigits(_name: string, value: unknown, { source }: { source?: string }): unknown {
  const isRaw = typeof value === 'number' && source !== undefined && isRawNumber(source);
  return isRaw ? JSON.rawJSON(source) : value;
}

/**
 * Numbers that may not fit into a JavaScript number, which holds 15 digits of any: those of 16 characters and
 * more, and those with an exponent. They are found where a number can stand, behind a bracket, a comma, or the
 * quote and colon of a name. What is inside a string can look like that, too: then the slower way, which costs
 * about ten times as much, is spent in vain.
 */
const LONG_NUMBER = /(?:"\s*:|[[,])\s*(-?(?:[\d.]{16,}|\d[\d.]*(?=[eE]))(?:[eE][-+]?\d+)?)/g;

/** What every such number has in it. */
const LONG_OR_EXPONENT = /\d[\d.]{15}|\d[eE][-+\d]/;

function hasRawNumber(text: string): boolean {
  if (!LONG_OR_EXPONENT.test(text)) return false;
  for (const [, number = ''] of text.matchAll(LONG_NUMBER)) {
    if (isRawNumber(number)) return true;
  }
  return false;
}

/** Whether the number that JavaScript makes of it is another one. */
function isRawNumber(source: string): boolean {
  const value = Number(source);
  // So many digits it has of any number that is neither too large nor too small.
  const exponentAt = source.search(/[eE]/);
  const isShort = (exponentAt === -1 ? source.length : exponentAt) <= 15;
  const size = Math.abs(value);
  if (isShort && size < Number.POSITIVE_INFINITY && size > SMALLEST_NORMAL) return false;
  const written = String(value);
  return written !== source && normalized(written) !== normalized(source);
}

/** Below it there are fewer digits. */
const SMALLEST_NORMAL = 2 ** -1022;

/** A decimal number as its digits, without zeros at either end, and their power of ten. */
function normalized(source: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(source) ?? [];
  if (whole === '') return source;
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power =
    BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}

/** True for an object, but not for a list, nor for a number as it was written. */
export function isJsonObject(value: unknown): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value)
  );
}

/** A number in JavaScript's own precision; undefined for what is none. */
export function toNumber(value: JsonValue | undefined): number | undefined {
  if (typeof value === 'number') return value;
  return JSON.isRawJSON(value) ? Number(value.rawJSON) : undefined;
}

/** The member of that name: exactly so written if there is one, else in any case. */
export function member(object: JsonObject, name: string): JsonValue | undefined {
  if (Object.hasOwn(object, name)) return object[name];
  const lower = name.toLowerCase();
  for (const other in object) {
    if (other.length === lower.length && other.toLowerCase() === lower) return object[other];
  }
  return undefined;
}

/** A text, or a number as it was written; null for anything else, and for an empty text. */
export function toLabel(value: JsonValue | undefined): string | null {
  if (typeof value === 'string') return value || null;
  if (JSON.isRawJSON(value)) return value.rawJSON;
  return typeof value === 'number' ? String(value) : null;
}
