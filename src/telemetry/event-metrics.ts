import { isErrorCode } from '../core/error-codes.ts';
import type { Telemetry, UpstreamCallOutcome } from '../core/telemetry.ts';
import type { Instruments } from './instruments.ts';
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
  return {
    ...next,
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
  const durations = instruments.durations<'graphql_operation_type' | 'request_id'>({
    name: 'http_server_request_duration_seconds',
    help: 'How long requests to the GraphQL endpoint took; none: no operation was executed. Exemplars have the request id.',
    labelNames: ['graphql_operation_type'],
  });
  const outcomes = instruments.counter({
    name: 'participant_gateway_request_outcomes_total',
    help: 'Requests by what came of them: OK, CLIENT_GONE, or each different code of their errors.',
    labelNames: ['code'],
  });
  const refused = instruments.counter({
    name: 'participant_gateway_requests_refused_total',
    help: 'Requests for which no operation was executed, by the code of their first error.',
    labelNames: ['reason'],
  });
  for (const type of ['query', 'none']) durations.zero({ graphql_operation_type: type });
  for (const code of ['OK', 'CLIENT_GONE', 'INTERNAL_SERVER_ERROR']) outcomes.inc({ code }, 0);
  for (const reason of ['OVERLOADED', 'RATE_LIMITED']) refused.inc({ reason }, 0);

  return ({ requestId, status, durationMs, answer: { operationType, errorCodes } }) => {
    durations.observe({
      labels: { graphql_operation_type: operationType ?? 'none' },
      value: durationMs / 1_000,
      exemplarLabels: { request_id: requestId },
    });
    if (status === undefined) outcomes.inc({ code: 'CLIENT_GONE' });
    else if (errorCodes.length === 0) outcomes.inc({ code: 'OK' });
    else for (const code of new Set(errorCodes.map(toCode))) outcomes.inc({ code });
    const [reason] = operationType === undefined ? errorCodes : [];
    if (reason !== undefined) refused.inc({ reason: toCode(reason) });
  };
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

const OUTCOMES: readonly UpstreamCallOutcome[] = [
  'ok',
  'refused',
  'foreign',
  'transient',
  'fault',
  'inconclusive',
  'aborted',
];

function measureUpstreamCalls(
  instruments: Instruments,
  next: Telemetry,
  participantTypes: KnownNames,
): Required<Telemetry>['upstreamCall'] {
  const durations = instruments.durations({
    name: 'http_client_request_duration_seconds',
    help: 'How long calls to the Participant Service took.',
  });
  const calls = instruments.counter({
    name: 'participant_gateway_upstream_calls_total',
    help: 'Calls to the Participant Service, by what they came to.',
    // In this order no two pairs are one key of the client's, whatever a type is called.
    labelNames: ['outcome', 'participant_type'],
  });
  const retries = instruments.counter({
    name: 'participant_gateway_upstream_retries_total',
    help: 'Those of them that were made once more for the same status.',
    labelNames: ['participant_type'],
  });
  for (const type of participantTypes.labels()) {
    for (const outcome of OUTCOMES) calls.inc({ outcome, participant_type: type }, 0);
    retries.inc({ participant_type: type }, 0);
  }

  return (event) => {
    next.upstreamCall?.(event);
    const { participantType, outcome, isRetry, durationMs } = event;
    if (outcome === 'ok') participantTypes.add(participantType);
    const type = participantTypes.labelOf(participantType);
    calls.inc({ outcome, participant_type: type });
    if (isRetry) retries.inc({ participant_type: type });
    durations.observe({ value: durationMs / 1_000 });
  };
}
