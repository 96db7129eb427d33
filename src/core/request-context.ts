import type { CancelSignal } from '../lib/cancellation.ts';
import type { RequestTrace } from './request-trace.ts';

/** What every step of one request is given. */
export interface RequestContext {
  /** The id of this request, in its log line and in the answer's `x-request-id`. */
  readonly id: string;
  /** When the request's time is up, on the gateway's clock, in milliseconds. */
  readonly deadline: number;
  /** Aborts with a `ClientGone` when the client is gone, with a `DeadlineExceeded` when time is up. */
  readonly signal: CancelSignal;
  /** Undefined: it is in no trace. */
  readonly trace?: RequestTrace | undefined;
}
