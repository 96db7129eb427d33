import { post } from './client.ts';
import { say } from './command-line.ts';
import { type CoresUsed, watchCores } from './core-watch.ts';
import { LOADER, type LoadResult, load } from './load.ts';
import { cpuTimeOf, residentMemoryOf } from './machine.ts';
import { type Server, startServer } from './server.ts';
import type { Stage } from './stage.ts';
import type { Subject } from './subjects.ts';
import { CALLER_CLAIMS } from './token-endpoint.ts';
import { bodyFor, requestHeaders, type Workload } from './workloads.ts';

/** What one slice of one server gave. */
export interface Figures extends CoresUsed {
  /** How long the load was, in seconds. */
  seconds: number;
  requestsPerSecond: number;
  /** Latencies, in milliseconds. */
  p50: number;
  p99: number;
  /** Processor time of the server for one request, user and system, in microseconds. */
  cpuUs: number;
  /** Resident memory after the load, in MiB. */
  memoryMiB: number;
  upstreamCallsPerRequest: number;
  /** Requests of the gateway for a token, since its start. */
  tokenCalls: number;
  errors: number;
}

/** The slices of one server with one workload, in the order of the rounds. */
export interface Series {
  subject: Subject;
  workload: Workload;
  rounds: Figures[];
}

export interface SliceOptions {
  rounds: number;
  /** How long a slice is. */
  seconds: number;
  /** How long each server is loaded before the first round. */
  warmupSeconds: number;
  headers: readonly string[];
}

/** A server that is up, and what it has given so far. */
interface Contestant extends Series {
  server: Server;
  headers: readonly string[];
  /** Loads it for so long. */
  load(seconds: number): Promise<LoadResult>;
}

/**
 * Has all servers up at once, on one core, and the load go from one to the next: one slice for each in a round, so
 * that whatever the machine does for a while it does to all. Rejects when an answer, before all rounds or after
 * them, is not the batch status that was asked for.
 */
export async function measureInSlices(
  subjects: readonly Subject[],
  workload: Workload,
  stage: Stage,
  options: SliceOptions,
): Promise<Series[]> {
  const [servers, contestants]: [Server[], Contestant[]] = [[], []];
  const { rounds, seconds, warmupSeconds } = options;
  try {
    for (const subject of subjects) {
      const { callers, name } = subject;
      const token =
        callers && `authorization: Bearer ${await stage.tokens.issueToken(CALLER_CLAIMS)}`;
      const headers = token === undefined ? options.headers : [...options.headers, token];
      const server = await startServer(subject, stage);
      servers.push(server);
      const target = { endpoint: server.endpoint, workload, core: stage.loadCore, headers };
      const loadOne = (lasting: number) =>
        load({ ...target, seconds: lasting }).catch((cause: unknown) => {
          throw new Error(`${name}, ${workload} (${LOADER})`, { cause });
        });
      const contestant = { subject, workload, rounds: [], server, headers, load: loadOne };
      contestants.push(contestant);
      await checkAnswer(contestant);
      if (warmupSeconds > 0) await loadOne(warmupSeconds);
    }
    const watch = () => watchCores(stage, servers);
    for (let round = 1; round <= rounds; round += 1) {
      for (const one of contestants) one.rounds.push(await slice(one, watch, stage, seconds));
      const figures = contestants.map(
        ({ subject, rounds: done }) => `${subject.name} ${done.at(-1)?.cpuUs.toFixed(0)}`,
      );
      say(`${workload} ${round}/${rounds}, CPU µs/request: ${figures.join(', ')}`);
    }
    for (const contestant of contestants) await checkAnswer(contestant);
    return contestants;
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** Loads one server, while the others are idle. */
async function slice(
  { server, load: loadOne }: Contestant,
  watch: () => () => CoresUsed,
  { upstream }: Stage,
  lasting: number,
): Promise<Figures> {
  const calls = await upstream.calls();
  const [coresUsed, cpuTime] = [watch(), cpuTimeOf(server.pid)];
  const { requests, seconds, p50, p99, errors } = await loadOne(lasting);
  const [cpuUs, cores] = [cpuTimeOf(server.pid) - cpuTime, coresUsed()];
  const upstreamCalls = (await upstream.calls()) - calls;
  server.emptyLog();
  return {
    ...cores,
    ...{ seconds, p50, p99, errors },
    requestsPerSecond: requests / seconds,
    cpuUs: cpuUs / requests,
    memoryMiB: residentMemoryOf(server.pid),
    upstreamCallsPerRequest: upstreamCalls / requests,
    tokenCalls: server.tokenCalls(),
  };
}

/** Rejects unless the server answers a query as it should, with a body that says so. */
async function checkAnswer({ subject, server, headers }: Contestant): Promise<void> {
  const body = bodyFor(`check-${performance.now()}`);
  const reply = await post(server.endpoint, body, { headers: requestHeaders(headers) });
  if (reply.error === undefined && reply.text.includes('"participantType":"vehicles"')) return;
  throw new Error(`${subject.name} answered ${reply.status}: ${reply.text.slice(0, 500)}`);
}
