import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  member,
  parseJson,
  toLabel,
} from '../lib/json.ts';

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
interface ErrorEnvelope {
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
 *
 * `secrets` are texts that must not be handed on, should the upstream quote one: they are redacted.
 */

type DecodedSuccess =
  | { readonly kind: 'envelope'; readonly envelope: SuccessEnvelope }
  /** JSON that is not read, because of what a batch can hold: `__proto__`, or nesting that is too deep. */
  | { readonly kind: 'unsafe' }
  /** Not JSON, or not the documented envelope. */
  | { readonly kind: 'malformed' };

/** Decodes the answer of a success. Never throws. */
export function decodeSuccessEnvelope(body: string, secrets: readonly string[]): DecodedSuccess {
  try {
    const envelope = toObject(parseBody(body, secrets));
    const data = toObject(member(envelope, 'data'));
    const request = toEcho(member(envelope, 'request')) ?? EMPTY_ECHO;
    return { kind: 'envelope', envelope: { data, request } };
  } catch (error) {
    if (error instanceof MalformedEnvelope) return { kind: error.kind };
    throw error;
  }
}

/** Undefined for whatever is not the documented envelope of an error. Never throws. */
export function decodeErrorEnvelope(
  body: string,
  secrets: readonly string[],
): ErrorEnvelope | undefined {
  return unlessMalformed(() => {
    const envelope = toObject(parseBody(body, secrets));
    const error = toObject(member(envelope, 'error'));
    const code = member(error, 'code');
    return {
      // The documents write the code as a string; a number says the same.
      code: toLabel(code) ?? (toText(code) || null),
      description: toText(member(error, 'description')) || null,
      additionalInfo: member(error, 'additionalInfo') ?? null,
      // A malformed echo must not hide what the error says.
      request: unlessMalformed(() => toEcho(member(envelope, 'request'))) ?? null,
    };
  });
}

const EMPTY_ECHO: UpstreamEcho = { uri: null, method: null, queryString: null, body: null };

function toEcho(value: JsonValue | undefined): UpstreamEcho | null {
  if (value === undefined || value === null) return null;
  const echo = toObject(value);
  return {
    uri: toText(member(echo, 'uri')),
    method: toText(member(echo, 'method')),
    queryString: toText(member(echo, 'queryString')),
    body: member(echo, 'body') ?? null,
  };
}

/** The answer is not what the documents say. Caught where it began. */
class MalformedEnvelope extends Error {
  readonly kind: 'malformed' | 'unsafe';

  constructor(kind: 'malformed' | 'unsafe' = 'malformed') {
    super();
    this.kind = kind;
  }
}

function unlessMalformed<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MalformedEnvelope) return undefined;
    throw error;
  }
}

function toObject(value: JsonValue | undefined): JsonObject {
  if (!isJsonObject(value)) throw new MalformedEnvelope();
  return value;
}

function toText(value: JsonValue | undefined): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') throw new MalformedEnvelope();
  return value;
}

/** No status is nested like that; JSON.stringify overflows the stack some thousand levels down. */
const MAX_NESTING = 200;

function parseBody(body: string, secrets: readonly string[]): JsonValue {
  let value: JsonValue;
  try {
    value = parseJson(body);
  } catch {
    throw new MalformedEnvelope(isJson(body) ? 'unsafe' : 'malformed');
  }
  // Where there are escapes the text does not tell: some serialisers write "/" or "+" as one.
  const mayQuote = body.includes('\\') || secrets.some((secret) => body.includes(secret));
  return redactAll(value, MAX_NESTING, mayQuote ? secrets : []);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text.replace(/^\ufeff/, ''));
    return true;
  } catch (error) {
    // Nested deeper than the stack allows.
    return error instanceof RangeError;
  }
}

/** The value itself, walked once: its depth is checked, and secrets in it are redacted. */
function redactAll(value: JsonValue, levels: number, secrets: readonly string[]): JsonValue {
  if (typeof value === 'string') return redact(value, secrets);
  if (typeof value === 'number' || JSON.isRawJSON(value)) {
    // A token can be digits alone.
    const digits = toLabel(value) ?? '';
    return secrets.some((secret) => digits.includes(secret)) ? redact(digits, secrets) : value;
  }
  if (typeof value !== 'object' || value === null) return value;
  if (levels === 0) throw new MalformedEnvelope('unsafe');
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      value[index] = redactAll(value[index] ?? null, levels - 1, secrets);
    }
    return value;
  }
  for (const name in value) {
    const inside = redactAll(value[name] ?? null, levels - 1, secrets);
    const shownName = redact(name, secrets);
    if (shownName !== name) delete value[name];
    value[shownName] = inside;
  }
  return value;
}

function redact(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) shown = shown.replaceAll(secret, '[redacted]');
  return shown;
}
