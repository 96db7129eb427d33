import type { HttpClientError } from '../http-client/errors.ts';
import type { SuccessEnvelope } from './envelope.ts';
import { UpstreamError, type UpstreamErrorKind } from './errors.ts';

/**
 * What one call to the upstream came to. The circuits (`circuits.ts`) judge by `kind` and `connected` alone:
 * `transient` and `fault` count against the participant type, or where there was no connection to send the request
 * over, against the service as a whole. `transient` and `foreign` are tried again; so are two that are `refused`,
 * a 401 with a new token and a 429 that says when.
 */
export type CallOutcome =
  /** An answer with a status. */
  | { readonly kind: 'ok'; readonly answer: StatusAnswer }
  /**
   * The upstream did its part, and what it says is about the batch or the caller: 4xx, or an answer that the
   * gateway does not read because of what is in it.
   */
  | { readonly kind: 'refused'; readonly error: UpstreamError }
  /** An answer to another request: its connection is out of step. */
  | { readonly kind: 'foreign'; readonly error: UpstreamError }
  /** The upstream's fault, and the same call, made again, may well succeed. */
  | ({ readonly kind: 'transient' } & Failure)
  /** The upstream's fault. */
  | ({ readonly kind: 'fault' } & Failure)
  /** It tells nothing of the upstream: the call was not sent, or given up too soon. */
  | { readonly kind: 'inconclusive'; readonly error: UpstreamError; readonly connected: boolean };

interface Failure {
  readonly error: UpstreamError;
  /** In words for the operator. */
  readonly fault: string;
  /** Whether there was a connection, over which the request went out. */
  readonly connected: boolean;
}

/** How far a call got that has no answer. */
interface CallProgress {
  readonly connected: boolean;
  /** Whether the upstream had most of the time that it is given, from when the call was sent. */
  readonly hadItsTime: boolean;
}

/** The upstream's answer about one batch. */
export interface StatusAnswer {
  readonly envelope: SuccessEnvelope;
  /** The X-COREOS-REQUEST-ID of the call. */
  readonly requestId: string;
  /** When it came, on the wall clock. */
  readonly fetchedAt: Date;
  /** Bytes that it takes in memory at most. */
  readonly size: number;
}

/** The outcome of a call that has no answer. */
export function toOutcome(
  { kind, message: fault }: HttpClientError,
  requestId: string,
  { connected, hadItsTime }: CallProgress,
): CallOutcome {
  const failed = (error: UpstreamErrorKind, message: string) =>
    new UpstreamError(error, message, { requestId });
  switch (kind) {
    case 'timeout': {
      if (hadItsTime) {
        const error = failed('timeout', 'The Participant Service did not answer in time.');
        return { kind: 'fault', error, fault, connected };
      }
      const message = 'No connection to the Participant Service was free in time.';
      return { kind: 'inconclusive', error: failed('timeout', message), connected };
    }
    case 'exhausted': {
      const message = 'The gateway cannot open a connection to the Participant Service.';
      return { kind: 'inconclusive', error: failed('unavailable', message), connected };
    }
    case 'unreachable': {
      const error = failed('unavailable', 'The Participant Service cannot be reached.');
      return { kind: 'transient', error, fault, connected };
    }
    case 'too-large': {
      return tooLargeAnswer(requestId);
    }
    case 'malformed': {
      const message = 'The Participant Service answered something that cannot be read.';
      return { kind: 'fault', error: failed('bad-response', message), fault, connected };
    }
  }
}

/** An answer that is longer than the gateway reads, or takes more memory. That is the batch, and the gateway's limit. */
export function tooLargeAnswer(requestId: string): CallOutcome {
  const message = 'The Participant Service answered more than the gateway reads.';
  return { kind: 'refused', error: new UpstreamError('bad-response', message, { requestId }) };
}
