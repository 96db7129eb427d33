import { randomUUID } from 'node:crypto';
import type { BatchKey } from '../core/batch-key.ts';
import { DeadlineExceeded } from '../core/errors.ts';
import {
  type CallObserver,
  type StatusObserver,
  TOKEN_PLACEHOLDER,
} from '../core/request-trace.ts';
import type { HttpClient, HttpRequest, SendObserver } from '../http-client/client.ts';
import { HttpClientError } from '../http-client/errors.ts';
import type { HttpResponse } from '../http-client/response-collector.ts';
import type { CancelSignal } from '../lib/cancellation.ts';
import type { Clock } from '../lib/clock.ts';
import { JsonShapes } from '../lib/json-size.ts';
import { LONG_TEXT_LENGTH } from '../lib/long-text.ts';
import type { Turns } from '../lib/turns.ts';
import { urlBelow } from '../lib/url.ts';
import type { AccessToken } from '../tokens/token-cache.ts';
import { UpstreamError } from './errors.ts';
import { type CallOutcome, toOutcome } from './outcome.ts';
import { Redaction } from './redaction.ts';
import { judgeResponse } from './response.ts';

/** How the access token travels. */
type TokenHeader = 'X-COREOS-ACCESS' | 'Authorization';

/** Who is behind a request, for the upstream's own records. */
export interface EndUser {
  readonly id: string;
  readonly name: string | undefined;
}

interface StatusCallOptions {
  send: HttpClient['send'];
  /** The tenant's address, `https://{tenantSubdomain}`; a path is kept as a prefix. */
  baseUrl: URL;
  tenantId: string;
  tokenHeader: TokenHeader;
  clock: Clock;
  /** For long answers, which are read one at a time. */
  turns: Turns;
  /** A call that is given up sooner, in milliseconds from when it was sent, tells nothing of the upstream. */
  patienceMs: number;
  /** An answer that may take more memory than that once it is parsed is refused, in bytes. */
  maxParsedBytes: number;
  /** Called when an answer was somebody else's: its connection is out of step. */
  onForeignAnswer(answer: HttpResponse): void;
}

/**
 * Makes one call of "get the status of batch request" (`GET …/participants/{type}/batch/status`), and tells what
 * its answer means. `user` is sent as X-COREOS-USERINFO; undefined: nobody is named. `observer` is told of it. Rejects
 * with the reason of `signal` alone, unless that is a {@link DeadlineExceeded}, which is an outcome like another.
 */
export type StatusCall = (
  key: BatchKey,
  token: AccessToken,
  user: EndUser | undefined,
  signal: CancelSignal,
  observer?: StatusObserver,
) => Promise<CallOutcome>;

export function createStatusCall(options: StatusCallOptions): StatusCall {
  const { send, baseUrl, tenantId, tokenHeader, clock, turns, patienceMs, maxParsedBytes } =
    options;
  const shapes = new JsonShapes();
  const { origin, pathname } = urlBelow(baseUrl, '/core/api/v2/participants/');
  const participantsUrl = { origin, pathname };

  const headers = [
    'accept',
    'application/json',
    'content-type',
    'application/json',
    'X-COREOS-TID',
    tenantId,
  ];

  function headersFor(requestId: string, value: string, user: EndUser | undefined): string[] {
    const credentials = tokenHeader === 'Authorization' ? `Bearer ${value}` : value;
    const all = [...headers, 'X-COREOS-REQUEST-ID', requestId, tokenHeader, credentials];
    if (user !== undefined) all.push('X-COREOS-USERINFO', toAsciiJson(user));
    return all;
  }

  function read(
    key: BatchKey,
    token: AccessToken,
    requestId: string,
    response: HttpResponse,
  ): CallOutcome {
    const answer = { requestId, response, redaction: redactionOf(token), maxParsedBytes, shapes };
    const outcome = judgeResponse(key, answer, clock.date());
    if (outcome.kind === 'foreign') options.onForeignAnswer(response);
    return outcome;
  }

  function toFailure(error: unknown, requestId: string, progress: Progress): CallOutcome {
    const { isConnected: connected } = progress;
    const hadItsTime = progress.ranMs() >= patienceMs;
    if (error instanceof HttpClientError) {
      return toOutcome(error, requestId, { connected, hadItsTime });
    }
    if (!(error instanceof DeadlineExceeded)) throw error;
    // Nobody can wait any longer.
    const timeout = new UpstreamError('timeout', error.message, { requestId });
    return hadItsTime
      ? { kind: 'fault', error: timeout, fault: error.message, connected }
      : { kind: 'inconclusive', error: timeout, connected };
  }

  return (key, token, user, signal, observer) => {
    const requestId = randomUUID();
    const progress = new Progress(clock);
    const url = batchStatusUrl(participantsUrl, key);
    const headers = headersFor(requestId, token.value, user);
    const observed = observer?.called({
      key,
      requestId,
      url,
      headers: headersFor(requestId, TOKEN_PLACEHOLDER, user),
      tokenAgeMs: clock.now() - token.askedAt,
    });
    if (observed !== undefined) headers.push(...observed.headers);
    const outcome = send({ method: 'GET', url, headers }, signal, progress).then(
      (response) => {
        progress.status = response.status;
        const isLong = response.body.length > LONG_TEXT_LENGTH;
        const turn = isLong ? turns.next(key.participantType) : undefined;
        return turn === undefined
          ? read(key, token, requestId, response)
          : turn.then(() => read(key, token, requestId, response));
      },
      (error: unknown) => toFailure(error, requestId, progress),
    );
    return observed === undefined ? outcome : tellEnd(outcome, observed, progress);
  };
}

async function tellEnd(
  call: Promise<CallOutcome>,
  observed: CallObserver,
  progress: Progress,
): Promise<CallOutcome> {
  try {
    const outcome = await call;
    observed.end(progress.status, outcome.kind);
    return outcome;
  } catch (error) {
    observed.end(progress.status, 'aborted');
    throw error;
  }
}

/** How far a call got. */
class Progress implements SendObserver {
  isConnected = false;
  /** Of the answer. */
  status: number | undefined;
  readonly #clock: Clock;
  #sentAt: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  sent(): void {
    this.#sentAt = this.#clock.now();
  }

  connected(): void {
    this.isConnected = true;
  }

  /** For how long the upstream has had it, in milliseconds. */
  ranMs(): number {
    return this.#sentAt === undefined ? 0 : this.#clock.now() - this.#sentAt;
  }
}

const redactions = new WeakMap<AccessToken, Redaction>();

/** A server that quotes the token in its answer must not make us hand it on. */
function redactionOf(token: AccessToken): Redaction {
  let redaction = redactions.get(token);
  if (redaction === undefined) {
    redaction = new Redaction(token.value);
    redactions.set(token, redaction);
  }
  return redaction;
}

/** Path and query hold the caller's text percent-encoded, as one segment and one parameter. */
function batchStatusUrl(
  participants: { origin: string; pathname: string },
  { participantType, batchId }: BatchKey,
): HttpRequest['url'] {
  return {
    origin: participants.origin,
    pathname: `${participants.pathname}${encodeURIComponent(participantType)}/batch/status`,
    search: batchId === null ? '' : `?batchId=${encodeURIComponent(batchId)}`,
  };
}

/** A header can hold ASCII only. */
function toAsciiJson(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
