/*
 * The client's registry and its instruments alone: its index loads node:cluster, worker threads, the push gateway,
 * quantiles and OpenTelemetry's API besides, which takes three times as long.
 */

declare module '@prometheus-io/client/lib/registry.js' {
  import { Registry as Client, type Metric, type RegistryContentType } from '@prometheus-io/client';

  /** A metric that is counted elsewhere: the registry takes whatever says what it shows. */
  interface ShownMetric {
    name: string;
    get(): Promise<object>;
  }
  class Registry<Type extends RegistryContentType = RegistryContentType> extends Client<Type> {
    override registerMetric<T extends string>(metric: Metric<T> | ShownMetric): void;
  }
  export = Registry;
}

declare module '@prometheus-io/client/lib/counter.js' {
  import { Counter } from '@prometheus-io/client';
  export = Counter;
}

declare module '@prometheus-io/client/lib/gauge.js' {
  import { Gauge } from '@prometheus-io/client';
  export = Gauge;
}
