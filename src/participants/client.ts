import { randomUUID } from 'node:crypto';
import {
  type Exchange,
  type ExchangeRequest,
  type ExchangeResponse,
  NetworkError,
} from '../network/exchange.ts';
import { readRetryAfterMs } from '../network/retry-after.ts';
import { urlBelow } from '../network/url-below.ts';
import { TokenError } from '../tokens/errors.ts';
import type { AccessToken, TokenCache } from '../tokens/token-cache.ts';
import type { BatchKey } from './batch-key.ts';
import { type BatchStatus, toBatchStatus } from './batch-status.ts';
import { decodeErrorEnvelope, decodeSuccessEnvelope } from './envelope.ts';
import { UpstreamError, type UpstreamErrorKind } from './errors.ts';

/** How the access token travels. */
export type TokenHeader = 'X-COREOS-ACCESS' | 'Authorization';

export interface ParticipantClientOptions {
  exchange: Exchange;
  tokens: TokenCache;
  /** The tenant's address, `https://{tenantSubdomain}`; a path is kept as a prefix. */
  baseUrl: URL;
  tenantId: string;
  tokenHeader: TokenHeader;
  /** Statuses in which a batch is finished, in upper case. */
  finishedStatuses: ReadonlySet<string>;
  /** The wall clock. */
  date: () => Date;
}

/** Who is behind a request, for the upstream's own records. */
export interface EndUser {
  readonly id: string;
  readonly name: string | undefined;
}

/** One call, and what goes with it. */
export interface StatusCall {
  /** Sent as X-COREOS-USERINFO; undefined: nobody is named. */
  user: EndUser | undefined;
  signal: AbortSignal;
  /** Called for every request that goes out to the upstream. */
  onCall(): void;
}

/** The endpoint "get the status of batch request" of the Participant Service. */
export interface ParticipantClient {
  /**
   * Asks the upstream for one batch. A token that it refuses is replaced and the call made once
   * more. Rejects with an {@link UpstreamError}, or with the reason of `signal`.
   */
  getBatchStatus(key: BatchKey, call: StatusCall): Promise<BatchStatus>;
}

interface Answer {
  requestId: string;
  response: ExchangeResponse;
  /** What of the request must not come back to anybody. */
  secrets: readonly string[];
}

export function createParticipantClient(options: ParticipantClientOptions): ParticipantClient {
  const { exchange, tokens, baseUrl, tenantId, tokenHeader, finishedStatuses, date } = options;
  const { origin, pathname } = urlBelow(baseUrl, '/core/api/v2/participants/');
  const participantsUrl = { origin, pathname };

  async function call(
    key: BatchKey,
    token: AccessToken,
    { user, signal }: StatusCall,
  ): Promise<Answer> {
    const requestId = randomUUID();
    try {
      const response = await exchange(
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
      );
      return { requestId, response, secrets: secretsOf(token) };
    } catch (error) {
      throw error instanceof NetworkError ? fromNetworkError(error, requestId) : error;
    }
  }

  return {
    async getBatchStatus(key, statusCall) {
      const { signal } = statusCall;
      const token = await withToken(() => tokens.get(signal));
      statusCall.onCall();
      let answer = await call(key, token, statusCall);
      if (answer.response.status === 401) {
        const newer = await withToken(() => tokens.replace(token, signal));
        if (newer !== undefined) {
          statusCall.onCall();
          answer = await call(key, newer, statusCall);
        }
      }
      const { response } = answer;
      if (response.status < 200 || response.status > 299) throw fromErrorAnswer(answer, date());
      const envelope = decodeSuccessEnvelope(response.body, answer.secrets);
      if (envelope === undefined) {
        throw badResponse(
          'The Participant Service answered something that is not its documented envelope.',
          answer,
        );
      }
      const size = response.body.length;
      return toBatchStatus({ key, envelope, fetchedAt: date(), size, finishedStatuses });
    },
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

async function withToken<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof TokenError ? fromTokenError(error) : error;
  }
}

function fromTokenError(error: TokenError): UpstreamError {
  const { requestId, retryAfterMs } = error;
  return error.kind === 'refused'
    ? new UpstreamError(
        'unauthenticated',
        `The gateway could not identify itself: ${error.message}.`,
        { requestId },
      )
    : new UpstreamError('token-unavailable', `The gateway has no access token: ${error.message}.`, {
        requestId,
        retryAfterMs,
      });
}

function fromNetworkError(error: NetworkError, requestId: string): UpstreamError {
  switch (error.kind) {
    case 'timeout':
      return new UpstreamError('timeout', 'The Participant Service did not answer in time.', {
        requestId,
      });
    case 'unreachable':
      return new UpstreamError('unavailable', 'The Participant Service cannot be reached.', {
        requestId,
      });
    case 'too-large':
      return new UpstreamError(
        'bad-response',
        'The Participant Service answered more than the gateway takes.',
        {
          requestId,
        },
      );
    case 'malformed':
      return new UpstreamError(
        'bad-response',
        'The Participant Service answered something that cannot be read.',
        {
          requestId,
        },
      );
  }
}

function fromErrorAnswer(answer: Answer, now: Date): UpstreamError {
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
  const retryAfterMs = readRetryAfterMs(response.headers['retry-after'], now);
  return new UpstreamError(kindOfStatus(status), message, { requestId, retryAfterMs, upstream });
}

function badResponse(message: string, { requestId, response }: Answer): UpstreamError {
  const upstream = {
    status: response.status,
    code: null,
    description: null,
    additionalInfo: null,
    request: null,
  };
  return new UpstreamError('bad-response', message, { requestId, upstream });
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
