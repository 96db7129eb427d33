import type { DestinationStream } from 'pino';
import type { RequestEvent, Telemetry } from '../core/telemetry.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { isoTime, type Log } from './log.ts';
import { RefusalLimit } from './refusal-limit.ts';
import { RepeatLimit } from './repeat-limit.ts';

/** So much of an origin is told. */
const MAX_ORIGIN_LENGTH = 200;

/**
 * Writes what the gateway tells into the log, whose lines go to `destination`. docs/operations.md has every message.
 * `clock` is for lines about refused requests, which are bounded by second, or by minute.
 */
export function logEvents(
  log: Log,
  destination: DestinationStream,
  clock: Clock = systemClock,
): Telemetry {
  const refusals = new RefusalLimit({
    clock,
    leftOut: (event) => log.warn(event, 'lines about refused requests were left out'),
  });
  const wrongSecrets = new RepeatLimit(clock);
  const refusedOrigins = new RepeatLimit(clock);
  return {
    ...(log.isLevelEnabled('info') && {
      request: logRequests(log, destination, refusals),
      requestRefused: (event) => {
        if (refusals.admits(event.address)) log.info(event, 'request refused');
      },
    }),
    internalError: ({ error, ...event }) => log.error({ ...event, err: error }, 'masked error'),
    handlerFailed: ({ error }) => log.error({ err: error }, 'request handler failed'),
    circuitOpened: (event) => log.warn(event, 'circuit open: the upstream fails'),
    circuitClosed: (event) => log.info(event, 'circuit closed: the upstream answers again'),
    foreignAnswer: (event) =>
      log.error(event, 'the upstream answered a request with the answer to another'),
    tokenRenewed: (event) => log.debug(event, 'access token renewed'),
    tokenFailed: ({ requestId, ...event }) =>
      log.warn({ ...event, tokenRequestId: requestId }, 'no access token'),
    keysFailed: ({ error, ...event }) =>
      log.warn({ err: error, ...event }, "no keys of callers' tokens"),
    keysLeftOut: (event) => log.warn(event, "keys of callers' tokens are left out"),
    routerSecretWrong(event) {
      if (!wrongSecrets.admits('')) return;
      const code = 'wrong_router_authorization';
      log.warn({ code, ...event }, 'a router-authorization is not FEDERATION_SECRET');
    },
    originRefused(event) {
      const origin = event.origin.slice(0, MAX_ORIGIN_LENGTH);
      if (refusedOrigins.admits(origin))
        log.warn({ ...event, origin }, 'an origin is not in CORS_ORIGINS');
    },
    redisLost: (event) => log.warn(event, 'Redis is lost: each replica is on its own'),
    redisBack: ({ lostMs }) =>
      log.info({ lostMs: Math.round(lostMs) }, 'Redis is back: replicas share statuses and rates'),
    slowReadersCutOff: (event) =>
      log.warn(event, 'connections closed: their clients do not take their answers'),
    eventLoopBlocked: (event) =>
      log.error(event, 'the event loop was blocked: nothing was answered meanwhile'),
    streamEnded: ({ durationMs, ...event }) =>
      log.info({ ...event, durationMs: toTenths(durationMs) }, 'stream ended'),
    fileDescriptorsExhausted: () =>
      log.error(
        'no file descriptor is left: connections are closed; raise the limit of open files',
      ),
    fileDescriptorsBack: (event) => log.info(event, 'file descriptors are left again'),
    tenantChanged: (event) => log.info(event, 'a tenant was changed'),
    tenantFaulty: (event) => log.error(event, 'the file of a tenant is faulty: it stays as it was'),
    tenantRepaired: (event) => log.info(event, 'the file of a tenant is good again'),
    tracesFailed: (event) => log.warn(event, 'traces cannot be sent to the collector'),
    tracesBack: (event) => log.info(event, 'traces are sent to the collector again'),
    requestsCutOff: (event) => log.warn(event, 'requests cut off: they did not finish in time'),
  };
}

function logRequests(
  log: Log,
  destination: DestinationStream,
  refusals: RefusalLimit,
): Required<Telemetry>['request'] {
  return (event) => {
    if (isCommon(event)) destination.write(requestLine(event));
    else if (!isRefused(event) || refusals.admits(event.address)) {
      log.info(requestFields(event), 'request');
    }
  };
}

function isRefused({ status }: Pick<RequestEvent, 'status'>): boolean {
  return status !== undefined && status >= 400;
}

/** A text that needs no escapes. */
function isPlain(text: string): boolean {
  return /^[\w-]+$/.test(text);
}

/** Whether an event has none but those members whose texts need no escapes: names, codes, addresses and ids. */
function isCommon(event: RequestEvent): boolean {
  const { subject, refusal, answer } = event;
  return (
    !isRefused(event) &&
    subject === undefined &&
    refusal === undefined &&
    answer.staleStatuses === 0 &&
    answer.upstreamRequestIds.every(isPlain)
  );
}

/** What pino writes of {@link requestFields}, for a fraction of what the rest of a request costs. */
function requestLine(event: RequestEvent): string {
  const { requestId, trace, tenant, method, address, status, durationMs, answer } = event;
  const { operationName, errorCodes, upstreamRequestIds } = answer;
  return (
    `{"level":"info","time":"${isoTime()}","requestId":"${requestId}"` +
    (trace === undefined ? '' : `,"traceId":"${trace.id}"`) +
    (tenant === undefined ? '' : `,"tenant":"${tenant}"`) +
    `,"method":"${method}","address":"${address}"` +
    (answer.cached ? ',"cached":true' : '') +
    `,"operationName":${operationName === null ? 'null' : `"${operationName}"`}` +
    `,"status":${status ?? '"client gone"'}` +
    `,"codes":[${errorCodes.length === 0 ? '' : `"${errorCodes.join('","')}"`}]` +
    `,"upstreamCalls":${answer.upstreamCalls}` +
    (upstreamRequestIds.length === 0
      ? ''
      : `,"upstreamRequestIds":["${upstreamRequestIds.join('","')}"]`) +
    `,"durationMs":${toTenths(durationMs)}` +
    ',"msg":"request"}\n'
  );
}

function requestFields({ subject, refusal, answer, trace, ...event }: RequestEvent): object {
  const { upstreamRequestIds, staleStatuses, staleBecause } = answer;
  return {
    requestId: event.requestId,
    ...(trace === undefined ? {} : { traceId: trace.id }),
    ...(event.tenant === undefined ? {} : { tenant: event.tenant }),
    ...(subject === undefined ? {} : { sub: subject }),
    method: event.method,
    address: event.address,
    ...(answer.cached ? { cached: true } : {}),
    operationName: answer.operationName,
    status: event.status ?? 'client gone',
    codes: answer.errorCodes,
    ...(refusal === undefined ? {} : { refusal }),
    upstreamCalls: answer.upstreamCalls,
    ...(upstreamRequestIds.length === 0 ? {} : { upstreamRequestIds }),
    ...(staleStatuses === 0 ? {} : { staleStatuses, staleBecause }),
    durationMs: toTenths(event.durationMs),
  };
}

function toTenths(ms: number): number {
  return Math.round(10 * ms) / 10;
}
