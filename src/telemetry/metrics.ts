import type { Telemetry } from '../core/telemetry.ts';
import { measureEvents } from './event-metrics.ts';
import { type GatewayState, measureGateway } from './gateway-metrics.ts';
import { Instruments } from './instruments.ts';
import { KnownNames } from './known-names.ts';
import { type MeasuredProcess, measureProcess } from './process-metrics.ts';
import { TenantMetrics, type TenantsState } from './tenant-metrics.ts';

interface MetricsOptions {
  /** The participant types that may be asked for; empty: any. */
  participantTypes: ReadonlySet<string>;
  /** Whether clients can run trusted documents only: then operations are counted by name. */
  hasTrustedDocuments: boolean;
  /** Whether there are many tenants, which are told apart then. */
  hasTenants: boolean;
  /** What is told is handed on to it. */
  telemetry: Telemetry;
  /** Undefined: nothing is told of it. */
  process: MeasuredProcess | undefined;
}

/**
 * Metrics for Prometheus: docs/metrics.md has them all. However clients ask, there are at most 500 series: what they
 * can make up is no label.
 */
export interface Metrics {
  /** To be told what happens. */
  readonly telemetry: Telemetry;
  /** To be called once, with what the gateway knows of itself, and of its tenants where there are many. */
  measure(state: GatewayState, tenants?: TenantsState): void;
  readonly scrape: Instruments['scrape'];
  /** Ends what is measured in the background. */
  close(): void;
}

/** Participant types that have labels of their own: those of the list, else those that have answered. */
const MAX_PARTICIPANT_TYPES = 16;

export function createMetrics(options: MetricsOptions): Metrics {
  const instruments = new Instruments();
  const participantTypes = new KnownNames(MAX_PARTICIPANT_TYPES, options.participantTypes);
  const measured = measureEvents(instruments, options.telemetry, {
    participantTypes,
    hasTrustedDocuments: options.hasTrustedDocuments,
  });
  const tenants = options.hasTenants ? new TenantMetrics(instruments, measured) : undefined;
  const telemetry = tenants?.telemetry ?? measured;
  const close = options.process ? measureProcess(instruments, options.process) : () => {};
  return {
    telemetry,
    measure(state, ofTenants) {
      measureGateway(instruments, state, participantTypes);
      if (ofTenants !== undefined) tenants?.measure(instruments, ofTenants);
    },
    scrape: (accept) => instruments.scrape(accept),
    close,
  };
}
