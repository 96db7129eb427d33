import { isErrorCode } from '../core/error-codes.ts';
import type { UpstreamCallOutcome } from '../core/request-trace.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { Durations } from './durations.ts';
import type { Instruments, Sample } from './instruments.ts';
import { KnownNames, OTHER } from './known-names.ts';

interface EventMetricsOptions {
  /** Participant types that have labels of their own; those that answer are added. */
  participantTypes: KnownNames;
  /** Whether operations are counted by name: only where clients cannot make names up. */
  hasTrustedDocuments: boolean;
}

/** Operations that have labels of their own. */
const MAX_OPERATIONS = 40;

type RequestEvent = Parameters<Required<Telemetry>['request']>[0];

/** Measures what is told, and hands it on to `next`. */
export function measureEvents(
  instruments: Instruments,
  next: Telemetry,
  { participantTypes, hasTrustedDocuments }: EventMetricsOptions,
): Telemetry {
  const ofRequests = measureRequests(instruments);
  const ofOperations = hasTrustedDocuments ? countOperations(instruments) : undefined;
  const renewals = instruments.counter({
    name: 'participant_gateway_token_renewals_total',
    help: 'Access tokens that the gateway got for itself.',
  });
  const tokenFailures = instruments.counter({
    name: 'participant_gateway_token_failures_total',
    help: 'Requests for an access token of its own that failed.',
  });
  const keyFailures = instruments.counter({
    name: 'participant_gateway_key_failures_total',
    help: "Requests for the keys of callers' tokens that failed.",
  });
  const faults = instruments.counter({
    name: 'participant_gateway_faults_total',
    help: 'Bugs: errors that were masked, and requests that were answered 500. The log has each, with its stack.',
  });
  const refusedConnections = instruments.counter({
    name: 'participant_gateway_connections_refused_total',
    help: 'Connections of clients that were closed at once, because there were MAX_SOCKETS.',
  });
  const slowReaders = instruments.counter({
    name: 'participant_gateway_slow_readers_total',
    help: 'Connections of clients that were closed because they did not take their answers.',
  });
  const streamEnds = instruments.counter({
    name: 'participant_gateway_streams_ended_total',
    help: 'Subscriptions that ended, by why.',
    labelNames: ['reason'],
  });
  return {
    ...next,
    streamEnded(event) {
      next.streamEnded?.(event);
      streamEnds.inc({ reason: event.reason.replaceAll(' ', '_') });
    },
    request(event) {
      next.request?.(event);
      ofRequests(event);
      ofOperations?.(event);
    },
    upstreamCall: measureUpstreamCalls(instruments, next, participantTypes),
    internalError(event) {
      next.internalError?.(event);
      faults.inc();
    },
    handlerFailed(event) {
      next.handlerFailed?.(event);
      faults.inc();
    },
    tokenRenewed(event) {
      next.tokenRenewed?.(event);
      renewals.inc();
    },
    tokenFailed(event) {
      next.tokenFailed?.(event);
      tokenFailures.inc();
    },
    keysFailed(event) {
      next.keysFailed?.(event);
      keyFailures.inc();
    },
    connectionRefused() {
      next.connectionRefused?.();
      refusedConnections.inc();
    },
    slowReadersCutOff(event) {
      next.slowReadersCutOff?.(event);
      slowReaders.inc(event.connections);
    },
  };
}

function measureRequests(instruments: Instruments): (event: RequestEvent) => void {
  const ofQueries = new Durations();
  const ofOthers = new Durations();
  instruments.observeDurations({
    name: 'http_server_request_duration_seconds',
    help: 'How long requests to the GraphQL endpoint took; none: no operation was executed; subscriptions are left out. Exemplars have the request id.',
    labelNames: ['graphql_operation_type'],
    series: [
      [{ graphql_operation_type: 'query' }, ofQueries],
      [{ graphql_operation_type: 'none' }, ofOthers],
    ],
  });
  const outcomes = new Tally(['OK', 'CLIENT_GONE', 'INTERNAL_SERVER_ERROR']);
  instruments.observeCounter({
    name: 'participant_gateway_request_outcomes_total',
    help: 'Requests by what came of them: OK, CLIENT_GONE, or each different code of their errors.',
    labelNames: ['code'],
    read: () => outcomes.samples('code'),
  });
  const refused = new Tally(['OVERLOADED', 'RATE_LIMITED']);
  instruments.observeCounter({
    name: 'participant_gateway_requests_refused_total',
    help: 'Requests for which no operation was executed, by the code of their first error.',
    labelNames: ['reason'],
    read: () => refused.samples('reason'),
  });

  return ({ requestId, status, durationMs, answer: { operationType, errorCodes } }) => {
    if (operationType === undefined) ofOthers.observe(durationMs / 1_000, requestId);
    else if (operationType === 'query') ofQueries.observe(durationMs / 1_000, requestId);
    if (status === undefined) outcomes.add('CLIENT_GONE');
    else if (errorCodes.length === 0) outcomes.add('OK');
    else for (const code of new Set(errorCodes.map(toCode))) outcomes.add(code);
    const [reason] = operationType === undefined ? errorCodes : [];
    if (reason !== undefined) refused.add(toCode(reason));
  };
}

