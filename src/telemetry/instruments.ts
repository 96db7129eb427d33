import Counter from '@prometheus-io/client/lib/counter.js';
import Gauge from '@prometheus-io/client/lib/gauge.js';
import Registry from '@prometheus-io/client/lib/registry.js';
import { negotiate } from '../lib/media-type.ts';
import type { Durations } from './durations.ts';

/** A value, with its labels where there are any. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];
type Samples = number | readonly Sample[];

interface Description<Label extends string> {
  name: string;
  help: string;
  labelNames?: readonly Label[];
}

/** Whose values are read when somebody looks. */
interface Observed extends Description<string> {
  read(): Samples | Promise<Samples>;
}

interface ObservedDurations extends Description<string> {
  series: readonly (readonly [labels: Readonly<Record<string, string>>, durations: Durations])[];
}

/** What is measured in one process, as text for Prometheus or as OpenMetrics. A second instrument of a name throws. */
export class Instruments {
  readonly #openMetrics = new Registry(Registry.OPENMETRICS_CONTENT_TYPE);
  readonly #text = new Registry(Registry.PROMETHEUS_CONTENT_TYPE);
  readonly #registers = [this.#openMetrics];

  counter<Label extends string = never>(description: Description<Label>): Counter<Label> {
    const counter = new Counter({ ...description, registers: this.#registers });
    this.#showAsText(counter, description.name);
    return counter;
  }

  observeDurations({ series, ...description }: ObservedDurations): void {
    const shown = { ...description, type: 'histogram' };
    const values = () =>
      series.flatMap(([labels, durations]) => toValues(shown, labels, durations));
    const histogram = { name: shown.name, get: async () => ({ ...shown, values: values() }) };
    this.#openMetrics.registerMetric(histogram);
    this.#text.registerMetric(histogram);
  }

  observeGauge({ read, ...description }: Observed): void {
    const write = (samples: Samples) => {
      gauge.reset();
      if (typeof samples === 'number') gauge.set(samples);
      else for (const [labels, value] of samples) gauge.set(labels, value);
    };
    const collect = () => whenRead(read(), write);
    const gauge = new Gauge<string>({ ...description, registers: this.#registers, collect });
    this.#showAsText(gauge, description.name);
  }

  /** Of what is counted elsewhere: `read` gives totals. */
  observeCounter({ read, ...description }: Observed): void {
    const write = (samples: Samples) => {
      counter.reset();
      if (typeof samples === 'number') counter.inc(samples);
      else for (const [labels, value] of samples) counter.inc(labels, value);
    };
    const collect = () => whenRead(read(), write);
    const counter = new Counter<string>({ ...description, registers: this.#registers, collect });
    this.#showAsText(counter, description.name);
  }

  /** All that there is now, in the format that an `accept` header wants most; text where it names neither. */
  async scrape(accept: string | undefined): Promise<{ contentType: string; body: string }> {
    const type = negotiate(accept, ['text/plain', 'application/openmetrics-text']);
    const registry = type === 'application/openmetrics-text' ? this.#openMetrics : this.#text;
    return { contentType: registry.contentType, body: await registry.metrics() };
  }

  /** Writing OpenMetrics, the client takes `_total` off the name of a counter for good: here the name stays. */
  #showAsText(instrument: object, name: string): void {
    this.#text.registerMetric(Object.create(instrument, { name: { value: name } }));
  }
}

/** A histogram's samples, as the client writes them. */
function toValues(
  { name }: Description<string>,
  labels: Readonly<Record<string, string>>,
  { buckets, sum }: Durations,
): object[] {
  let count = 0;
  const values: object[] = buckets.map(({ bound, count: own, exemplar }) => {
    count += own;
    const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound);
    return {
      metricName: `${name}_bucket`,
      labels: { le, ...labels },
      value: count,
      exemplar: exemplar && {
        labelSet: { request_id: exemplar.requestId },
        value: exemplar.seconds,
        timestamp: exemplar.at / 1_000,
      },
    };
  });
  values.push(
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  );
  return values;
}

/** What is there is used at once, so that a scrape shows one moment. */
function whenRead<T>(read: T | Promise<T>, use: (value: T) => void): void | Promise<void> {
  return read instanceof Promise ? read.then(use) : use(read);
}
