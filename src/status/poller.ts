import { createHash } from 'node:crypto';
import type { BatchKey } from '../core/batch-key.ts';
import type { Caller } from '../core/caller.ts';
import { ClientGone, DeadlineExceeded } from '../core/errors.ts';
import { Cancellation } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import type { Deadlines, Expiring } from '../lib/deadlines.ts';
import type { HeldMemory, MemoryUse } from '../lib/held-memory.ts';
import { isOutage } from '../upstream/errors.ts';
import type { EndUser } from '../upstream/request.ts';
import { tooMuchHeld } from './loader.ts';
import type { StatusResult, StatusService } from './service.ts';
import type { BatchStatus } from './status.ts';

/** What became of a batch: a status, or why there is none. */
export type BatchNews = { readonly status: BatchStatus } | { readonly error: unknown };

/** Who follows a batch. */
export interface Follower {
  /** Whose calls the polls count among. */
  readonly caller: Caller;
  /** Called with the present state as soon as it is known, then at each change. Must not throw. */
  onNews(news: BatchNews): void;
  /** Called once, after the last news. Must not throw. */
  onEnd(): void;
}

export interface PollerOptions {
  statuses: StatusService;
  heldMemory: HeldMemory;
  clock: Clock;
  deadlines: Deadlines;
  /** A number from 0 to 1, for the jitter. */
  random: () => number;
  /** The time limit of a poll, in milliseconds. */
  deadlineMs: number;
  /** Between two polls of a batch that has just changed, in milliseconds. */
  minMs: number;
  /** The same at most, when nothing changes. */
  maxMs: number;
  /** Statuses in which a batch is finished, in upper case. */
  finishedStatuses: ReadonlySet<string>;
}

/** Is told what a poller does. */
interface PollerObserver {
  /** A status is asked for. */
  polled(): void;
  /** It does not poll any more. Called once. */
  ended(): void;
}

/** By so much a wait grows when nothing has changed. */
const GROWTH = 1.5;
/** A wait is up to so much shorter, by chance: pollers that began together do not stay together. */
const JITTER = 0.1;
/** While the upstream fails, it is asked so often at least: whether a call goes out then is the circuit's decision. */
const FAILING_MAX_MS = 2_000;

/**
 * Follows one batch for all who want to know: polls it as long as somebody follows, until it is finished or cannot be
 * followed any further. A status that somebody else's query fetches meanwhile counts as a poll.
 */
export class Poller {
  readonly #key: BatchKey;
  readonly #user: EndUser | undefined;
  readonly #options: PollerOptions;
  readonly #observer: PollerObserver;
  readonly #followers = new Set<Follower>();
  readonly #unobserve: () => void;
  #news: BatchNews | undefined;
  #fingerprint = '';
  #held: MemoryUse | undefined;
  #waitMs: number;
  #isFailing = false;
  /** Whether the last poll brought news. */
  #isSettling = false;
  /** Whether the batch has been found finished by its counts alone, which are looked at once more. */
  #isConfirming = false;
  #poll: Poll | undefined;
  #cancelWait = () => {};
  #isOver = false;

  constructor(
    key: BatchKey,
    user: EndUser | undefined,
    options: PollerOptions,
    observer: PollerObserver,
  ) {
    this.#key = key;
    this.#user = user;
    this.#options = options;
    this.#observer = observer;
    this.#waitMs = options.minMs;
    this.#unobserve = options.statuses.observe(key, user, (status) => this.#onFetched(status));
  }

  get followers(): number {
    return this.#followers.size;
  }

