import Counter from '@prometheus-io/client/lib/counter.js';
import Gauge from '@prometheus-io/client/lib/gauge.js';
import Histogram from '@prometheus-io/client/lib/histogram.js';
import Registry from '@prometheus-io/client/lib/registry.js';
import { negotiate } from '../lib/media-type.ts';

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

/** For durations, in seconds, as the semantic conventions of OpenTelemetry advise for HTTP. */
const DURATION_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

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

  /** Of seconds. An observation can have an exemplar, which OpenMetrics shows. */
  durations<Label extends string = never>(description: Description<Label>): Histogram<Label> {
    const options = { buckets: DURATION_BUCKETS, enableExemplars: true };
    const histogram = new Histogram({ ...description, ...options, registers: this.#registers });
    this.#showAsText(histogram, description.name);
    return histogram;
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

/** What is there is used at once, so that a scrape shows one moment. */
function whenRead<T>(read: T | Promise<T>, use: (value: T) => void): void | Promise<void> {
  return read instanceof Promise ? read.then(use) : use(read);
}
