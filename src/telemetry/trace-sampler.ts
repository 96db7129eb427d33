import type { TraceContext } from './trace-context.ts';

/** As OTEL_TRACES_SAMPLER has them. */
export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_traceidratio';

/** Callers' traces that may be recorded at once beyond their share, after as many that were not. */
const BURST = 100;

/**
 * OpenTelemetry's sampler of that name (https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers), within
 * a bound: of the requests that come with a caller's trace, no greater share is recorded than `ratio`. Callers choose
 * both the flag and the id by which samplers judge, so without it anybody could have all requests recorded.
 */
export class TraceSampler {
  readonly #isParentBased: boolean;
  /** Of all ids, by which that is chosen. */
  readonly #share: number;
  /** What may be recorded of callers' traces. */
  readonly #callersShare: number;
  #allowance = BURST;

  /** `ratio` is the share that is recorded, 0 to 1, by the samplers that have one. */
  constructor(name: SamplerName, ratio: number) {
    this.#isParentBased = name.startsWith('parentbased_');
    this.#callersShare = name.endsWith('always_on') ? 1 : ratio;
    this.#share = name === 'always_off' ? 0 : this.#callersShare;
  }

  /**
   * Whether the gateway's part of a trace is recorded, whose id has this rank, 0 to 1 (exclusive). `caller` says of whose
   * trace that is; undefined: it begins here. To be called once for each.
   */
  records(rank: number, caller?: TraceContext): boolean {
    const isOfShare = rank < this.#share;
    if (caller === undefined) return isOfShare;
    this.#allowance = Math.min(BURST, this.#allowance + this.#callersShare);
    const isWanted = this.#isParentBased ? caller.isSampled : isOfShare;
    if (!isWanted || this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }
}
