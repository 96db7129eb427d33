import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { type PostOptions, post } from '../client.ts';
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

/** A load that goes on until it is stopped. */
export interface Arrivals {
  /** Requests up to now. */
  sent(): number;
  /** Resolves, when all are answered, to all of them, in the order of their answers. */
  stop(): Promise<Sample[]>;
}

/** A batch to ask for. */
export interface Batch {
  participantType: string;
  batchId: string;
}

export interface ArrivalsOptions {
  /** The batch of the n-th request, counted from 0; another batch of vehicles each time by default. */
  toBatch?: (sequence: number) => Batch;
  /** Headers besides those of a GraphQL request. */
  headers?: Readonly<Record<string, string>>;
  /**
   * Requests under way at a time. Where the machine is too slow for the load, the others wait here, and that
   * counts as theirs.
   */
  maxUnderWay?: number;
}

const MAX_UNDER_WAY = 240;

/** Longer than the gateway's deadline: what takes longer gets no answer. */
export const CLIENT_TIMEOUTS = { headersTimeout: 10_000, bodyTimeout: 10_000 };

const QUERY =
  'query S($t:String!,$b:ID){batchStatus(participantType:$t,batchId:$b){participantType stale data request{uri}}}';

/**
 * Sends so many requests in a second, however long the answers take (an open loop). A request counts from
 * when it was due, so that one that had to wait here does not look fast.
 */
export function startArrivals(
  endpoint: string,
  perSecond: number,
  { toBatch = toVehicles, headers = {}, maxUnderWay = MAX_UNDER_WAY }: ArrivalsOptions = {},
): Arrivals {
  const dispatcher = new Agent(CLIENT_TIMEOUTS);
  const samples: Sample[] = [];
  const begunAt = now();
  let sent = 0;

  async function ask(at: number, batch: Batch): Promise<void> {
    const error = await askOnce(endpoint, batch, { headers, dispatcher }).catch(() => 'no answer');
    samples.push({ batchId: batch.batchId, at, ms: now() - at, error });
  }

  const timer = setInterval(() => {
    const due = ((now() - begunAt) * perSecond) / 1_000;
    while (sent < due && sent - samples.length < maxUnderWay) {
      void ask(begunAt + (1_000 * sent) / perSecond, toBatch(sent));
      sent += 1;
    }
  }, 1);

  return {
    sent: () => sent,
    async stop() {
      clearInterval(timer);
      while (samples.length < sent) await sleep(5);
      await dispatcher.close();
      return samples;
    },
  };
}

function toVehicles(sequence: number): Batch {
  return { participantType: 'vehicles', batchId: `b-${sequence}` };
}

async function askOnce(
  endpoint: string,
  { participantType, batchId }: Batch,
  options: PostOptions,
): Promise<string | undefined> {
  const body = JSON.stringify({ query: QUERY, variables: { t: participantType, b: batchId } });
  const { status, text, isGood } = await post(endpoint, body, options);
  if (isGood) return text.includes('"stale":true') ? 'stale' : undefined;
  const [, code = `status ${status}`] = /"code":"([A-Z_]+)"/.exec(text) ?? [];
  return code;
}
