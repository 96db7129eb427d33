import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  member,
  parseJson,
  toLabel,
} from '../lib/json.ts';
import {
  bytesPerCharacter,
  JSON_BYTES,
  type JsonShape,
  type JsonShapes,
} from '../lib/json-size.ts';
import type { Redaction } from './redaction.ts';

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
  /** Bytes that both take in memory at most. */
  size: number;
  /** Bytes that both take at most when they are written out as JSON. */
  jsonBytes: number;
  /** The body that says so, to be decoded again; undefined: something was redacted. */
  text: string | undefined;
}

/** An answer of any other status: `{ error, request }`. */
interface ErrorEnvelope {
  code: string | null;
  description: string | null;
  additionalInfo: JsonValue;
  request: UpstreamEcho | null;
  /** Bytes that all of it takes in memory at most. */
  size: number;
}

/*
 * The platform's documents disagree on the case of member names (`queryString`, `querystring`;
 * `additionalInfo`, `additionalinfo`) and leave members out of their examples. So members of the
 * envelope are found without regard to case, may be missing or null, and unknown ones are ignored;
 * but what is there must have the documented type. `data` belongs to the client: it stays as it came.
 *
 * `redaction` keeps the access token out, should the upstream quote it.
 * `shapes` are those of earlier answers.
 */

type DecodedSuccess =
  | { readonly kind: 'envelope'; readonly envelope: SuccessEnvelope }
  /** JSON that is not read, because of what a batch can hold: `__proto__`, or nesting that is too deep. */
  | { readonly kind: 'unsafe' }
  /** Not JSON, or not the documented envelope. */
  | { readonly kind: 'malformed' };

/** Decodes the answer of a success. Never throws. */
export function decodeSuccessEnvelope(
  body: string,
  redaction: Redaction,
  shapes: JsonShapes,
): DecodedSuccess {
  try {
    // Where there are escapes the text does not tell: some serialisers write "/" or "+" as one.
    const mayQuote = body.includes('\\') || redaction.isIn(body);
    const redact = mayQuote ? (text: string) => redaction.inData(text) : undefined;
    const { value, size, jsonBytes, isRedacted } = parseBody(body, redact, shapes);
    const { data, request } = toSuccess(value);
    const text = isRedacted ? undefined : body;
    return { kind: 'envelope', envelope: { data, request, size, jsonBytes, text } };
  } catch (error) {
    if (error instanceof MalformedEnvelope) return { kind: error.kind };
    throw error;
  }
}

/** Decodes a `text` that a {@link SuccessEnvelope} came with once more. */
export function decodeAgain(text: string): Pick<SuccessEnvelope, 'data' | 'request'> {
  return toSuccess(parseJson(text));
}

function toSuccess(value: JsonValue): Pick<SuccessEnvelope, 'data' | 'request'> {
  const envelope = toObject(value);
  const data = toObject(member(envelope, 'data'));
  return { data, request: toEcho(member(envelope, 'request')) ?? EMPTY_ECHO };
}

/** Undefined for whatever is not the documented envelope of an error. Never throws. */
export function decodeErrorEnvelope(
  body: string,
  redaction: Redaction,
  shapes: JsonShapes,
): ErrorEnvelope | undefined {
  return unlessMalformed(() => {
    const { value, size } = parseBody(body, (text) => redaction.inError(text), shapes);
    const envelope = toObject(value);
    const error = toObject(member(envelope, 'error'));
    const code = member(error, 'code');
    return {
      // The documents write the code as a string; a number says the same.
      code: toLabel(code) ?? (toText(code) || null),
      description: toText(member(error, 'description')) || null,
      additionalInfo: member(error, 'additionalInfo') ?? null,
      // A malformed echo must not hide what the error says.
      request: unlessMalformed(() => toEcho(member(envelope, 'request'))) ?? null,
      size,
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

/** A text, without what must not be handed on. */
type Redact = (text: string) => string;

/** What goes along with the walk through a value. */
interface Walk {
  /** Undefined where nothing is to be redacted. */
  readonly redact: Redact | undefined;
  readonly shapes: JsonShapes;
  /** Of the value's texts. */
  readonly bytesPerCharacter: number;
  /** Bytes that the value takes at most, as far as it was walked. */
  size: number;
  /** How many numbers there were. */
  numbers: number;
  /** Whether a secret was found. */
  isRedacted: boolean;
}

/** A number is written in so many characters at most, however short it came: 1e20 has 21. Nothing else grows. */
const LONGEST_NUMBER = 24;

function parseBody(
  body: string,
  redact: Redact | undefined,
  shapes: JsonShapes,
): { value: JsonValue; size: number; jsonBytes: number; isRedacted: boolean } {
  let value: JsonValue;
  try {
    value = parseJson(body);
  } catch {
    throw new MalformedEnvelope(isJson(body) ? 'unsafe' : 'malformed');
  }
  const walk: Walk = {
    redact,
    shapes,
    bytesPerCharacter: body.includes('\\') ? 2 : bytesPerCharacter(body),
    size: 0,
    numbers: 0,
    isRedacted: false,
  };
  const redacted = redactAll(value, MAX_NESTING, walk);
  const jsonBytes = Buffer.byteLength(body) + LONGEST_NUMBER * walk.numbers;
  return { value: redacted, size: walk.size, jsonBytes, isRedacted: walk.isRedacted };
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

/** The value itself, walked once: depth and size are measured, and secrets in it are redacted. */
function redactAll(value: JsonValue, levels: number, walk: Walk): JsonValue {
  const { shapes } = walk;
  if (typeof value === 'string') {
    walk.size += JSON_BYTES.string + walk.bytesPerCharacter * value.length;
    return redact(value, walk);
  }
  if (typeof value === 'boolean' || value === null) {
    walk.size += JSON_BYTES.literal;
    return value;
  }
  if (typeof value === 'number' || JSON.isRawJSON(value)) {
    walk.numbers += 1;
    walk.size += typeof value === 'number' ? JSON_BYTES.number : JSON_BYTES.rawNumber;
    if (JSON.isRawJSON(value)) walk.size += value.rawJSON.length;
    if (walk.redact === undefined) return value;
    // A token can be digits alone.
    const digits = toLabel(value) ?? '';
    const shown = redact(digits, walk);
    return shown === digits ? value : shown;
  }
  if (levels === 0) throw new MalformedEnvelope('unsafe');
  if (Array.isArray(value)) {
    walk.size += JSON_BYTES.array;
    for (let index = 0; index < value.length; index += 1) {
      const element = value[index] ?? null;
      const shown = redactAll(element, levels - 1, walk);
      if (shown !== element) value[index] = shown;
    }
    return value;
  }
  walk.size += JSON_BYTES.object;
  let shape: JsonShape = shapes.root;
  for (const name in value) {
    const known = shapes.known(shape, name);
    walk.size += known?.bytes ?? shapes.bytesOfName(shape, name, walk.bytesPerCharacter);
    shape = known ?? shapes.with(shape, name);
    const inside = value[name] ?? null;
    const shown = redactAll(inside, levels - 1, walk);
    const shownName = redact(name, walk);
    if (shownName !== name) delete value[name];
    if (shownName !== name || shown !== inside) value[shownName] = shown;
  }
  return value;
}

function redact(text: string, walk: Walk): string {
  if (walk.redact === undefined) return text;
  const shown = walk.redact(text);
  walk.isRedacted ||= shown !== text;
  return shown;
}
