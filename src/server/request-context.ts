import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ClientGone, DeadlineExceeded } from '../core/errors.ts';
import type { RequestContext } from '../core/request-context.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { Cancellation, type CancelSignal } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import type { Deadlines, Expiring } from '../lib/deadlines.ts';
import type { Turns } from '../lib/turns.ts';

interface DeadlineOptions {
  clock: Clock;
  deadlines: Deadlines;
  /** For requests whose time is up. */
  turns: Turns;
  /** The time limit of everything that one request waits for, in milliseconds. */
  deadlineMs: number;
  telemetry: Pick<Telemetry, 'traceRequest'>;
}

/**
 * The context of one request. Its id is the caller's `x-request-id`, the first that is one word of up to 64
 * letters, digits, `-` and `_`, else a new UUID. Its signal aborts when the client goes away or `deadlineMs` have
 * passed.
 *
 * A class, because an object literal with a getter has a hidden class of its own for each object, by which V8
 * keeps the whole request until the next full collection.
 */
export class HttpRequestContext implements RequestContext, Expiring {
  readonly id: string;
  readonly startedAt: number;
  readonly deadline: number;
  readonly trace: RequestTrace | undefined;
  readonly #response: ServerResponse;
  readonly #options: DeadlineOptions;
  #cancellation: Cancellation | undefined;
  #slot: number | undefined;
  #isExpiring = false;

  constructor(request: IncomingMessage, response: ServerResponse, options: DeadlineOptions) {
    this.id = readRequestId(request) ?? randomUUID();
    this.#response = response;
    this.#options = options;
    this.startedAt = options.clock.now();
    this.deadline = this.startedAt + options.deadlineMs;
    this.trace = options.telemetry.traceRequest?.(request);
  }

  /** Made when somebody waits for it: an answer that is at hand needs none. */
  get signal(): CancelSignal {
    this.#cancellation ??= this.#begin();
    return this.#cancellation;
  }

  #begin(): Cancellation {
    const { clock, deadlines, deadlineMs } = this.#options;
    const cancellation = new Cancellation();
    if (this.#response.closed) cancellation.abort(new ClientGone('the client went away'));
    else if (this.deadline <= clock.now()) cancellation.abort(deadlineExceeded(deadlineMs));
    else this.#slot = deadlines.add(this);
    return cancellation;
  }

  /** When the deadline has passed. */
  expire(): void {
    if (this.#isExpiring) return;
    this.#isExpiring = true;
    const { turns, deadlineMs } = this.#options;
    const giveUp = () => this.#cancellation?.abort(deadlineExceeded(deadlineMs));
    // All of its fields fail then, and many requests that came together would do so together.
    const turn = turns.nextUrgent();
    if (turn === undefined) giveUp();
    else void turn.then(giveUp);
  }

  /** To be called when the answer is out, or the client gone. Does nothing the second time. */
  end(isAnswered: boolean): void {
    if (this.#slot !== undefined) this.#options.deadlines.delete(this.#slot);
    this.#slot = undefined;
    if (!isAnswered) this.#cancellation?.abort(new ClientGone('the client went away'));
  }
}

function deadlineExceeded(deadlineMs: number): DeadlineExceeded {
  return new DeadlineExceeded(`The request took longer than ${deadlineMs} ms.`);
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
