import { LRUCache } from 'lru-cache';
import { type Answer, type AnswerSummary, NOTHING_LOADED, textAnswer } from '../core/answer.ts';
import type { Principal } from '../core/principal.ts';
import type { CacheUse } from '../core/telemetry.ts';
import type { Clock } from '../lib/clock.ts';
import { textBytes } from '../lib/json-size.ts';
import { deleteOfTenant } from '../lib/tenant-keys.ts';

/** Bounds of what is kept: in number, and in bytes that requests and answers take in memory together. */
const MAX_ENTRIES = 10_000;
const MAX_ALL_BYTES = 16 * 1024 * 1024;
const MAX_BYTES = 256 * 1024;
/** What an entry takes beside its texts. */
const ENTRY_BYTES = 512;

/** What an answer depends on, whole. */
export interface Question {
  readonly principal: Pick<Principal, 'tenantId' | 'cachePartition'>;
  /** The media type of the answer. */
  readonly mediaType: string;
  /** The request's parameters as they came: the body of a POST, the query string of a GET. */
  readonly method: string;
  readonly text: string;
}

/**
 * Answers whose every status is from the cache, with a known end, kept until the first of them ends: a
 * dashboard that polls costs one lookup.
 */
export interface ResponseCache {
  get(question: Question): Answer | undefined;
  /**
   * Keeps an answer with this body until `freshUntil` on the clock, as one that cost nothing; not at all when that is
   * past or unknown.
   */
  set(question: Question, answer: Answer, body: string, freshUntil: number): void;
  /** Drops what is kept for this tenant, and is empty from then on. */
  close(): void;
}

/** The answers of all tenants, bounded together. */
export interface ResponseCaches {
  ofTenant(tenantId: string): ResponseCache;
  use(): CacheUse;
}

/** Under which an answer is kept: for no two questions that may be answered differently the same. */
export function responseKey({ principal, mediaType, method, text }: Question): string {
  return JSON.stringify([principal.tenantId, principal.cachePartition, mediaType, method, text]);
}

interface Entry {
  readonly answer: Answer;
  /** Until when it may be served, on the clock. */
  readonly freshUntil: number;
  /** What its body takes in memory, and the batches that it names. */
  readonly bodyBytes: number;
}

export function createResponseCaches(clock: Clock): ResponseCaches {
  const entries = new LRUCache<string, Entry>({
    max: MAX_ENTRIES,
    maxSize: MAX_ALL_BYTES,
    maxEntrySize: MAX_BYTES,
    sizeCalculation: ({ bodyBytes }, key) => ENTRY_BYTES + textBytes(key) + bodyBytes,
  });
  let hits = 0;
  let misses = 0;

  function get(question: Question): Answer | undefined {
    const entry = entries.size === 0 ? undefined : entries.get(responseKey(question));
    if (entry === undefined || clock.now() >= entry.freshUntil) {
      misses += 1;
      return undefined;
    }
    hits += 1;
    return entry.answer;
  }

  return {
    ofTenant(tenantId) {
      let isClosed = false;
      return {
        get: (question) => (isClosed ? undefined : get(question)),
        set(question, answer, body, freshUntil) {
          const isFresh = freshUntil > clock.now() && freshUntil !== Number.POSITIVE_INFINITY;
          if (isClosed || !isFresh) return;
          const kept = textAnswer(body, { ...answer, summary: toCached(answer.summary) });
          const bodyBytes = textBytes(body) + batchesBytes(answer.summary);
          const entry = { answer: kept, freshUntil, bodyBytes };
          entries.set(responseKey(question), entry);
        },
        close() {
          if (isClosed) return;
          isClosed = true;
          deleteOfTenant(entries, tenantId);
        },
      };
    },
    use: () => ({ hits, misses, entries: entries.size, bytes: entries.calculatedSize }),
  };
}

function toCached(summary: AnswerSummary): AnswerSummary {
  const { operationName, operationType, errorCodes, batches } = summary;
  return { ...NOTHING_LOADED, operationName, operationType, errorCodes, cached: true, batches };
}

function batchesBytes({ batches }: AnswerSummary): number {
  return batches === undefined ? 0 : textBytes(JSON.stringify(batches));
}
