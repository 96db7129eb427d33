import type { Telemetry } from '../core/telemetry.ts';
import type { Instruments, Sample } from './instruments.ts';
import { KnownNames } from './known-names.ts';

/** What there is of many tenants. Those that are asked after are served now. */
export interface TenantsState {
  /** How many there are, how many of them are served now, and how many have a file that is faulty. */
  counts(): Readonly<Record<'configured' | 'active' | 'faulty', number>>;
  each(): Iterable<{
    readonly name: string;
    /** Whether its upstream, or one of its participant types, is not called now. */
    readonly isFailing: boolean;
    /** Whether there is no access token, because the last request for one failed. */
    readonly lacksToken: boolean;
  }>;
}

/** Tenants that have labels of their own: those that were asked for first. */
const MAX_TENANTS = 12;

/** What is counted for one tenant, or for all that have no label of their own. */
class Tally {
  readonly requests = { ok: 0, error: 0 };
  readonly calls = { ok: 0, failed: 0 };
}

/** Counts by tenant what is told, and hands it on to `next`. */
export class TenantMetrics {
  readonly telemetry: Telemetry;
  readonly #names = new KnownNames(MAX_TENANTS);
  readonly #tallies = new Map<string, Tally>();

  constructor(instruments: Instruments, next: Telemetry) {
    this.telemetry = {
      ...next,
      request: (event) => {
        next.request?.(event);
        if (event.tenant === undefined) return;
        this.#tallyOf(event.tenant).requests[
          event.answer.errorCodes.length === 0 ? 'ok' : 'error'
        ] += 1;
      },
      upstreamCall: (event) => {
        next.upstreamCall?.(event);
        if (event.tenant === undefined || event.outcome === 'aborted') return;
        const isAnswer = event.outcome === 'ok' || event.outcome === 'refused';
        this.#tallyOf(event.tenant).calls[isAnswer ? 'ok' : 'failed'] += 1;
      },
    };
    instruments.observeCounter({
      name: 'participant_gateway_tenant_requests_total',
      help: `Requests by tenant, by whether there was an error; ${MAX_TENANTS} tenants at most, then other.`,
      labelNames: ['outcome', 'tenant'],
      read: () => this.#samples(({ requests }) => requests),
    });
    instruments.observeCounter({
      name: 'participant_gateway_tenant_upstream_calls_total',
      help: 'Calls to the Participant Service by tenant, by whether it answered.',
      labelNames: ['outcome', 'tenant'],
      read: () => this.#samples(({ calls }) => calls),
    });
  }

  /** To be called once. */
  measure(instruments: Instruments, state: TenantsState): void {
    instruments.observeGauge({
      name: 'participant_gateway_tenants',
      help: 'Tenants: that there are, that are served now, and whose file is faulty.',
      labelNames: ['state'],
      read: () => Object.entries(state.counts()).map(([name, count]) => [{ state: name }, count]),
    });
    instruments.observeGauge({
      name: 'participant_gateway_tenant_failing',
      help: '1 for a tenant whose Participant Service fails (service), or whose access token cannot be had (token).',
      labelNames: ['what', 'tenant'],
      read: () => {
        const failing = new Map<string, Sample>();
        for (const { name, isFailing, lacksToken } of state.each()) {
          const tenant = this.#names.labelOf(name);
          if (isFailing) failing.set(`service ${tenant}`, [{ what: 'service', tenant }, 1]);
          if (lacksToken) failing.set(`token ${tenant}`, [{ what: 'token', tenant }, 1]);
        }
        return [...failing.values()];
      },
    });
  }

  #tallyOf(tenant: string): Tally {
    this.#names.add(tenant);
    const label = this.#names.labelOf(tenant);
    let tally = this.#tallies.get(label);
    if (tally === undefined) {
      tally = new Tally();
      this.#tallies.set(label, tally);
    }
    return tally;
  }

  #samples(read: (tally: Tally) => Readonly<Record<string, number>>): Sample[] {
    return [...this.#tallies].flatMap(([tenant, tally]) =>
      Object.entries(read(tally)).map(([outcome, count]): Sample => [{ outcome, tenant }, count]),
    );
  }
}
