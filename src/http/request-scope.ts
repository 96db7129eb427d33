import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.ts';
import { ClientGoneError, type RequestScope } from '../graphql/context.ts';
import type { Log } from '../log.ts';
import { UpstreamError } from '../participants/errors.ts';

export interface RequestScopeOptions {
  clock: Clock;
  log: Log;
  /** The time limit of everything that one request waits for. */
  deadlineMs: number;
}

/**
 * Begins the scope of one GraphQL request. Its id is the caller's `x-request-id`, if that is one word
 * of up to 64 letters, digits, `-` and `_`, else a new UUID. Its signal aborts when the client goes
 * away or the deadline passes. When the answer is out, or the client gone, the request's one line is
 * logged.
 */
export function beginRequestScope(
  request: IncomingMessage,
  response: ServerResponse,
  { clock, log, deadlineMs }: RequestScopeOptions,
): RequestScope {
  const startedAt = clock.now();
  // Made when somebody waits for it: an answer that is at hand needs neither signal nor timer.
  let abort: AbortController | undefined;
  let cancelDeadline: (() => void) | undefined;
  function beginAbort(): AbortController {
    const controller = new AbortController();
    const passed = () =>
      controller.abort(
        new UpstreamError('timeout', `The request took longer than ${deadlineMs} ms.`, {
          requestId: scope.requestId,
        }),
      );
    cancelDeadline = clock.after(startedAt + deadlineMs - clock.now(), passed);
    if (response.closed) controller.abort(new ClientGoneError('the client went away'));
    return controller;
  }
  const scope: RequestScope = {
    requestId: readRequestId(request) ?? randomUUID(),
    get signal() {
      abort ??= beginAbort();
      return abort.signal;
    },
    report: {
      lane: 'yoga',
      operationName: null,
      errorCodes: [],
      upstreamCalls: 0,
      freshUntil: Number.POSITIVE_INFINITY,
    },
  };
  response.once('close', () => {
    cancelDeadline?.();
    const answered = response.writableFinished;
    if (!answered) abort?.abort(new ClientGoneError('the client went away'));
    const { lane, operationName, errorCodes, upstreamCalls } = scope.report;
    log.info(
      {
        requestId: scope.requestId,
        method: request.method,
        lane,
        operationName,
        status: answered ? response.statusCode : 'client gone',
        codes: errorCodes,
        upstreamCalls,
        durationMs: Math.round(10 * (clock.now() - startedAt)) / 10,
      },
      'request',
    );
  });
  return scope;
}

function readRequestId(request: IncomingMessage): string | undefined {
  const header = request.headers['x-request-id'];
  return typeof header === 'string' && /^[\w-]{1,64}$/.test(header) ? header : undefined;
}
