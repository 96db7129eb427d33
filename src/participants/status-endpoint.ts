import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import {
  type Exchange,
  type ExchangeRequest,
  type ExchangeResponse,
  headerOf,
} from '../network/exchange.ts';
import { NetworkError } from '../network/network-error.ts';
import { readRetryAfterMs } from '../network/retry-after.ts';
import { urlBelow } from '../network/url-below.ts';
import type { AccessToken } from '../tokens/token-cache.ts';
import type { BatchKey } from './batch-key.ts';
import { type BatchStatus, toBatchStatus } from './batch-status.ts';
import type { Judgeable } from './circuit-breaker.ts';
import { isEchoOf } from './echo.ts';
import { decodeErrorEnvelope, decodeSuccessEnvelope } from './envelope.ts';
import { UpstreamError, type UpstreamErrorKind } from './errors.ts';

/** How the access token travels. */
export type TokenHeader = 'X-COREOS-ACCESS' | 'Authorization';

export interface StatusEndpointOptions {
  exchange: Exchange;
  /** The tenant's address, `https://{tenantSubdomain}`; a path is kept as a prefix. */
  baseUrl: URL;
  tenantId: string;
  tokenHeader: TokenHeader;
  /** Statuses in which a batch is finished, in upper case. */
  finishedStatuses: ReadonlySet<string>;
  clock: Clock;
  /** A call that is given up sooner, in milliseconds from when it was sent, tells nothing of the upstream. */
  patienceMs: number;
  /** Called when an answer was somebody else's: its connection is out of step. */
  onForeignAnswer(answer: ExchangeResponse): void;
}

/** Who is behind a request, for the upstream's own records. */
export interface EndUser {
  readonly id: string;
  readonly name: string | undefined;
}

/** A status, or why there is none. */
export type StatusResult = StatusSuccess | StatusFailure;

export interface StatusSuccess extends Judgeable {
  readonly status: BatchStatus;
}

export interface StatusFailure extends Judgeable {
  readonly error: UpstreamError;
  /** Whether the same call, made again, may well succeed. */
  readonly passing: boolean;
}

/**
 * Makes one call of "get the status of batch request" (`GET …/participants/{type}/batch/status`), and
 * tells what its answer means. `user` is sent as X-COREOS-USERINFO; undefined: nobody is named. Rejects
 * with the reason of `signal` alone, unless that is an {@link UpstreamError}: a deadline, which is a
 * result like another.
 */
export type StatusEndpoint = (
  key: BatchKey,
  token: AccessToken,
  user: EndUser | undefined,
  signal: AbortSignal,
) => Promise<StatusResult>;

interface Answer {
  requestId: string;
  response: ExchangeResponse;
  /** What of the request must not come back to anybody. */
  secrets: readonly string[];
}

export function createStatusEndpoint(options: StatusEndpointOptions): StatusEndpoint {
  const { exchange, baseUrl, tenantId, tokenHeader, finishedStatuses, clock, patienceMs } = options;
  const { origin, pathname } = urlBelow(baseUrl, '/core/api/v2/participants/');
  const participantsUrl = { origin, pathname };

  function foreign(answer: Answer): StatusResult {
    options.onForeignAnswer(answer.response);
    const message = 'The Participant Service answered a request that was not this one.';
    const failure = badResponse(message, answer);
    return { ...failure, fault: 'an answer to another request', passing: true };
  }

  return async (key, token, user, signal) => {
    const requestId = randomUUID();
    let sentAt: number | undefined;
    let response: ExchangeResponse;
    try {
      response = await exchange(
        {
          method: 'GET',
          url: batchStatusUrl(participantsUrl, key),
          headers: {
            accept: 'application/json',
            'content-type': 'application/json',
            'X-COREOS-REQUEST-ID': requestId,
            'X-COREOS-TID': tenantId,
            ...(user === undefined ? {} : { 'X-COREOS-USERINFO': toAsciiJson(user) }),
            [tokenHeader]: tokenHeader === 'Authorization' ? `Bearer ${token.value}` : token.value,
          },
        },
        signal,
        () => {
          sentAt = clock.now();
        },
      );
    } catch (error) {
      const ranMs = sentAt === undefined ? 0 : clock.now() - sentAt;
      const hadItsTime = ranMs >= patienceMs;
      if (error instanceof NetworkError) return fromNetworkError(error, requestId, hadItsTime);
      if (!(error instanceof UpstreamError)) throw error;
      // Nobody can wait any longer.
      return hadItsTime
        ? { error, fault: error.message, passing: false }
        : { error, ...INCONCLUSIVE };
    }
    const answer = { requestId, response, secrets: secretsOf(token) };
    if (response.status < 200 || response.status > 299) {
      const failure = fromErrorAnswer(answer, clock.date());
      const echo = failure.error.upstream?.request;
      return echo && !isEchoOf(key, echo) ? foreign(answer) : failure;
    }
    const envelope = decodeSuccessEnvelope(response.body, answer.secrets);
    if (envelope === undefined) {
      return badResponse(
        'The Participant Service answered something that is not its documented envelope.',
        answer,
      );
    }
    if (!isEchoOf(key, envelope.request)) return foreign(answer);
    const size = response.body.length;
    const status = toBatchStatus({
      key,
      envelope,
      fetchedAt: clock.date(),
      size,
      finishedStatuses,
    });
    return { status, fault: undefined };
  };
}