  /** Begins with the first. Returns how to leave; the last one who does ends it. */
  add(follower: Follower): () => void {
    this.#followers.add(follower);
    if (this.#news !== undefined) follower.onNews(this.#news);
    else if (this.#poll === undefined) this.#ask('get');
    return () => {
      if (this.#followers.delete(follower) && this.#followers.size === 0) this.#end();
    };
  }

  #ask(method: 'get' | 'refresh'): void {
    const [first] = this.#followers;
    if (first === undefined) return;
    const { statuses, clock, deadlines, deadlineMs } = this.#options;
    const poll = new Poll(first.caller, this.#user, clock.now() + deadlineMs, deadlines);
    this.#poll = poll;
    this.#observer.polled();
    void Promise.resolve(statuses[method](this.#key, poll)).then((result) => {
      poll.end();
      if (this.#poll !== poll) return;
      this.#poll = undefined;
      this.#accept(result);
    });
  }

  #accept(result: StatusResult): void {
    if ('error' in result) this.#onFailure(result.error);
    else if (result.staleBecause !== undefined) this.#onFailure(result.staleBecause, result.status);
    else this.#onStatus(result.status);
  }

  /** By a call of the poller's own, or of a query's. */
  #onFetched(status: BatchStatus): void {
    this.#poll?.end();
    this.#poll = undefined;
    this.#onStatus(status);
  }

  #onStatus(status: BatchStatus): void {
    const { minMs, maxMs } = this.#options;
    const fingerprint = fingerprintOf(status);
    const isNews = this.#isFailing || fingerprint !== this.#fingerprint;
    // One poll can be a moment before a change, so that it is the second in vain from which the waits grow.
    if (isNews || this.#isSettling) this.#waitMs = minMs;
    else this.#waitMs = Math.min(maxMs, GROWTH * this.#waitMs);
    this.#isSettling = isNews;
    this.#fingerprint = fingerprint;
    const isHeld = !isNews || this.#hold(status);
    if (isHeld && isNews) this.#tell({ status });
    else if (!isHeld && !this.#isFailing) this.#tell({ error: tooMuchHeld() });
    // What there was no memory for is tried again by the next poll.
    this.#isFailing = !isHeld;
    if (isHeld && this.#isFinal(status)) this.#end();
    else this.#wait(this.#waitMs);
  }

  /** Counts may say that all is done a moment before the status does. */
  #isFinal({ finished, status }: BatchStatus): boolean {
    if (finished !== true) {
      this.#isConfirming = false;
      return false;
    }
    const isByStatus = status !== null && this.#options.finishedStatuses.has(status.toUpperCase());
    const isConfirmed = this.#isConfirming;
    this.#isConfirming = true;
    return isByStatus || isConfirmed;
  }

  /** `last`: the last status, if it is not too old. */
  #onFailure(error: unknown, last?: BatchStatus): void {
    const isRetryable = isOutage(error) || error instanceof DeadlineExceeded;
    if (!isRetryable) {
      this.#tell({ error });
      this.#end();
      return;
    }
    if (!this.#isFailing) {
      const isToldLast = last !== undefined && this.#hold(last);
      this.#tell(isToldLast ? { status: last } : { error });
    }
    this.#isFailing = true;
    this.#waitMs = Math.min(FAILING_MAX_MS, GROWTH * this.#waitMs);
    this.#wait(this.#waitMs);
  }

  #hold({ memory }: BatchStatus): boolean {
    const { heldMemory } = this.#options;
    const isHeld = heldMemory.hold(memory);
    if (this.#held !== undefined) heldMemory.release(this.#held);
    this.#held = isHeld ? memory : undefined;
    return isHeld;
  }

  #tell(news: BatchNews): void {
    this.#news = news;
    for (const follower of this.#followers) follower.onNews(news);
  }

  #wait(ms: number): void {
    const { clock, random } = this.#options;
    this.#cancelWait();
    if (this.#isOver) return;
    const withJitter = ms * (1 - JITTER * random());
    this.#cancelWait = clock.after(withJitter, () => this.#ask('refresh'));
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelWait();
    this.#unobserve();
    this.#poll?.end();
    this.#poll = undefined;
    if (this.#held !== undefined) this.#options.heldMemory.release(this.#held);
    this.#observer.ended();
    for (const follower of this.#followers) follower.onEnd();
    this.#followers.clear();
  }
}

/** Who asks for a poll's status. */
class Poll extends Cancellation implements Expiring {
  readonly caller: Caller;
  readonly user: EndUser | undefined;
  readonly deadline: number;
  readonly #deadlines: Deadlines;
  #slot: number | undefined;

  constructor(caller: Caller, user: EndUser | undefined, deadline: number, deadlines: Deadlines) {
    super();
    this.caller = caller;
    this.user = user;
    this.deadline = deadline;
    this.#deadlines = deadlines;
    this.#slot = deadlines.add(this);
  }

  get signal(): this {
    return this;
  }

  expire(): void {
    this.abort(new DeadlineExceeded('The poll took too long.'));
  }

  /** To be called when it is over, or not wanted any more. */
  end(): void {
    if (this.#slot === undefined) return;
    this.#deadlines.delete(this.#slot);
    this.#slot = undefined;
    this.abort(new ClientGone('nobody follows the batch any more'));
  }
}

/** Equal for two statuses that say the same. */
function fingerprintOf({ data }: BatchStatus): string {
  return createHash('sha256').update(JSON.stringify(data)).digest('base64');
}
