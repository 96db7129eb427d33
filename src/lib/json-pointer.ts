import { isJsonObject, type JsonValue } from './json.ts';

/**
 * The value that a JSON Pointer (RFC 6901) names within `document`: "" is the whole, "/a/0" the first
 * of the array "a"; "~1" stands for "/", "~0" for "~". Null when there is no such value; undefined
 * when the pointer itself is malformed. Only members that the document has are found, never what
 * objects inherit.
 */
export function resolveJsonPointer(document: JsonValue, pointer: string): JsonValue | undefined {
  if (pointer === '') return document;
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return undefined;
  let value: JsonValue | undefined = document;
  for (const escaped of pointer.slice(1).split('/')) {
    const token = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value)) {
      value = /^(0|[1-9]\d*)$/.test(token) ? value[Number(token)] : undefined;
    } else {
      value = isJsonObject(value) && Object.hasOwn(value, token) ? value[token] : undefined;
    }
  }
  return value ?? null;
}
