import { Agent, type Dispatcher, request } from 'undici';
import { STATUS_QUERY } from './test-gateway.ts';

/** Clients that ask one query after the other, each on a connection that it keeps. */
export interface SteadyLoad {
  /** Answers so far, good or bad. */
  requests(): number;
  /** Ends it, and resolves to what was no good answer. */
  stop(): Promise<string[]>;
}

export interface SteadyLoadOptions {
  endpoint: URL;
  /** The authority of its certificate, PEM. */
  authority: string;
  /** Half of them speak HTTP/1.1, half HTTP/2. */
  clients: number;
}

/** Of so many batches they ask for the status. */
const BATCHES = 100;

/** Nothing is sent a second time: what fails is counted. */
export function startSteadyLoad({ endpoint, authority, clients }: SteadyLoadOptions): SteadyLoad {
  const failures: string[] = [];
  let requests = 0;
  let stopped = false;

  async function ask(dispatcher: Dispatcher): Promise<void> {
    const batchId = `b-${requests % BATCHES}`;
    const { statusCode, body } = await request(endpoint, {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        query: STATUS_QUERY,
        variables: { participantType: 'vehicles', batchId },
      }),
    });
    const text = await body.text();
    const batchStatus = { id: `vehicles/${batchId}`, status: 'IN_PROGRESS' };
    if (statusCode !== 200 || text !== JSON.stringify({ data: { batchStatus } })) {
      failures.push(`${statusCode} ${text}`);
    }
  }

  async function askUntilStopped(allowH2: boolean): Promise<void> {
    const dispatcher = new Agent({ allowH2, connect: { ca: authority } });
    while (!stopped) {
      await ask(dispatcher).catch((error: unknown) => void failures.push(String(error)));
      requests += 1;
    }
    await dispatcher.close();
  }

  const asking = Promise.all(
    Array.from({ length: clients }, (_, index) => askUntilStopped(index % 2 === 0)),
  );
  return {
    requests: () => requests,
    async stop() {
      stopped = true;
      await asking;
      return failures;
    },
  };
}
