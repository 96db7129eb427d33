import type { Telemetry } from '../core/telemetry.ts';
import type { Log } from './log.ts';

/** Writes what the gateway tells into the log. docs/operations.md has every message. */
export function logEvents(log: Log): Telemetry {
  return {
    ...(log.isLevelEnabled('info') ? { request: requestLine(log) } : {}),
    internalError: ({ requestId, path, error }) =>
      log.error({ requestId, path, err: error }, 'masked error'),
    handlerFailed: ({ error }) => log.error({ err: error }, 'request handler failed'),
    circuitOpened: (event) => log.warn(event, 'circuit open: the upstream fails'),
    circuitClosed: (event) => log.info(event, 'circuit closed: the upstream answers again'),
    foreignAnswer: () => log.error('the upstream answered a request with the answer to another'),
    tokenRenewed: (event) => log.debug(event, 'access token renewed'),
    tokenFailed: ({ requestId, ...event }) =>
      log.warn({ ...event, tokenRequestId: requestId }, 'no access token'),
    keysFailed: ({ error, ...event }) =>
      log.warn({ err: error, ...event }, "no keys of callers' tokens"),
    slowReadersCutOff: (event) =>
      log.warn(event, 'connections closed: their clients do not take their answers'),
    eventLoopBlocked: (event) =>
      log.error(event, 'the event loop was blocked: nothing was answered meanwhile'),
    fileDescriptorsExhausted: () =>
      log.error(
        'no file descriptor is left: connections are closed; raise the limit of open files',
      ),
    fileDescriptorsBack: (event) => log.info(event, 'file descriptors are left again'),
    requestsCutOff: (event) => log.warn(event, 'requests cut off: they did not finish in time'),
  };
}

function requestLine(log: Log): Required<Telemetry>['request'] {
  return (event) => {
    const { subject, refusal, answer } = event;
    const { upstreamRequestIds, staleStatuses, staleBecause } = answer;
    log.info(
      {
        requestId: event.requestId,
        ...(subject === undefined ? {} : { sub: subject }),
        method: event.method,
        ...(answer.cached ? { cached: true } : {}),
        operationName: answer.operationName,
        status: event.status ?? 'client gone',
        codes: answer.errorCodes,
        ...(refusal === undefined ? {} : { refusal }),
        upstreamCalls: answer.upstreamCalls,
        ...(upstreamRequestIds.length === 0 ? {} : { upstreamRequestIds }),
        ...(staleStatuses === 0 ? {} : { staleStatuses, staleBecause }),
        durationMs: Math.round(10 * event.durationMs) / 10,
      },
      'request',
    );
  };
}
