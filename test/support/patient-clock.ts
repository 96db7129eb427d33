import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { COMMAND_TIMEOUT_MS } from '../../src/lib/redis.ts';

/**
 * The machine's clock, but that Redis has 5 s for a command: for tests of what replicas share, on a machine that is as
 * slow as it likes.
 */
export const patientClock: Clock = {
  ...systemClock,
  after: (ms, task) => systemClock.after(ms === COMMAND_TIMEOUT_MS ? 5_000 : ms, task),
};
