import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../stage.ts';
import { atMost } from '../verdict.ts';
import { startArrivals } from './arrivals.ts';
import { countsOf, latenciesOf, logOf, type Outcome, withGateway } from './scenario.ts';

const PER_SECOND = 300;
/** Twice the window of the budget. */
const LOAD_MS = 20_000;

/** A fifth of the calls fails, from the first on: calls of before would add to the budget. */
export async function retries(stage: Stage): Promise<Outcome> {
  return withGateway(stage, {}, async (upstream, server) => {
    await upstream.setFault({ share: 0.2 });
    const arrivals = startArrivals(server.endpoint, PER_SECOND);
    await sleep(LOAD_MS);
    const samples = await arrivals.stop();
    const { opened } = await logOf(server);

    const calls = upstream.calls.length;
    const ratio = calls / samples.length;
    const succeeded = samples.filter(({ error }) => error === undefined).length / samples.length;
    return {
      figures: [
        `a fifth of the calls fails, ${PER_SECOND} requests/s: ${countsOf(samples)}; ${latenciesOf(samples)}`,
        `${calls} calls for ${samples.length} requests: ${ratio.toFixed(4)} for one; ${(100 * succeeded).toFixed(1)} % of the requests succeeded`,
      ],
      verdicts: [
        atMost('a fifth fails: calls for a request', ratio, { must: 1.1 }, (calls) =>
          calls.toFixed(4),
        ),
        atMost('a fifth fails: times that the circuit opened', opened.length, { must: 0 }, String),
      ],
    };
  });
}
