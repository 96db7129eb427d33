import type { BatchKey } from '../core/batch-key.ts';
import type { UpstreamError } from '../upstream/errors.ts';
import type { StatusAnswer } from '../upstream/outcome.ts';
import type { StatusRequest } from '../upstream/participant-service.ts';
import type { EndUser } from '../upstream/request.ts';

/** What goes with a request for a status to where statuses come from. */
export interface StatusInquiry extends StatusRequest {
  /** Whether it has to be new: a status that would be fresh to others is not. */
  readonly isPoll: boolean;
}

/** A status, and how it came. */
export interface FoundStatus extends StatusAnswer {
  /** Another replica got it, so many milliseconds ago; undefined: the upstream gave it just now. */
  readonly ageMs?: number;
  /** Because of which failure there is none that is younger. */
  readonly staleBecause?: UpstreamError;
}

/** Where statuses come from: the Participant Service itself, or what replicas share in front of it. */
export interface StatusSource {
  /** Rejects as `ParticipantService` does. */
  getStatus(key: BatchKey, request: StatusInquiry): Promise<FoundStatus>;
  /**
   * Has `onPublished` called with each status that another replica got from now on, until the returned function is
   * called. It must not throw. One at a time for a key.
   */
  watch?(
    key: BatchKey,
    user: EndUser | undefined,
    onPublished: (found: FoundStatus) => void,
  ): () => void;
}
