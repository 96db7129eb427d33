import type { Caller } from '../core/caller.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { RequestContext } from '../core/request-context.ts';
import { type Entry, FairSemaphore, type Group } from '../lib/fair-semaphore.ts';

/** What one answer may take of the bytes that wait to be sent. */
export interface Sending {
  /** Says how long the answer is, once that is known. */
  resize(bytes: number): void;
  /** To be called once, when the answer is out, or its client gone. */
  leave(): void;
}

/** How many bytes of answers wait for their clients at a time. */
export interface SendRoom {
  /** Whether answers wait for room. */
  readonly isFull: boolean;
  /**
   * Waits for room for an answer that is `maxBytes` long at the most; undefined: it needs none. Rejects with a
   * {@link RefusedRequest} (503) when there is none before the request's time is up. Those that wait are served
   * fairly by caller, and one caller has a quarter at the most while others wait.
   */
  enter(
    maxBytes: number,
    caller: Caller,
    context: RequestContext,
  ): Sending | Promise<Sending> | undefined;
}

/** An answer so short waits for nothing: the requests that are held at a time bound the number of them. */
const SHORT_ANSWER_BYTES = 16 * 1024;
/** Longer ones leave an eighth of the room to the others. */
const LONG_ANSWER_BYTES = 1024 * 1024;
const FOR_OTHERS = 1 / 8;

export function createSendRoom(maxBytes: number, maxWaiting: number): SendRoom {
  const semaphore = new FairSemaphore({ capacity: maxBytes, maxWaiting });
  const longAnswers: Group = {
    key: 'long answers',
    share: (1 - FOR_OTHERS) * maxBytes,
    reserve: FOR_OTHERS * maxBytes,
  };
  return {
    get isFull() {
      return semaphore.hasWaiting;
    },
    enter(longest, caller, context) {
      if (longest <= SHORT_ANSWER_BYTES) return undefined;
      const { promise, resolve, reject } = Promise.withResolvers<Sending>();
      const sending: Sending = {
        resize: (bytes) => semaphore.resize(entry, bytes),
        leave: () => semaphore.leave(entry),
      };
      const giveUp = () => {
        semaphore.leave(entry);
        reject(noRoom());
      };
      const entry: Entry = {
        size: longest,
        groups: [
          { key: caller.key, share: (caller.weight * maxBytes) / 4, reserve: 0 },
          ...(longest > LONG_ANSWER_BYTES ? [longAnswers] : []),
        ],
        admitted() {
          context.signal.removeEventListener('abort', giveUp);
          resolve(sending);
        },
        refused: () => {
          context.signal.removeEventListener('abort', giveUp);
          reject(noRoom());
        },
      };
      const admission = semaphore.enter(entry);
      if (admission === 'admitted') return sending;
      if (admission === 'full') reject(noRoom());
      else if (context.signal.aborted) giveUp();
      else context.signal.addEventListener('abort', giveUp);
      return promise;
    },
  };
}

function noRoom(): RefusedRequest {
  return new RefusedRequest(
    'OVERLOADED',
    503,
    'Too many answers wait to be sent: ask for less at a time, and read answers as they come.',
    { retryAfterMs: 1_000 },
  );
}
