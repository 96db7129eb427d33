import {
  defaultFieldResolver,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  getNullableType,
  isLeafType,
  isObjectType,
} from 'graphql';
import { FieldError } from '../core/errors.ts';

/**
 * Bytes of a value as `JSON.stringify` writes it in UTF-8. Stops to count beyond `limit`: what it returns then is
 * more than that, and no more.
 */
export function jsonSize(value: unknown, limit: number): number {
  switch (typeof value) {
    case 'string':
      return textSize(value);
    case 'number':
      return String(value).length;
    case 'boolean':
      return value ? 4 : 5;
    case 'object':
      return value === null ? 4 : objectSize(value, limit);
    default:
      return 0;
  }
}

/** What JSON writes as an escape, halves of surrogate pairs among it. */
const ESCAPED = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

function textSize(text: string): number {
  return ESCAPED.test(text) ? Buffer.byteLength(JSON.stringify(text)) : Buffer.byteLength(text) + 2;
}

/** A moment in quotes: `"2026-01-31T12:00:00.000Z"`. */
const MOMENT_SIZE = 26;

function objectSize(value: object, limit: number): number {
  if (JSON.isRawJSON(value)) return value.rawJSON.length;
  if (value instanceof Date) return MOMENT_SIZE;
  // The brackets without the comma that the first has not; then each element or member with its comma.
  let size = 1;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length && size <= limit; index += 1) {
      size += 1 + jsonSize(value[index], limit - size);
    }
    return Math.max(size, 2);
  }
  for (const [name, member] of Object.entries(value)) {
    if (size > limit) break;
    size += 2 + textSize(name) + jsonSize(member, limit - size);
  }
  return Math.max(size, 2);
}

/** What an error of a field takes beside the names on its path. */
const ERROR_SIZE = 300;

/** Counts an answer while it is put together, field by field. One for each execution. */
export class ResponseSize {
  readonly #limit: number;
  #counted: number;
  /** Sizes of payloads, which come again and again. */
  readonly #known = new WeakMap<object, number>();

  /** `begunWith`: bytes of the answer that are known. */
  constructor(limit: number, begunWith: number) {
    this.#limit = limit;
    this.#counted = begunWith;
  }

  /** Counts a field whose value is written as it is. Throws a {@link FieldError} when the answer would be too long. */
  addLeaf(name: string, value: unknown, path: GraphQLResolveInfo['path']): void {
    const size = textSize(name) + 2 + this.#sizeOf(value);
    if (this.#counted + size <= this.#limit) {
      this.#counted += size;
      return;
    }
    this.#counted += ERROR_SIZE + pathSize(path);
    throw responseTooLong(this.#limit);
  }

  /** Counts a field that has fields of its own, which are counted by themselves. */
  addComposite(name: string, elements: number): void {
    this.#counted += textSize(name) + 4 + 3 * elements;
  }

  #sizeOf(value: unknown): number {
    if (typeof value !== 'object' || value === null) return jsonSize(value, this.#limit);
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const size = jsonSize(value, this.#limit);
    this.#known.set(value, size);
    return size;
  }
}

export function responseTooLong(limit: number): FieldError {
  return new FieldError(
    'OPERATION_TOO_COMPLEX',
    `The answer would be longer than ${limit} bytes: ask for less at a time.`,
  );
}

function pathSize({ key, prev }: GraphQLResolveInfo['path']): number {
  return String(key).length + 3 + (prev === undefined ? 0 : pathSize(prev));
}

/** What the resolvers of a counting schema are given. */
interface CountingContext {
  readonly responseSize?: ResponseSize;
}

/**
 * Makes every field of a schema count itself into the context's {@link ResponseSize}, and fail where the answer
 * would be too long. Changes the schema, and returns it.
 */
export function toCountingSchema(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const resolve = field.resolve ?? defaultFieldResolver;
      const isLeaf = isLeafType(getNullableType(field.type));
      const count = (
        value: unknown,
        { responseSize }: CountingContext,
        path: GraphQLResolveInfo['path'],
      ) => {
        const name = String(path.key);
        if (isLeaf) responseSize?.addLeaf(name, value, path);
        else responseSize?.addComposite(name, Array.isArray(value) ? value.length : 1);
        return value;
      };
      field.resolve = (source, args, context, info) => {
        const value: unknown = resolve(source, args, context, info);
        return value instanceof Promise
          ? value.then((settled) => count(settled, context, info.path))
          : count(value, context, info.path);
      };
    }
  }
  return schema;
}
