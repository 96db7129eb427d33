import type { HttpClientError } from '../http-client/errors.ts';
import type { SuccessEnvelope } from './envelope.ts';
import { UpstreamError, type UpstreamErrorKind } from './errors.ts';

/**
 * What one call to the upstream came to. The circuit breaker judges by `kind` alone: `transient` and `fault` count
 * against the upstream. `transient` is tried again; so are two that are `refused`, a 401 with a new token and a 429
 * that says when.
 */
export type CallOutcome =
  /** An answer with a status. */
  | { readonly kind: 'ok'; readonly answer: StatusAnswer }
  /** The upstream did its part, and what it says is about the batch or the caller: 4xx, or too large an answer. */
  | { readonly kind: 'refused'; readonly error: UpstreamError }
  /** The upstream's fault, and the same call, made again, may well succeed. */
  | { readonly kind: 'transient'; readonly error: UpstreamError; readonly fault: string }
  /** The upstream's fault. */
  | { readonly kind: 'fault'; readonly error: UpstreamError; readonly fault: string }
  /** It tells nothing of the upstream: the call was not sent, or given up too soon. */
  | { readonly kind: 'inconclusive'; readonly error: UpstreamError };

/** The upstream's answer about one batch. */
export interface StatusAnswer {
  readonly envelope: SuccessEnvelope;
  /** When it came, on the wall clock. */
  readonly fetchedAt: Date;
  /** Length of its text, in characters. */
  readonly size: number;
}

/**
 * The outcome of a call that has no answer. `hadItsTime`: whether the upstream had most of the time that it is
 * given, from when the call was sent.
 */
export function toOutcome(
  { kind, message: fault }: HttpClientError,
  requestId: string,
  hadItsTime: boolean,
): CallOutcome {
  const failed = (error: UpstreamErrorKind, message: string) =>
    new UpstreamError(error, message, { requestId });
  switch (kind) {
    case 'timeout': {
      if (hadItsTime) {
        const error = failed('timeout', 'The Participant Service did not answer in time.');
        return { kind: 'fault', error, fault };
      }
      const message = 'No connection to the Participant Service was free in time.';
      return { kind: 'inconclusive', error: failed('timeout', message) };
    }
    case 'exhausted': {
      const message = 'The gateway cannot open a connection to the Participant Service.';
      return { kind: 'inconclusive', error: failed('unavailable', message) };
    }
    case 'unreachable': {
      const error = failed('unavailable', 'The Participant Service cannot be reached.');
      return { kind: 'transient', error, fault };
    }
    case 'too-large': {
      const message = 'The Participant Service answered more than the gateway reads.';
      // That is the batch, and the gateway's own limit.
      return { kind: 'refused', error: failed('bad-response', message) };
    }
    case 'malformed': {
      const message = 'The Participant Service answered something that cannot be read.';
      return { kind: 'fault', error: failed('bad-response', message), fault };
    }
  }
}
