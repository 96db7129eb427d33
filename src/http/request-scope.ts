import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.ts';
import {
  type Caller,
  ClientGoneError,
  type RequestReport,
  type RequestScope,
} from '../graphql/context.ts';
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
  options: RequestScopeOptions,
): RequestScope {
  const scope = new Scope(request, response, options);
  response.once('close', () => scope.end());
  return scope;
}

/*
 * A class, because an object literal with a getter has a hidden class of its own for each object, by
 * which V8 keeps the whole request until the next full collection.
 */
class Scope implements RequestScope {
  readonly requestId: string;
  caller: Caller | undefined;
  isRouter = false;
  cachePartition = '';
  readonly report: RequestReport = {
    lane: 'yoga',
    operationName: null,
    refusal: undefined,
    errorCodes: [],
    upstreamCalls: 0,
    staleStatuses: 0,
    staleBecause: [],
    freshUntil: Number.POSITIVE_INFINITY,
  };
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: RequestScopeOptions;
  readonly #startedAt: number;
  readonly deadline: number;
  #abort: AbortController | undefined;
  #cancelDeadline: (() => void) | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, options: RequestScopeOptions) {
    this.requestId = readRequestId(request) ?? randomUUID();
    this.#request = request;
    this.#response = response;
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.deadline = this.#startedAt + options.deadlineMs;
  }

  /** Made when somebody waits for it: an answer that is at hand needs neither signal nor timer. */
  get signal(): AbortSignal {
    this.#abort ??= this.#beginAbort();
    return this.#abort.signal;
  }

  #beginAbort(): AbortController {
    const { clock, deadlineMs } = this.#options;
    const abort = new AbortController();
    const giveUp = () => {
      const message = `The request took longer than ${deadlineMs} ms.`;
      abort.abort(new UpstreamError('timeout', message, { requestId: this.requestId }));
    };
    const remainingMs = this.deadline - clock.now();
    if (this.#response.closed) abort.abort(new ClientGoneError('the client went away'));
    else if (remainingMs <= 0) giveUp();
    else this.#cancelDeadline = clock.after(remainingMs, giveUp);
    return abort;
  }

  /** The answer is out, or the client gone. */
  end(): void {
    this.#cancelDeadline?.();
    const { clock, log } = this.#options;
    const answered = this.#response.writableFinished;
    if (!answered) this.#abort?.abort(new ClientGoneError('the client went away'));
    const { lane, operationName, errorCodes, upstreamCalls, refusal } = this.report;
    const { staleStatuses, staleBecause } = this.report;
    log.info(
      {
        requestId: this.requestId,
        ...(this.caller === undefined ? {} : { sub: this.caller.subject }),
        method: this.#request.method,
        lane,
        operationName,
        status: answered ? this.#response.statusCode : 'client gone',
        codes: errorCodes,
        ...(refusal === undefined ? {} : { refusal }),
        upstreamCalls,
        ...(staleStatuses === 0 ? {} : { staleStatuses, staleBecause }),
        durationMs: Math.round(10 * (clock.now() - this.#startedAt)) / 10,
      },
      'request',
    );
  }
}

function readRequestId(request: IncomingMessage): string | undefined {
  const header = request.headers['x-request-id'];
  return typeof header === 'string' && /^[\w-]{1,64}$/.test(header) ? header : undefined;
}
