import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { RequestScope } from '../graphql/context.ts';
import type { GraphQLMediaType, HttpAnswer } from '../graphql/http-answer.ts';

/** Bounds of what is kept: in number, and in characters of requests and answers together. */
const MAX_ANSWERS = 10_000;
const MAX_ALL_CHARACTERS = 16 * 1024 * 1024;
const MAX_CHARACTERS = 256 * 1024;

/** An answer that may be given again, and what its log line says. */
export interface KeptAnswer {
  readonly answer: HttpAnswer;
  readonly operationName: string | null;
}

/** What an answer depends on, whole. */
export interface Question {
  /** The media type of the answer. */
  readonly mediaType: GraphQLMediaType;
  /** Whatever of the caller can change the answer. */
  readonly caller: Pick<RequestScope, 'isRouter' | 'cachePartition'>;
  /** The text of the request's body: query, variables, operation name. */
  readonly body: string;
}

/**
 * Answers whose every status is a copy with a known end, kept until the first of them ends: a
 * dashboard that polls costs one lookup.
 */
export interface KeptAnswers {
  get(question: Question): KeptAnswer | undefined;
  /** Keeps an answer until `freshUntil` on the clock; not at all when that is past or unknown. */
  keep(question: Question, kept: KeptAnswer, freshUntil: number): void;
}

/** Under which an answer is kept: for no two questions that may be answered differently the same. */
export function keptAnswerKey(tenantId: string, { mediaType, caller, body }: Question): string {
  return JSON.stringify([tenantId, caller.cachePartition, caller.isRouter, mediaType, body]);
}

export function createKeptAnswers(clock: Clock, tenantId: string): KeptAnswers {
  const answers = new LRUCache<string, KeptAnswer>({
    max: MAX_ANSWERS,
    maxSize: MAX_ALL_CHARACTERS,
    maxEntrySize: MAX_CHARACTERS,
    sizeCalculation: ({ answer }, key) => key.length + answer.body.length,
    perf: clock,
    ttlResolution: 0,
  });
  return {
    get: (question) => answers.get(keptAnswerKey(tenantId, question)),
    keep(question, kept, freshUntil) {
      const ttl = freshUntil - clock.now();
      if (ttl > 0 && ttl < Number.POSITIVE_INFINITY)
        answers.set(keptAnswerKey(tenantId, question), kept, { ttl });
    },
  };
}
