import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { RefusedRequest } from '../core/errors.ts';
import { textBytes } from '../lib/json-size.ts';

/** The parameters of a request, as they came. */
export type Parameters = Readonly<Record<string, unknown>>;

/** Requests that name their document by its hash. */
export interface PersistedDocuments {
  /**
   * The parameters of a request with the document's text in the place of its hash; others as they
   * are. Throws a {@link RefusedRequest} for a hash or a text that is not accepted.
   */
  resolve(params: Parameters): Parameters;
}

/**
 * Nothing but the documents of a list runs, each by its id, which comes as
 * `extensions.persistedQuery.sha256Hash`, as Apollo Client and urql send it, or as `documentId`, as the
 * draft "Persisted Documents" of GraphQL over HTTP has it, with or without `sha256:` before it.
 */
export function createTrustedDocuments(texts: ReadonlyMap<string, string>): PersistedDocuments {
  return {
    resolve(params) {
      const { id, rest } = takeId(params);
      if (id === undefined) {
        throw new RefusedRequest(
          'FORBIDDEN',
          403,
          'Only trusted documents run here: send the hash of one.',
        );
      }
      const text = texts.get(id);
      if (text === undefined) {
        throw new RefusedRequest(
          'UNKNOWN_DOCUMENT',
          400,
          'No trusted document of this instance has this hash. During a rollout another instance may have it: try again.',
        );
      }
      return { ...rest, query: text };
    },
  };
}

/** Bounds of what is remembered: in number, and in bytes of memory. A document left out is sent again. */
const MAX_TEXTS = 1_000;
const MAX_ALL_BYTES = 1024 * 1024;
const MAX_BYTES = 16 * 1024;

/**
 * Apollo's automatic persisted queries: a hash that comes with its text is remembered, one that comes
 * alone stands for the text, or is answered PersistedQueryNotFound, upon which clients send the text.
 */
export function createAutomaticPersistedQueries(): PersistedDocuments {
  const texts = new LRUCache<string, string>({
    max: MAX_TEXTS,
    maxSize: MAX_ALL_BYTES,
    maxEntrySize: MAX_BYTES,
    sizeCalculation: textBytes,
  });
  return {
    resolve(params) {
      const { id, rest } = takeId(params);
      if (id === undefined) return params;
      const { query } = rest;
      if (typeof query === 'string') {
        if (createHash('sha256').update(query).digest('hex') !== id) {
          throw new RefusedRequest('BAD_USER_INPUT', 400, 'The hash is not that of the query.');
        }
        texts.set(id, query);
        return rest;
      }
      const text = texts.get(id);
      if (text === undefined) {
        // Clients know this one by its code, or by this very message.
        throw new RefusedRequest('PERSISTED_QUERY_NOT_FOUND', 200, 'PersistedQueryNotFound');
      }
      return { ...rest, query: text };
    },
  };
}

/**
 * Every request carries its text. One that has a hash alone is told so in the words that make Apollo Client go on
 * with texts.
 */
export function createPlainDocuments(): PersistedDocuments {
  return {
    resolve(params) {
      const { id, rest } = takeId(params);
      if (id !== undefined && rest['query'] === undefined) {
        throw new RefusedRequest(
          'PERSISTED_QUERY_NOT_SUPPORTED',
          200,
          'PersistedQueryNotSupported',
        );
      }
      return rest;
    },
  };
}

/** Takes the id of a document out of the parameters. */
function takeId(params: Parameters): { id: string | undefined; rest: Parameters } {
  // Most requests have neither.
  if (params['documentId'] === undefined && params['extensions'] === undefined) {
    return { id: undefined, rest: params };
  }
  const { documentId, extensions, ...rest } = params;
  const { persistedQuery, ...others } = toRecord(extensions);
  const { sha256Hash } = toRecord(persistedQuery);
  const id = typeof sha256Hash === 'string' ? sha256Hash : documentId;
  if (typeof id !== 'string') return { id: undefined, rest: params };
  return {
    id: bareId(id),
    rest: Object.keys(others).length === 0 ? rest : { ...rest, extensions: others },
  };
}

/** The own members of an object; none of anything else. */
export function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** The file or the client, or both, may say which hash it is. */
export function bareId(id: string): string {
  return id.replace(/^sha256:/, '');
}
