import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { HttpAnswer } from '../graphql/http-answer.ts';

/** Bounds of what is kept: in number, and in characters of requests and answers together. */
const MAX_ANSWERS = 10_000;
const MAX_ALL_CHARACTERS = 16 * 1024 * 1024;
const MAX_CHARACTERS = 256 * 1024;

/** An answer that may be given again, and what its log line says. */
export interface KeptAnswer {
  readonly answer: HttpAnswer;
  readonly operationName: string | null;
}

/**
 * Answers whose every status is a copy with a known end, kept until the first of them ends: a
 * dashboard that polls costs one lookup. The key is what the answer depends on, whole: the text of
 * the request's body (query, variables, operation name), the media type of the answer, and whatever
 * of the caller can change it.
 */
export interface KeptAnswers {
  get(key: string): KeptAnswer | undefined;
  /** Keeps an answer until `freshUntil` on the clock; not at all when that is past or unknown. */
  keep(key: string, kept: KeptAnswer, freshUntil: number): void;
}

export function createKeptAnswers(clock: Clock): KeptAnswers {
  const answers = new LRUCache<string, KeptAnswer>({
    max: MAX_ANSWERS,
    maxSize: MAX_ALL_CHARACTERS,
    maxEntrySize: MAX_CHARACTERS,
    sizeCalculation: ({ answer }, key) => key.length + answer.body.length,
    perf: clock,
    ttlResolution: 0,
  });
  return {
    get: (key) => answers.get(key),
    keep(key, kept, freshUntil) {
      const ttl = freshUntil - clock.now();
      if (ttl > 0 && ttl < Number.POSITIVE_INFINITY) answers.set(key, kept, { ttl });
    },
  };
}
