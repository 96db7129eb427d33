import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ClientGone, DeadlineExceeded } from '../core/errors.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { Clock } from '../lib/clock.ts';
import type { Turns } from '../lib/turns.ts';

interface DeadlineOptions {
  clock: Clock;
  /** For requests whose time is up. */
  turns: Turns;
  /** The time limit of everything that one request waits for, in milliseconds. */
  deadlineMs: number;
}

/**
 * The context of one request. Its id is the caller's `x-request-id`, the first that is one word of up to 64
 * letters, digits, `-` and `_`, else a new UUID. Its signal aborts when the client goes away or `deadlineMs` have
 * passed.
 *
 * A class, because an object literal with a getter has a hidden class of its own for each object, by which V8
 * keeps the whole request until the next full collection.
 */
export class HttpRequestContext implements RequestContext {
  readonly id: string;
  readonly startedAt: number;
  readonly deadline: number;
  readonly #response: ServerResponse;
  readonly #limits: DeadlineOptions;
  #abort: AbortController | undefined;
  #cancelDeadline: (() => void) | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, limits: DeadlineOptions) {
    this.id = readRequestId(request) ?? randomUUID();
    this.#response = response;
    this.#limits = limits;
    this.startedAt = limits.clock.now();
    this.deadline = this.startedAt + limits.deadlineMs;
  }

  /** Made when somebody waits for it: an answer that is at hand needs neither signal nor timer. */
  get signal(): AbortSignal {
    this.#abort ??= this.#beginAbort();
    return this.#abort.signal;
  }

  #beginAbort(): AbortController {
    const { clock, turns, deadlineMs } = this.#limits;
    const abort = new AbortController();
    const giveUp = () =>
      abort.abort(new DeadlineExceeded(`The request took longer than ${deadlineMs} ms.`));
    // All of its fields fail then, and many requests that came together would do so together.
    const giveUpInTurn = () => {
      const turn = turns.nextUrgent();
      if (turn === undefined) giveUp();
      else void turn.then(giveUp);
    };
    const remainingMs = this.deadline - clock.now();
    if (this.#response.closed) abort.abort(new ClientGone('the client went away'));
    else if (remainingMs <= 0) giveUp();
    else this.#cancelDeadline = clock.after(remainingMs, giveUpInTurn);
    return abort;
  }

  /** To be called when the answer is out, or the client gone. */
  end(isAnswered: boolean): void {
    this.#cancelDeadline?.();
    if (!isAnswered) this.#abort?.abort(new ClientGone('the client went away'));
  }
}

function readRequestId({ headers }: IncomingMessage): string | undefined {
  const given = headers['x-request-id'];
  // Node joins the lines of a header that came more than once.
  return typeof given === 'string'
    ? given
        .split(',')
        .map((id) => id.trim())
        .find((id) => /^[\w-]{1,64}$/.test(id))
    : undefined;
}
