/** Upper bounds of buckets, in seconds, as the semantic conventions of OpenTelemetry advise for HTTP. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** A single observation, to show what is in a bucket. */
interface Exemplar {
  requestId: string;
  seconds: number;
  /** Milliseconds since the epoch. */
  at: number;
}

/** Durations up to a bound, and above the one before. */
interface Bucket {
  readonly bound: number;
  count: number;
  /** The last one that came with a request id. */
  exemplar: Exemplar | undefined;
}

/**
 * Durations, counted in buckets. The client's histogram does that, too, for ten times what it costs where each
 * observation stands between two requests.
 */
export class Durations {
  readonly #buckets: readonly Bucket[] = [...BOUNDS, Number.POSITIVE_INFINITY].map((bound) => ({
    bound,
    count: 0,
    exemplar: undefined,
  }));
  #sum = 0;

  observe(seconds: number, requestId?: string): void {
    this.#sum += seconds;
    for (const bucket of this.#buckets) {
      if (seconds > bucket.bound) continue;
      bucket.count += 1;
      if (requestId !== undefined) note(bucket, requestId, seconds);
      return;
    }
  }

  /** All together, in seconds. */
  get sum(): number {
    return this.#sum;
  }

  get buckets(): readonly Readonly<Bucket>[] {
    return this.#buckets;
  }
}

function note(bucket: Bucket, requestId: string, seconds: number): void {
  const at = Date.now();
  if (bucket.exemplar === undefined) bucket.exemplar = { requestId, seconds, at };
  else {
    bucket.exemplar.requestId = requestId;
    bucket.exemplar.seconds = seconds;
    bucket.exemplar.at = at;
  }
}
