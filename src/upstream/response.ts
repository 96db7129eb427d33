import type { BatchKey } from '../core/batch-key.ts';
import { type HttpResponse, headerOf } from '../http-client/response-collector.ts';
import { readRetryAfterMs } from '../http-client/retry-after.ts';
import { isEchoOf } from './echo.ts';
import { decodeErrorEnvelope, decodeSuccessEnvelope } from './envelope.ts';
import { UpstreamError, type UpstreamErrorKind } from './errors.ts';
import type { CallOutcome } from './outcome.ts';

/** An answer of the upstream, and what of the request must not come back to anybody. */
interface UpstreamResponse {
  /** The X-COREOS-REQUEST-ID of the call. */
  requestId: string;
  response: HttpResponse;
  secrets: readonly string[];
}

/** What an answer means. It is decoded here, and nowhere else. */
export function judgeResponse(key: BatchKey, answer: UpstreamResponse, now: Date): CallOutcome {
  const { response, secrets } = answer;
  if (response.status < 200 || response.status > 299) {
    const outcome = judgeError(answer, now);
    const echo = outcome.kind === 'ok' ? undefined : outcome.error.upstream?.request;
    return echo && !isEchoOf(key, echo) ? foreign(answer) : outcome;
  }
  const decoded = decodeSuccessEnvelope(response.body, secrets);
  switch (decoded.kind) {
    case 'malformed':
      return badResponse(NOT_THE_ENVELOPE, answer);
    case 'unsafe':
      // The batch brought that about, or whoever wrote it.
      return { kind: 'refused', error: toBadResponse(NOT_THE_ENVELOPE, answer) };
    case 'envelope': {
      const { envelope } = decoded;
      if (!isEchoOf(key, envelope.request)) return foreign(answer);
      return { kind: 'ok', answer: { envelope, fetchedAt: now, size: response.body.length } };
    }
  }
}

const NOT_THE_ENVELOPE =
  'The Participant Service answered something that is not its documented envelope.';

function judgeError(answer: UpstreamResponse, now: Date): CallOutcome {
  const { requestId, response, secrets } = answer;
  const { status } = response;
  if (status < 400) {
    return badResponse(
      'The Participant Service answered with a redirect, which the gateway does not follow.',
      answer,
    );
  }
  const envelope = decodeErrorEnvelope(response.body, secrets);
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
  const error = new UpstreamError(kindOfStatus(status), message, {
    requestId,
    retryAfterMs,
    upstream,
  });
  if (status < 500) return { kind: 'refused', error };
  const kind = status >= 502 && status <= 504 ? 'transient' : 'fault';
  return { kind, error, fault: `status ${status}`, connected: true };
}

function foreign(answer: UpstreamResponse): CallOutcome {
  const message = 'The Participant Service answered a request that was not this one.';
  return { kind: 'foreign', error: toBadResponse(message, answer) };
}

function badResponse(message: string, answer: UpstreamResponse): CallOutcome {
  const fault = `status ${answer.response.status}, not the documented envelope`;
  return { kind: 'fault', error: toBadResponse(message, answer), fault, connected: true };
}

function toBadResponse(message: string, { requestId, response }: UpstreamResponse): UpstreamError {
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
