import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { type PostOptions, post } from '../client.ts';
import { countEach, describeCounts } from '../neighbours/counts.ts';
import { latencyText, percentileOf } from '../statistics.ts';
import { now } from './now.ts';

/** One request, and how it ended. */
export interface Sample {
  batchId: string;
  /** When it was due, as {@link now} has it. */
  at: number;
  /** From then to the end of its answer, in milliseconds. */
  ms: number;
  /**
   * The error's code, or the HTTP status, where it got no batch status; `stale` where it got an old one;
   * undefined where it got a fresh one.
   */
  error: string | undefined;
}

/** A batch to ask for. */
export interface Batch {
  participantType: string;
  batchId: string;
}

export interface ArrivalsOptions extends Pick<PostOptions, 'headers'> {
  /** The batch of the n-th request, counted from 0; another batch of vehicles each time by default. */
  toBatch?: (sequence: number) => Batch;
  /** Requests under way at a time: for what the machine is too slow, waits here, and that counts as its time. */
  maxUnderWay?: number;
}

/** Longer than the gateway's deadline: what takes longer gets no answer. */
export const CLIENT_TIMEOUTS = { headersTimeout: 10_000, bodyTimeout: 10_000 };

const QUERY =
  'query S($t:String!,$b:ID){batchStatus(participantType:$t,batchId:$b){participantType stale data request{uri}}}';

const toVehicles = (sequence: number): Batch => ({
  participantType: 'vehicles',
  batchId: `b-${sequence}`,
});

/**
 * Sends so many requests in a second, however long the answers take (an open loop). A request counts from
 * when it was due, so that one that had to wait here does not look fast. It goes on until it is stopped.
 */
export function startArrivals(
  endpoint: string,
  perSecond: number,
  { toBatch = toVehicles, headers = {}, maxUnderWay = 240 }: ArrivalsOptions = {},
) {
  const dispatcher = new Agent(CLIENT_TIMEOUTS);
  const samples: Sample[] = [];
  const begunAt = now();
  let sent = 0;

  async function ask(at: number, { participantType, batchId }: Batch): Promise<void> {
    const body = JSON.stringify({ query: QUERY, variables: { t: participantType, b: batchId } });
    const error = await post(endpoint, body, { headers, dispatcher }).then(
      (reply) => reply.error ?? (reply.text.includes('"stale":true') ? 'stale' : undefined),
      () => 'no answer',
    );
    samples.push({ batchId, at, ms: now() - at, error });
  }

  const timer = setInterval(() => {
    const due = ((now() - begunAt) * perSecond) / 1_000;
    while (sent < due && sent - samples.length < maxUnderWay) {
      void ask(begunAt + (1_000 * sent) / perSecond, toBatch(sent));
      sent += 1;
    }
  }, 1);

  return {
    /** Requests up to now. */
    sent: () => sent,
    /** Resolves, when all are answered, to all of them, in the order of their answers. */
    async stop(): Promise<Sample[]> {
      clearInterval(timer);
      while (samples.length < sent) await sleep(5);
      await dispatcher.close();
      return samples;
    },
  };
}

/** How many ended how. */
export function countsOf(samples: readonly Sample[]): string {
  return describeCounts(countEach(samples.map(({ error }) => error ?? 'succeeded')));
}

/** How long they took. */
export function latenciesOf(samples: readonly Sample[]): string {
  return latencyText(samples.map(({ ms }) => ms));
}

export function p99Of(samples: readonly Sample[]): number {
  const all = samples.map(({ ms }) => ms);
  return percentileOf(all, 99);
}