/** How often names came: of a closed set, or few. */
class Tally {
  readonly #counts = new Map<string, number>();

  /** `names` are there from the beginning. */
  constructor(names: readonly string[]) {
    for (const name of names) this.#counts.set(name, 0);
  }

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  samples(label: string): Sample[] {
    return [...this.#counts].map(([name, count]) => [{ [label]: name }, count]);
  }
}

function toCode(code: string): string {
  return isErrorCode(code) ? code : OTHER;
}

function countOperations(instruments: Instruments): (event: RequestEvent) => void {
  const operations = instruments.counter({
    name: 'participant_gateway_operations_total',
    help: `Operations of trusted documents that were executed, by whether there was an error; ${MAX_OPERATIONS} names at most, then other.`,
    labelNames: ['outcome', 'graphql_operation_name'],
  });
  const names = new KnownNames(MAX_OPERATIONS);
  return ({ answer: { operationType, operationName, errorCodes } }) => {
    if (operationType === undefined) return;
    const name = operationName ?? 'anonymous';
    names.add(name);
    const outcome = errorCodes.length === 0 ? 'ok' : 'error';
    operations.inc({ outcome, graphql_operation_name: names.labelOf(name) });
  };
}

/** Calls for one participant type. */
class TypeTally {
  retries = 0;
  readonly outcomes: Record<UpstreamCallOutcome, number> = {
    ok: 0,
    refused: 0,
    foreign: 0,
    transient: 0,
    fault: 0,
    inconclusive: 0,
    aborted: 0,
  };
}

function measureUpstreamCalls(
  instruments: Instruments,
  next: Telemetry,
  participantTypes: KnownNames,
): Required<Telemetry>['upstreamCall'] {
  const durations = new Durations();
  const byLabel = new Map(participantTypes.labels().map((label) => [label, new TypeTally()]));
  instruments.observeDurations({
    name: 'http_client_request_duration_seconds',
    help: 'How long calls to the Participant Service took.',
    series: [[{}, durations]],
  });
  instruments.observeCounter({
    name: 'participant_gateway_upstream_calls_total',
    help: 'Calls to the Participant Service, by what they came to.',
    // In this order no two pairs are one key of the client's, whatever a type is called.
    labelNames: ['outcome', 'participant_type'],
    read: () =>
      [...byLabel].flatMap(([participant_type, { outcomes }]) =>
        Object.entries(outcomes).map(
          ([outcome, count]): Sample => [{ outcome, participant_type }, count],
        ),
      ),
  });
  instruments.observeCounter({
    name: 'participant_gateway_upstream_retries_total',
    help: 'Those of them that were made once more for the same status.',
    labelNames: ['participant_type'],
    read: () =>
      [...byLabel].map(([participant_type, { retries }]) => [{ participant_type }, retries]),
  });

  function tallyOf(participantType: string): TypeTally {
    const label = participantTypes.labelOf(participantType);
    let tally = byLabel.get(label);
    if (tally === undefined) {
      tally = new TypeTally();
      byLabel.set(label, tally);
    }
    return tally;
  }

  return (event) => {
    next.upstreamCall?.(event);
    const { participantType, outcome, isRetry, durationMs } = event;
    if (outcome === 'ok') participantTypes.add(participantType);
    const tally = tallyOf(participantType);
    tally.outcomes[outcome] += 1;
    if (isRetry) tally.retries += 1;
    durations.observe(durationMs / 1_000);
  };
}
