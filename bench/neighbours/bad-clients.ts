/**
 * The neighbour's clients, in a process of their own, so that the good ones do not wait for them where they
 * run. Arguments: the name of a way (ways.ts), the endpoint. At the first message they stop, and it sends
 * what became of their requests.
 */
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { post, queryForMany } from '../client.ts';
import { type Batch, CLIENT_TIMEOUTS, startArrivals } from '../faults/arrivals.ts';
import { type Counts, countEach } from './counts.ts';
import { BAD_CALLER, BAD_NICENESS, BATCHES, WAYS } from './ways.ts';

const [, , name = '', endpoint = ''] = process.argv;

setPriority(BAD_NICENESS);
const load = WAYS.get(name)?.load;
const stopped = once(process, 'message');
/** No run asks for a batch of another. */
const nonce = process.pid.toString(36);

/** More than the gateway takes: a neighbour does not hold back. */
const MAX_UNDER_WAY = 2_000;

/** Who was refused comes again after so long: at once, it would be a flood. */
const REFUSED_MS = 100;

async function arrive(
  perSecond: number,
  toBatch: (sequence: number, id: string) => Batch,
): Promise<Counts> {
  const arrivals = startArrivals(endpoint, perSecond, {
    toBatch: (sequence) => toBatch(sequence, `${nonce}-${sequence}`),
    headers: BAD_CALLER,
    maxUnderWay: MAX_UNDER_WAY,
  });
  await stopped;
  const samples = await arrivals.stop();
  return countEach(samples.map(({ error }) => error ?? 'succeeded'));
}

async function askForBatches(): Promise<Counts> {
  const options = { headers: BAD_CALLER, dispatcher: new Agent(CLIENT_TIMEOUTS) };
  const results: string[] = [];
  let asked = 0;
  let isStopped = false;

  async function keepAsking(): Promise<void> {
    while (!isStopped) {
      asked += 1;
      const body = queryForMany('operators', `${nonce}-${asked}`, BATCHES.batches);
      const reply = await post(endpoint, body, options).catch(() => ({ error: 'no answer' }));
      results.push(reply.error ?? 'succeeded');
      if (reply.error !== undefined) await sleep(REFUSED_MS);
    }
  }

  const all = Promise.all(Array.from({ length: BATCHES.requests }, keepAsking));
  await stopped;
  isStopped = true;
  await all;
  return countEach(results);
}

process.once('disconnect', () => process.exit());
if (load?.kind === 'arrivals') process.send?.(await arrive(load.perSecond, load.toBatch));
if (load?.kind === 'batches') process.send?.(await askForBatches());
