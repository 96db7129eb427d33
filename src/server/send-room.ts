import type { Caller } from '../core/caller.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { RequestContext } from '../core/request-context.ts';
import { FairSemaphore, type Group, type Permit } from '../lib/fair-semaphore.ts';
import type { Turns } from '../lib/turns.ts';

/** How many bytes of answers wait for their clients at a time. */
export interface SendRoom {
  /** Whether answers wait for room. */
  readonly isFull: boolean;
  /** The part of the room that is taken, from 0; a single answer can be longer than all of it. */
  readonly share: number;
  /**
   * Waits for room for an answer that is `maxBytes` long at the most; undefined: it needs none. Rejects with a
   * {@link RefusedRequest} (503) when there is none before the request's time is up. Those that wait are served
   * fairly by caller, and one caller has a quarter at the most while others wait.
   */
  enter(
    maxBytes: number,
    caller: Caller,
    context: RequestContext,
  ): Permit | Promise<Permit> | undefined;
}

/** An answer so short waits for nothing: the requests that are held at a time bound the number of them. */
const SHORT_ANSWER_BYTES = 16 * 1024;
/** Longer ones are written out one at a time. */
const HEAVY_ANSWER_BYTES = 256 * 1024;
/** Longer ones leave an eighth of the room to the others. */
const LONG_ANSWER_BYTES = 1024 * 1024;
const FOR_OTHERS = 1 / 8;

interface SendRoomOptions {
  /** Bytes of all answers together. */
  maxBytes: number;
  maxWaiting: number;
  /** For long answers, which are written out one at a time. */
  turns: Turns;
}

export function createSendRoom({ maxBytes, maxWaiting, turns }: SendRoomOptions): SendRoom {
  const semaphore = new FairSemaphore({ capacity: maxBytes, maxWaiting });
  const longAnswers: Group = {
    key: 'long answers',
    share: (1 - FOR_OTHERS) * maxBytes,
    reserve: FOR_OTHERS * maxBytes,
  };
  async function enterInTurn(entering: Permit | Promise<Permit>, { key }: Caller): Promise<Permit> {
    const permit = await entering;
    await turns.next(key);
    return permit;
  }

  return {
    get isFull() {
      return semaphore.hasWaiting;
    },
    get share() {
      return semaphore.used / maxBytes;
    },
    enter(longest, caller, context) {
      if (longest <= SHORT_ANSWER_BYTES) return undefined;
      const ofCaller = { key: caller.key, share: (caller.weight * maxBytes) / 4, reserve: 0 };
      const entering = semaphore.acquire(
        {
          size: longest,
          groups: longest > LONG_ANSWER_BYTES ? [ofCaller, longAnswers] : [ofCaller],
        },
        { signal: () => context.signal, refused: noRoom, aborted: noRoom },
      );
      return longest > HEAVY_ANSWER_BYTES ? enterInTurn(entering, caller) : entering;
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
