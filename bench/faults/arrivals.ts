import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { bodyFor, requestHeaders } from '../workloads.ts';
import { now } from './now.ts';

/** One request, and how it ended. */
export interface Sample {
  batchId: string;
  /** When it was due, as {@link now} has it. */
  at: number;
  /** From then to the end of its answer, in milliseconds. */
  ms: number;
  /** The error's code, or the HTTP status, where it got no batch status; undefined where it got one. */
  error: string | undefined;
}

/** A load that goes on until it is stopped. */
export interface Arrivals {
  /** Requests up to now. */
  sent(): number;
  /** Resolves, when all are answered, to all of them, in the order of their answers. */
  stop(): Promise<Sample[]>;
}

/**
 * Requests under way at a time. The gateway takes 256, and what is beyond would be OVERLOADED: where the
 * machine is too slow for the load, requests wait here instead, and that counts as theirs.
 */
const MAX_UNDER_WAY = 240;

const HEADERS = requestHeaders([]);

/**
 * Asks for a different batch so often in a second, however long the answers take (an open loop). A
 * request counts from when it was due, so that one that had to wait here does not look fast.
 */
export function startArrivals(endpoint: string, perSecond: number): Arrivals {
  const connections = new Agent();
  const samples: Sample[] = [];
  const begunAt = now();
  let sent = 0;

  async function ask(at: number, batchId: string): Promise<void> {
    const error = await askOnce(connections, endpoint, batchId).catch(() => 'no answer');
    samples.push({ batchId, at, ms: now() - at, error });
  }

  const timer = setInterval(() => {
    const due = ((now() - begunAt) * perSecond) / 1_000;
    while (sent < due && sent - samples.length < MAX_UNDER_WAY) {
      void ask(begunAt + (1_000 * sent) / perSecond, `b-${sent}`);
      sent += 1;
    }
  }, 1);

  return {
    sent: () => sent,
    async stop() {
      clearInterval(timer);
      while (samples.length < sent) await sleep(5);
      await connections.close();
      return samples;
    },
  };
}

async function askOnce(
  connections: Agent,
  endpoint: string,
  batchId: string,
): Promise<string | undefined> {
  const { statusCode, body } = await request(endpoint, {
    method: 'POST',
    dispatcher: connections,
    headers: HEADERS,
    body: bodyFor(batchId),
  });
  const text = await body.text();
  if (statusCode === 200 && text.includes('"IN_PROGRESS"') && !text.includes('"errors"')) {
    return undefined;
  }
  const [, code = `status ${statusCode}`] = /"code":"([A-Z_]+)"/.exec(text) ?? [];
  return code;
}