/** What is shorter could not be a secret, and might be a word of the answer. */
const SHORTEST_SECRET = 16;
const quotedForms = new WeakMap<AccessToken, readonly string[]>();

/** A server that quotes the token in its answer must not make us hand it on. */
function secretsOf(token: AccessToken): readonly string[] {
  const known = quotedForms.get(token);
  if (known) return known;
  const { value } = token;
  const forms = value.length < SHORTEST_SECRET ? [] : [value, encodeURIComponent(value)];
  quotedForms.set(token, forms);
  return forms;
}

/** Path and query hold the caller's text percent-encoded, as one segment and one parameter. */
function batchStatusUrl(
  participants: { origin: string; pathname: string },
  { participantType, batchId }: BatchKey,
): ExchangeRequest['url'] {
  return {
    origin: participants.origin,
    pathname: `${participants.pathname}${encodeURIComponent(participantType)}/batch/status`,
    search: batchId === null ? '' : `?batchId=${encodeURIComponent(batchId)}`,
  };
}

/** A header takes nothing but ASCII. */
function toAsciiJson(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const INCONCLUSIVE = { fault: undefined, isInconclusive: true, passing: false } as const;

/** `hadItsTime`: the upstream, from when the call was sent. */
function fromNetworkError(
  { kind, message: fault }: NetworkError,
  requestId: string,
  hadItsTime: boolean,
): StatusResult {
  const failed = (error: UpstreamErrorKind, message: string) =>
    new UpstreamError(error, message, { requestId });
  switch (kind) {
    case 'timeout': {
      if (hadItsTime) {
        const error = failed('timeout', 'The Participant Service did not answer in time.');
        return { error, fault, passing: false };
      }
      const message = 'No connection to the Participant Service was free in time.';
      return { error: failed('timeout', message), ...INCONCLUSIVE };
    }
    case 'exhausted': {
      const message = 'The gateway cannot open a connection to the Participant Service.';
      return { error: failed('unavailable', message), ...INCONCLUSIVE };
    }
    case 'unreachable': {
      const error = failed('unavailable', 'The Participant Service cannot be reached.');
      return { error, fault, passing: true };
    }
    case 'too-large': {
      const message = 'The Participant Service answered more than the gateway takes.';
      // That is the batch, and the gateway's own limit.
      return { error: failed('bad-response', message), fault: undefined, passing: false };
    }
    case 'malformed': {
      const message = 'The Participant Service answered something that cannot be read.';
      return { error: failed('bad-response', message), fault, passing: false };
    }
  }
}

function fromErrorAnswer(answer: Answer, now: Date): StatusFailure {
  const { requestId, response } = answer;
  const { status } = response;
  if (status < 400) {
    return badResponse(
      'The Participant Service answered with a redirect, which the gateway does not follow.',
      answer,
    );
  }
  const envelope = decodeErrorEnvelope(response.body, answer.secrets);
  const upstream = {
    status,
    code: envelope?.code ?? null,
    description: envelope?.description ?? null,
    additionalInfo: envelope?.additionalInfo ?? null,
    request: envelope?.request ?? null,
  };
  const message =
    upstream.description ?? `The Participant Service answered ${status} without saying why.`;
  const retryAfterMs = readRetryAfterMs(headerOf(response.headers, 'retry-after'), now);
  return {
    error: new UpstreamError(kindOfStatus(status), message, { requestId, retryAfterMs, upstream }),
    fault: status < 500 ? undefined : `status ${status}`,
    passing: (status >= 502 && status <= 504) || (status === 429 && retryAfterMs !== undefined),
  };
}

function badResponse(message: string, { requestId, response }: Answer): StatusFailure {
  const upstream = {
    status: response.status,
    code: null,
    description: null,
    additionalInfo: null,
    request: null,
  };
  const error = new UpstreamError('bad-response', message, { requestId, upstream });
  return { error, fault: `status ${response.status}, not the documented envelope`, passing: false };
}

function kindOfStatus(status: number): UpstreamErrorKind {
  switch (status) {
    case 400:
      return 'invalid-request';
    case 401:
      return 'unauthenticated';
    case 403:
      return 'forbidden';
    case 404:
      return 'not-found';
    case 408:
    case 504:
      return 'timeout';
    case 429:
      return 'rate-limited';
    default:
      return status < 500 ? 'rejected' : 'unavailable';
  }
}
