import type { BatchKey } from '../core/batch-key.ts';
import { type HttpResponse, headerOf } from '../http-client/response-collector.ts';
import { readRetryAfterMs } from '../http-client/retry-after.ts';
import { estimateParsedBytes, type JsonShapes } from '../lib/json-size.ts';
import { isEchoOf } from './echo.ts';
import { decodeErrorEnvelope, decodeSuccessEnvelope } from './envelope.ts';
import { UpstreamError, type UpstreamErrorKind } from './errors.ts';
import { type CallOutcome, type StatusAnswer, tooLargeAnswer } from './outcome.ts';
import { Redaction } from './redaction.ts';

/** An answer of the upstream, and what of the request must not come back to anybody. */
interface UpstreamResponse {
  /** The X-COREOS-REQUEST-ID of the call. */
  requestId: string;
  response: HttpResponse;
  redaction: Redaction;
  /** What its body may take in memory once it is parsed, in bytes. */
  maxParsedBytes: number;
  /** Of earlier answers. */
  shapes: JsonShapes;
}

/** What an answer means. It is decoded here, and nowhere else. */
export function judgeResponse(key: BatchKey, answer: UpstreamResponse, now: Date): CallOutcome {
  const { response, redaction, shapes } = answer;
  const estimate = estimateOf(answer);
  if (response.status < 200 || response.status > 299) {
    const outcome = judgeError(answer, estimate, now);
    const echo = outcome.kind === 'ok' ? undefined : outcome.error.upstream?.request;
    return echo && !isEchoOf(key, echo) ? foreign(answer) : outcome;
  }
  if (estimate > answer.maxParsedBytes) return tooLargeAnswer(answer.requestId);
  const decoded = decodeSuccessEnvelope(response.body, redaction, shapes);
  switch (decoded.kind) {
    case 'malformed':
      return badResponse(NOT_THE_ENVELOPE, answer);
    case 'unsafe':
      // The batch brought that about, or whoever wrote it.
      return { kind: 'refused', error: toBadResponse(NOT_THE_ENVELOPE, answer) };
    case 'envelope': {
      const { envelope } = decoded;
      if (!isEchoOf(key, envelope.request)) return foreign(answer);
      const size = Math.min(envelope.size, estimate);
      return {
        kind: 'ok',
        answer: { envelope, requestId: answer.requestId, fetchedAt: now, size },
      };
    }
  }
}

/** Nothing is looked for: it was redacted before it was kept. */
const NO_REDACTION = new Redaction('');

/**
 * A status whose text was kept where others can write, decoded as the upstream's own answer is. Undefined for whatever
 * that would not be accepted as.
 */
export function decodeKeptStatus(
  key: BatchKey,
  { text, fetchedAt }: { readonly text: string; readonly fetchedAt: Date },
  bounds: Pick<UpstreamResponse, 'maxParsedBytes' | 'shapes'>,
): StatusAnswer | undefined {
  const response = { status: 200, headers: {}, body: text };
  const answer = { requestId: '', response, redaction: NO_REDACTION, ...bounds };
  const outcome = judgeResponse(key, answer, fetchedAt);
  return outcome.kind === 'ok' ? outcome.answer : undefined;
}

const NOT_THE_ENVELOPE =
  'The Participant Service answered something that is not its documented envelope.';

/** Shorter bodies take little, whatever they say: they are measured as they are decoded. */
const MIN_LENGTH_ESTIMATED = 4 * 1024;

/** How many bytes the body takes at most once it is parsed; for a short one the most that may be. */
function estimateOf({ response: { body }, maxParsedBytes }: UpstreamResponse): number {
  return body.length < MIN_LENGTH_ESTIMATED
    ? maxParsedBytes
    : estimateParsedBytes(body, maxParsedBytes);
}

function judgeError(answer: UpstreamResponse, estimate: number, now: Date): CallOutcome {
  const { requestId, response, redaction, shapes } = answer;
  const { status } = response;
  if (status < 400) {
    return badResponse(
      'The Participant Service answered with a redirect, which the gateway does not follow.',
      answer,
    );
  }
  // What a refusal says beside its status is not worth more than the status.
  const isTooLarge = estimate > answer.maxParsedBytes;
  const envelope = isTooLarge ? undefined : decodeErrorEnvelope(response.body, redaction, shapes);
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
    size: envelope && Math.min(envelope.size, estimate),
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
