import { parse as parseSafely } from 'secure-json-parse';

/** Whatever JSON can say. */
export type JsonValue = string | number | boolean | null | RawNumber | JsonValue[] | JsonObject;
export interface JsonObject {
  [name: string]: JsonValue;
}

/**
 * A number as it was written, where a JavaScript number would be written otherwise: 9007199254740993,
 * 1e400, 0.10. `JSON.stringify` writes it as it came.
 */
export interface RawNumber {
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
 * The value that `text` says, each number with all its digits. Throws a SyntaxError for what is no JSON,
 * and for members `__proto__` and `constructor.prototype`, which `JSON.parse` would let through; a
 * RangeError for what is nested deeper than the stack takes. A byte order mark is ignored.
 */
export function parseJson(text: string): JsonValue {
  const value: JsonValue = parseSafely(text);
  return hasRawNumber(text) ? JSON.parse(text.replace(/^\ufeff/, ''), keepDigits) : value;
}

function keepDigits(_name: string, value: unknown, { source }: { source?: string }): unknown {
  const isRaw = typeof value === 'number' && source !== undefined && isRawNumber(source);
  return isRaw ? JSON.rawJSON(source) : value;
}

/**
 * Numbers that may be written in more than one way, or have more digits than fit: found where a number can
 * stand, behind a bracket, a comma, or the quote and colon of a name. What is inside a string can look like
 * that, too: then the slower way is taken in vain.
 */
const UNUSUAL_NUMBER = /(?:"\s*:|[[,])\s*(-?\d+[.eE][\d.eE+-]*|-?\d{16,}|-0)/g;

function hasRawNumber(text: string): boolean {
  for (const [, number = ''] of text.matchAll(UNUSUAL_NUMBER)) {
    if (isRawNumber(number)) return true;
  }
  return false;
}

function isRawNumber(source: string): boolean {
  return String(Number(source)) !== source;
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
  const found = Object.keys(object).find((other) => other.toLowerCase() === lower);
  return found === undefined ? undefined : object[found];
}

/** A text, or a number as it was written; null for anything else, and for an empty text. */
export function toLabel(value: JsonValue | undefined): string | null {
  if (typeof value === 'string') return value || null;
  if (JSON.isRawJSON(value)) return value.rawJSON;
  return typeof value === 'number' ? String(value) : null;
}
