import type { BatchKey } from '../core/batch-key.ts';
import type { Caller } from '../core/caller.ts';
import type { StatusObserver } from '../core/request-trace.ts';
import { Cancellation, type CancelSignal } from '../lib/cancellation.ts';
import type { EndUser } from '../upstream/request.ts';
import type { CallSlots } from './call-slots.ts';
import type { StatusInquiry } from './source.ts';
import type { BatchStatus } from './status.ts';

/** Who waits for a flight. */
interface Waiter {
  /** Aborts when the waiter is gone, or its time is up. */
  readonly signal: CancelSignal;
  /** The moment on the clock at which its time is up. */
  readonly deadline: number;
}

/** Who begins a flight. */
interface Starter extends Waiter {
  readonly user: EndUser | undefined;
  readonly caller: Caller;
  readonly observer?: StatusObserver | undefined;
}

interface FlightOptions extends Pick<StatusInquiry, 'mayWait' | 'isPoll'> {
  key: BatchKey;
  callSlots: CallSlots;
  /** Called when the last who waits has left, before the flight is aborted. */
  abandoned(flight: Flight): void;
}

/**
 * What is asked of the upstream for all who wait for the same status. Who leaves does not end it; when the last one
 * leaves, it is aborted with that one's reason. When it is over, it refers to nobody's request any more.
 */
export class Flight implements StatusInquiry {
  /** Under which it is found. */
  readonly id: string;
  readonly user: EndUser | undefined;
  /** Of whoever began it. */
  readonly observer: StatusObserver | undefined;
  readonly #caller: Caller;
  readonly #options: FlightOptions;
  readonly #cancellation = new Cancellation();
  #waiting: Seat[] = [];
  /** The latest of those who have waited for it. */
  #deadline: number;
  #upstreamCalls = 0;
  /** The X-COREOS-REQUEST-ID of the call that brought the status; undefined: none did yet. */
  upstreamRequestId: string | undefined;
  /** Whether another replica made the call. */
  isShared = false;

  constructor(id: string, { user, caller, observer, deadline }: Starter, options: FlightOptions) {
    this.id = id;
    this.user = user;
    this.observer = observer;
    this.#caller = caller;
    this.#deadline = deadline;
    this.#options = options;
  }

  get mayWait(): boolean {
    return this.#options.mayWait;
  }

  get isPoll(): boolean {
    return this.#options.isPoll;
  }

  enter(): ReturnType<CallSlots['enter']> {
    const { key, callSlots } = this.#options;
    return callSlots.enter(key.participantType, this.#caller, this.#cancellation);
  }

  get signal(): CancelSignal {
    return this.#cancellation;
  }

  /** Calls that were made so far. */
  get upstreamCalls(): number {
    return this.#upstreamCalls;
  }

  deadline(): number {
    return this.#deadline;
  }

  onCall(): void {
    this.#upstreamCalls += 1;
  }

  /**
   * Waits for it. Resolves to what `toResult` makes of the status, or `toFailure` of what it fails with, or of the
   * reason of the waiter's signal; neither may throw.
   */
  join<T>(
    waiter: Waiter,
    toResult: (status: BatchStatus) => T,
    toFailure: (error: unknown) => T | Promise<T>,
  ): Promise<T> {
    this.#deadline = Math.max(this.#deadline, waiter.deadline);
    return new Promise((resolve) => {
      const seat = new Seat(
        waiter.signal,
        (status) => resolve(toResult(status)),
        (error) => resolve(toFailure(error)),
        () => this.#leave(seat),
      );
      this.#waiting.push(seat);
    });
  }

  #leave(seat: Seat): void {
    const index = this.#waiting.indexOf(seat);
    if (index === -1) return;
    this.#waiting.splice(index, 1);
    const { reason } = seat.signal;
    seat.reject(reason);
    if (this.#waiting.length > 0) return;
    this.#options.abandoned(this);
    this.#cancellation.abort(reason);
  }

  /** Gives all who wait the status. */
  land(status: BatchStatus): void {
    for (const seat of this.#empty()) seat.resolve(status);
  }

  /** Rejects all who wait. */
  fail(error: unknown): void {
    for (const seat of this.#empty()) seat.reject(error);
  }

  #empty(): readonly Seat[] {
    const seats = this.#waiting;
    this.#waiting = [];
    for (const seat of seats) seat.signal.removeEventListener('abort', seat.leave);
    return seats;
  }
}

/** The place of one who waits. */
class Seat {
  readonly signal: CancelSignal;
  readonly resolve: (status: BatchStatus) => void;
  readonly reject: (reason: unknown) => void;
  readonly leave: () => void;

  constructor(
    signal: CancelSignal,
    resolve: (status: BatchStatus) => void,
    reject: (reason: unknown) => void,
    leave: () => void,
  ) {
    this.signal = signal;
    this.resolve = resolve;
    this.reject = reject;
    this.leave = leave;
    signal.addEventListener('abort', leave);
  }
}
