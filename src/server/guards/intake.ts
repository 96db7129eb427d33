import type { ServerResponse } from 'node:http';
import { RefusedRequest } from '../../core/errors.ts';

/** How many requests are worked on at a time. */
export interface Intake {
  /**
   * Admits a request until its response is out, or its client gone. Throws a {@link RefusedRequest} (503) when
   * there are too many: at once, while there is time to ask elsewhere, rather than after a wait at the end of
   * which the deadline has passed.
   */
  enter(response: ServerResponse): void;
}

/** When somebody who was refused may try again: most requests take less. */
const RETRY_AFTER_MS = 1_000;

export function createIntake(maxRequests: number): Intake {
  let admitted = 0;
  const leave = () => {
    admitted -= 1;
  };
  return {
    enter(response) {
      if (admitted >= maxRequests) {
        throw new RefusedRequest('OVERLOADED', 503, 'The gateway has more to do than it can.', {
          retryAfterMs: RETRY_AFTER_MS,
        });
      }
      admitted += 1;
      response.once('close', leave);
    },
  };
}
