import { parse as parseSafely } from 'secure-json-parse';
import { z } from 'zod';

/** Whatever JSON can say. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
export interface JsonObject {
  [name: string]: JsonValue;
}

/** The upstream's echo of the request that it got. */
export interface UpstreamEcho {
  uri: string | null;
  method: string | null;
  queryString: string | null;
  body: JsonValue;
}

/** A 2xx answer: `{ data, request }`. */
export interface SuccessEnvelope {
  data: JsonObject;
  request: UpstreamEcho;
}

/** An answer of any other status: `{ error, request }`. */
export interface ErrorEnvelope {
  code: string | null;
  description: string | null;
  additionalInfo: JsonValue;
  request: UpstreamEcho | null;
}

/*
 * The platform's documents disagree on the case of member names (`queryString`, `querystring`;
 * `additionalInfo`, `additionalinfo`) and leave members out of their examples. So members of the
 * envelope are found without regard to case, may be missing or null, and unknown ones are ignored;
 * but what is there must have the documented type. `data` belongs to the client: it stays as it came.
 */
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? null);
const anything = z.custom<JsonValue>().transform((value) => value ?? null);
const object = z.custom<JsonObject>(isJsonObject);

function members<Shape extends z.ZodRawShape>(shape: Shape) {
  const names = Object.keys(shape);
  return z.preprocess(
    (value) => (isJsonObject(value) ? foldNames(value, names) : value),
    z.object(shape),
  );
}

const echo = members({ uri: text, method: text, queryString: text, body: anything.optional() });
const successEnvelope = members({ data: object, request: echo.nullish() });
const errorEnvelope = members({
  // The documents write the code as a string; a number says the same.
  error: members({
    code: z
      .union([z.string(), z.number().transform(String)])
      .nullish()
      .transform((value) => value || null),
    description: text,
    additionalInfo: anything.optional(),
  }),
  // An echo that is odd must not hide what the error says.
  request: echo.nullish().catch(null),
});

const EMPTY_ECHO: UpstreamEcho = { uri: null, method: null, queryString: null, body: null };

/** Undefined for whatever is not the documented envelope of a success. Never throws. */
export function decodeSuccessEnvelope(body: string): SuccessEnvelope | undefined {
  const decoded = successEnvelope.safeParse(parseJson(body));
  if (!decoded.success) return undefined;
  const { data, request } = decoded.data;
  return { data, request: request ? { ...request, body: request.body ?? null } : EMPTY_ECHO };
}

/** Undefined for whatever is not the documented envelope of an error. Never throws. */
export function decodeErrorEnvelope(body: string): ErrorEnvelope | undefined {
  const decoded = errorEnvelope.safeParse(parseJson(body));
  if (!decoded.success) return undefined;
  const { error, request } = decoded.data;
  return {
    code: error.code,
    description: error.description || null,
    additionalInfo: error.additionalInfo ?? null,
    request: request ? { ...request, body: request.body ?? null } : null,
  };
}

/** No status is nested like that; JSON.stringify overflows the stack some thousand levels down. */
const MAX_NESTING = 200;

/** Refuses `__proto__` and `constructor.prototype` members, which JSON.parse would let through. */
function parseJson(body: string): unknown {
  try {
    const value: unknown = parseSafely(body);
    return isNestedDeeper(value, MAX_NESTING) ? undefined : value;
  } catch {
    return undefined;
  }
}

function isNestedDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const member of Object.values(value)) {
    if (isNestedDeeper(member, levels - 1)) return true;
  }
  return false;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The members of `value` under the names given: exactly so written if there is one, else in any case. */
function foldNames(value: JsonObject, names: string[]): JsonObject {
  const folded: JsonObject = {};
  for (const name of names) {
    const found = Object.hasOwn(value, name)
      ? name
      : Object.keys(value).find((other) => other.toLowerCase() === name.toLowerCase());
    const member = found === undefined ? undefined : value[found];
    if (member !== undefined) folded[name] = member;
  }
  return folded;
}
