import { poll } from '../processes.ts';
import type { Stage } from '../stage.ts';
import { atMost } from '../verdict.ts';
import { startArrivals } from './arrivals.ts';
import { now } from './now.ts';
import { countsOf, gapsOf, type Outcome, withGateway } from './scenario.ts';

const REQUESTS = 100_000;
const PER_SECOND = 3_500;
/** Where the machine is slower than the load. */
const LIMIT_MS = 180_000;

const LIFETIME_SECONDS = 5;
/** A token is renewed in the last tenth of its lifetime: it serves for this share of it, at least. */
const LEAST_USE = 0.9;

/** Tokens live 5 s. */
export async function tokens(stage: Stage): Promise<Outcome> {
  const equipment = { tokenLifetimeSeconds: LIFETIME_SECONDS };
  return withGateway(stage, equipment, async (upstream, server) => {
    const begun = now();
    const arrivals = startArrivals(server.endpoint, PER_SECOND);
    const sent = () => (arrivals.sent() >= REQUESTS ? true : undefined);
    await poll(sent, `Sending ${REQUESTS} requests`, LIMIT_MS);
    const samples = await arrivals.stop();
    const perSecond = samples.length / ((now() - begun) / 1_000);

    const { calls, tokenCalls } = upstream;
    const seconds = (now() - (tokenCalls[0] ?? 0)) / 1_000;
    const gaps = gapsOf(tokenCalls).map((ms) => ms / 1_000);
    const most = 1 + Math.floor(seconds / (LEAST_USE * LIFETIME_SECONDS));
    const errors = samples.filter(({ error }) => error !== undefined).length;
    return {
      figures: [
        `tokens that live ${LIFETIME_SECONDS} s, ${Math.round(perSecond)} requests/s (${PER_SECOND} were asked for): ${countsOf(samples)}`,
        `${calls.length} calls, of which ${upstream.unauthorized()} with a token that had expired`,
        `${tokenCalls.length} calls for a token in ${seconds.toFixed(1)} s, which are ${(seconds / LIFETIME_SECONDS).toFixed(2)} lifetimes: ` +
          `${Math.min(...gaps).toFixed(2)} to ${Math.max(...gaps).toFixed(2)} s apart`,
      ],
      verdicts: [
        atMost('tokens of 5 s: errors in 100,000 requests', errors, { must: 0 }, String),
        atMost(
          'tokens of 5 s: calls for one, which serves for 4.5 s or longer',
          tokenCalls.length,
          { must: most },
          String,
        ),
      ],
    };
  });
}
