import { adviceFor, type GatewayError } from './gateway-errors.ts';
import type { Batch, BatchVariables, Update } from './operations.ts';
import { type Answer, delay } from './poll-batch.ts';

/** How a client asks about several batches: `batchSource` of with-fetch.ts, with-apollo.ts and with-urql.ts. */
export interface BatchSource {
  /**
   * The answers of the subscription. Ends when its stream does, or `signal` aborts; throws when there is no stream, or
   * it breaks off.
   */
  subscribe(
    batches: BatchVariables[],
    signal: AbortSignal,
  ): AsyncIterable<Answer<{ batchStatusUpdates: Update }>>;
  /** The same list once. */
  ask(batches: BatchVariables[], signal: AbortSignal): Promise<Answer<{ batchStatuses: Update[] }>>;
}

/** What became of one of the batches. */
export interface BatchNews {
  participantType: string;
  batchId: string | null;
  /** Null when the gateway cannot tell. */
  batch: Batch | null;
  /** Why it cannot. It goes on trying unless `adviceFor` says something else than `try-again`. */
  error: GatewayError | undefined;
}

export interface FollowOptions {
  /** Ends the following, without an error. */
  signal?: AbortSignal | undefined;
  /** A stream that has brought nothing for so long is held back on its way: it is polled from then on. Default 10,000. */
  patienceMs?: number;
  /** A stream that was silent for so long later may be dead: it is opened anew. Default 60,000. */
  silenceMs?: number;
  /** Between two polls, in milliseconds; default 2,000. */
  intervalMs?: number;
  /** How often in succession the gateway may be out of reach; default 10, which is more than a minute. */
  attempts?: number;
  /** Resolves after `ms` milliseconds, or as soon as `signal` aborts. */
  wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Yields the present state of each batch, then each change, until all are finished or cannot be told any more. A stream
 * that ends before that is opened anew after one to five seconds; one that brings nothing, while a query is answered,
 * is given up for polling. Throws an error of the whole request that will not pass, and what a client throws when the
 * gateway stays out of reach.
 */
export async function* followBatches(
  source: BatchSource,
  batches: readonly BatchVariables[],
  options: FollowOptions = {},
): AsyncGenerator<BatchNews, void> {
  const { intervalMs = 2_000, attempts = 10, wait = delay } = options;
  const signal = options.signal ?? new AbortController().signal;
  const followed = new FollowedBatches(batches);
  let hasStreams = true;
  let failures = 0;
  while (followed.open.length > 0 && !signal.aborted) {
    if (hasStreams) {
      const { hasTold, error } = yield* readStream(source, followed, signal, options);
      if (signal.aborted) return;
      if (hasTold) {
        throwLasting(error);
        failures = 0;
        if (followed.open.length > 0) await wait(error?.retryAfterMs ?? comeAgainMs(), signal);
        continue;
      }
    }
    let answer: Awaited<ReturnType<BatchSource['ask']>>;
    try {
      answer = await source.ask(followed.open, signal);
    } catch (error) {
      if (signal.aborted) return;
      // Nobody can be reached, which says nothing about streams.
      failures += 1;
      if (failures >= attempts) throw error;
      await wait(Math.min(10_000, 500 * 2 ** failures), signal);
      continue;
    }
    hasStreams = false;
    failures = 0;
    const { data, errors } = answer;
    if (data === null) throwLasting(errors[0]);
    for (const [index, update] of data?.batchStatuses.entries() ?? []) {
      if (signal.aborted) return;
      yield* followed.accept(update, errors, index);
    }
    const retryAfter = errors.map(({ retryAfterMs = 0 }) => retryAfterMs);
    if (followed.open.length > 0) await wait(Math.max(intervalMs, ...retryAfter), signal);
  }
}

/** How long the end of a stream is waited for, once all batches are finished. */
const END_MS = 3_000;

/** Whether it has told anything, and the error of the whole request by which it ended. */
interface StreamOutcome {
  hasTold: boolean;
  error: GatewayError | undefined;
}

/** Reads one stream to its end. */
async function* readStream(
  source: BatchSource,
  followed: FollowedBatches,
  signal: AbortSignal,
  { patienceMs = 10_000, silenceMs = 60_000 }: FollowOptions,
): AsyncGenerator<BatchNews, StreamOutcome> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), patienceMs);
  let hasTold = false;
  try {
    const either = AbortSignal.any([signal, silence.signal]);
    for await (const { data, errors } of source.subscribe(followed.open, either)) {
      clearTimeout(timer);
      if (signal.aborted) break;
      // Of the request as a whole. urql has the data of before with it.
      const error = errors.find(({ path }) => path.length < 2);
      if (error || !data) return { hasTold, error };
      hasTold = true;
      yield* followed.accept(data.batchStatusUpdates, errors, 'batchStatus');
      // All that is to come is the end, which some clients miss.
      const nothingIsOpen = followed.open.length === 0;
      timer = setTimeout(() => silence.abort(), nothingIsOpen ? END_MS : silenceMs);
    }
  } catch {
    // There is no stream, or it broke off: the one is polled instead, the other opened anew.
  } finally {
    clearTimeout(timer);
  }
  return { hasTold, error: undefined };
}

/** Clients that were cut off together come again one by one. */
function comeAgainMs(): number {
  return 1_000 + 4_000 * Math.random();
}

function throwLasting(error: GatewayError | undefined): void {
  if (error && adviceFor(error).action !== 'try-again') throw error;
}

class FollowedBatches {
  readonly #open = new Map<string, BatchVariables>();
  readonly #latest = new Map<string, string>();

  constructor(batches: readonly BatchVariables[]) {
    for (const { participantType, batchId = null } of batches) {
      this.#open.set(idOf({ participantType, batchId }), { participantType, batchId });
    }
  }

  /** Those of which there is more to come. */
  get open(): BatchVariables[] {
    return [...this.#open.values()];
  }

  /** Yields what is new in it. `place`: what comes second in the path of an error about it. */
  *accept(
    { batchStatus, ...key }: Update,
    errors: readonly GatewayError[],
    place: string | number,
  ): Generator<BatchNews, void> {
    // urql hands an error on with later updates, too.
    const error = batchStatus === null ? errors.find(({ path }) => path[1] === place) : undefined;
    const { participantType, batchId } = key;
    const id = idOf(key);
    const isLasting = error !== undefined && adviceFor(error).action !== 'try-again';
    if (batchStatus?.finished || isLasting) this.#open.delete(id);
    const text = JSON.stringify([batchStatus, error?.code]);
    if (this.#latest.get(id) === text) return;
    this.#latest.set(id, text);
    yield { participantType, batchId, batch: batchStatus, error };
  }
}

function idOf({ participantType, batchId }: Pick<Update, 'participantType' | 'batchId'>): string {
  return JSON.stringify([participantType, batchId]);
}
