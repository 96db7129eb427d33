import { LRUCache } from 'lru-cache';
import type { Caller } from '../core/caller.ts';
import { RefusedRequest } from '../core/errors.ts';
import type { RequestContext } from '../core/request-context.ts';
import { upTo } from '../lib/entry-bound.ts';
import { FairSemaphore, type Group, type Permit } from '../lib/fair-semaphore.ts';
import type { Turns } from '../lib/turns.ts';

/** How many bytes of answers wait for their clients at a time. */
export interface SendRoom {
  /** Whether answers wait for room. */
  readonly isFull: boolean;
  /** The part of the room that is taken, from 0; a single answer can be longer than all of it. */
  readonly share: number;
  /**
   * Waits for room for an answer as long as the caller got last for a request of that length, before it is made;
   * undefined: that was not long. So who does not take long answers waits for room with nothing in hand, and one of
   * them begins at a time. They leave half of the room to others. Rejects as {@link enter} does.
   */
  expect(request: RoomRequest, context: RequestContext): Promise<Permit> | undefined;
  /**
   * Waits for room for an answer that is `maxBytes` long at the most; undefined: it needs none. `expected`: what there
   * is for it already, which is given back where it is too little. Rejects with a {@link RefusedRequest} (503) when
   * there is none before the request's time is up. Those that wait are served fairly by caller, and one caller has a
   * quarter at the most while others wait.
   */
  enter(
    maxBytes: number,
    request: RoomRequest,
    context: RequestContext,
    expected: Permit | undefined,
  ): Permit | Promise<Permit> | undefined;
}

/** What is known of a request before it is read: who asks the same again mostly sends as many characters. */
export interface RoomRequest {
  readonly caller: Caller;
  /** Of its query string and body, in characters. */
  readonly length: number;
}

/** An answer so short waits for nothing: the requests that are held at a time bound the number of them. */
const SHORT_ANSWER_BYTES = 16 * 1024;
/** Longer ones are written out one at a time. */
const HEAVY_ANSWER_BYTES = 256 * 1024;
/** Longer ones leave an eighth of the room to the others. */
const LONG_ANSWER_BYTES = 1024 * 1024;
const FOR_OTHERS = 1 / 8;
/** The part of the room for answers that are expected: the rest is for those that are made. */
const FOR_EXPECTED = 1 / 2;
/** Requests of which it is remembered that their answers were long. */
const MAX_REMEMBERED = 10_000;

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
  const expectedAnswers: Group = {
    key: 'expected answers',
    share: FOR_EXPECTED * maxBytes,
    reserve: (1 - FOR_EXPECTED) * maxBytes,
  };
  /** The length of the last answer, where it was long. */
  const lastBytes = new LRUCache<string, number>(upTo(MAX_REMEMBERED));

  function remember(request: RoomRequest, bytes: number): void {
    const key = requestKey(request);
    if (bytes > HEAVY_ANSWER_BYTES) lastBytes.set(key, bytes);
    else lastBytes.delete(key);
  }

  function acquire(
    size: number,
    caller: Caller,
    context: RequestContext,
    { isExpected }: { isExpected: boolean },
  ): Permit | Promise<Permit> {
    const groups: [Group, ...Group[]] = [
      { key: caller.key, share: (caller.weight * maxBytes) / 4, reserve: 0 },
    ];
    if (size > LONG_ANSWER_BYTES) groups.push(longAnswers);
    if (isExpected) groups.push(expectedAnswers);
    return semaphore.acquire(
      { size, groups },
      { signal: () => context.signal, refused: noRoom, aborted: noRoom },
    );
  }

  async function inTurn(entering: Permit | Promise<Permit>): Promise<Permit> {
    const permit = await entering;
    await turns.nextUrgent();
    return permit;
  }

  return {
    get isFull() {
      return semaphore.hasWaiting;
    },
    get share() {
      return semaphore.used / maxBytes;
    },
    expect(request, context) {
      const expected = lastBytes.size === 0 ? undefined : lastBytes.get(requestKey(request));
      return expected === undefined
        ? undefined
        : inTurn(acquire(expected, request.caller, context, { isExpected: true }));
    },
    enter(longest, request, context, expected) {
      if (lastBytes.size > 0 || longest > HEAVY_ANSWER_BYTES) remember(request, longest);
      const isEnough = expected !== undefined && longest <= (expected.held ?? 0);
      if (isEnough) expected.resize(longest);
      else expected?.leave();
      if (!isEnough && longest <= SHORT_ANSWER_BYTES) return undefined;
      const entering = isEnough
        ? expected
        : acquire(longest, request.caller, context, { isExpected: false });
      return longest > HEAVY_ANSWER_BYTES ? inTurn(entering) : entering;
    },
  };
}

function requestKey({ caller, length }: RoomRequest): string {
  return JSON.stringify([caller.key, length]);
}

function noRoom(): RefusedRequest {
  return new RefusedRequest(
    'OVERLOADED',
    503,
    'Too many answers wait to be sent: ask for less at a time, and read answers as they come.',
    { retryAfterMs: 1_000 },
  );
}
