import { TraceFlags, trace } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';

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
 * OpenTelemetry's sampler of that name, within a bound: of the requests that come with a caller's trace, no greater
 * share is recorded than `ratio`. Callers choose both the flag and the id by which samplers judge, so without it
 * anybody could have all requests recorded. The spans within a request are recorded if the request is.
 */
export class BoundedSampler implements Sampler {
  readonly #sampler: Sampler;
  readonly #ratio: number;
  #allowance = BURST;

  constructor(name: SamplerName, ratio: number) {
    this.#ratio = name.endsWith('always_on') ? 1 : ratio;
    this.#sampler = createSampler(name, ratio);
  }

  shouldSample(...[context, ...rest]: Parameters<Sampler['shouldSample']>) {
    const parent = trace.getSpanContext(context);
    if (parent === undefined) return this.#sampler.shouldSample(context, ...rest);
    if (parent.isRemote !== true) {
      const isRecorded = (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
      return isRecorded ? { decision: SamplingDecision.RECORD_AND_SAMPLED } : NOT_RECORDED;
    }
    this.#allowance = Math.min(BURST, this.#allowance + this.#ratio);
    const result = this.#sampler.shouldSample(context, ...rest);
    if (result.decision === SamplingDecision.NOT_RECORD) return result;
    if (this.#allowance < 1) return NOT_RECORDED;
    this.#allowance -= 1;
    return result;
  }

  toString(): string {
    return `Bounded{${this.#sampler.toString()}}`;
  }
}

const NOT_RECORDED = { decision: SamplingDecision.NOT_RECORD };

function createSampler(name: SamplerName, ratio: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}
