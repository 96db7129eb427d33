import { request } from 'undici';
import { LOADER, load } from './load.ts';
import { coreTimes, coreUse, cpuTimeOf, residentMemoryOf } from './machine.ts';
import { startServer } from './server.ts';
import type { Stage } from './stage.ts';
import type { Subject } from './subjects.ts';
import { CALLER_CLAIMS } from './token-endpoint.ts';
import { bodyFor, requestHeaders, type Workload } from './workloads.ts';

/** What one run of one server gave. */
export interface Figures {
  requestsPerSecond: number;
  /** Latencies, in milliseconds. */
  p50: number;
  p99: number;
  /** Processor time of the server for one request, in microseconds. */
  cpuUs: number;
  /** Resident memory after the load, in MiB. */
  memoryMiB: number;
  upstreamCallsPerRequest: number;
  /** Requests of the gateway for a token, since its start. */
  tokenCalls: number;
  errors: number;
  /** The share of the server's core that other programs took, 0 to 1. */
  disturbance: number;
  /** How busy the core of the load and the upstream was, 0 to 1. */
  loadCoreBusy: number;
}

export interface MeasureOptions {
  warmupSeconds: number;
  seconds: number;
  headers: string[];
}

/** More of the server's core than this in other hands, and a measurement says little. */
export const DISTURBED = 0.1;
const ATTEMPTS = 3;

/**
 * Measures up to three times until other programs leave the server's core alone, and keeps the least
 * disturbed; see {@link measure}.
 */
export async function measureUndisturbed(
  ...of: Parameters<typeof measure>
): Promise<{ figures: Figures; attempts: number }> {
  let figures = await measure(...of);
  let attempts = 1;
  for (; figures.disturbance > DISTURBED && attempts < ATTEMPTS; attempts += 1) {
    const again = await measure(...of);
    if (again.disturbance < figures.disturbance) figures = again;
  }
  return { figures, attempts };
}

/**
 * Starts a server, warms it up, loads it, and ends it. Rejects when an answer before or after the
 * load is not the batch status that was asked for.
 */
async function measure(
  subject: Subject,
  workload: Workload,
  stage: Stage,
  { warmupSeconds, seconds, headers: given }: MeasureOptions,
): Promise<Figures> {
  const headers = subject.callers
    ? [...given, `authorization: Bearer ${await stage.tokens.issueToken(CALLER_CLAIMS)}`]
    : given;
  const tokenCalls = stage.tokens.calls();
  const server = await startServer(subject, stage);
  try {
    const { endpoint, pid } = server;
    const run = { endpoint, workload, core: stage.loadCore, headers };
    await checkAnswer(endpoint, headers, subject.name);
    if (warmupSeconds > 0) await load({ ...run, seconds: warmupSeconds });
    const [serverCore = 0, loadCore = serverCore] = [stage.serverCore, stage.loadCore];
    const calls = await stage.upstream.calls();
    const cores = [coreTimes(serverCore), coreTimes(loadCore)] as const;
    const cpuTime = cpuTimeOf(pid);
    const result = await load({ ...run, seconds });
    const cpuUs = cpuTimeOf(pid) - cpuTime;
    const { others: disturbance } = coreUse(cores[0], coreTimes(serverCore), cpuUs);
    const { busy: loadCoreBusy } = coreUse(cores[1], coreTimes(loadCore), 0);
    const upstreamCalls = (await stage.upstream.calls()) - calls;
    const memoryMiB = residentMemoryOf(pid);
    await checkAnswer(endpoint, headers, subject.name);
    return {
      requestsPerSecond: result.requests / result.seconds,
      p50: result.p50,
      p99: result.p99,
      cpuUs: cpuUs / result.requests,
      memoryMiB,
      upstreamCallsPerRequest: upstreamCalls / result.requests,
      tokenCalls: stage.tokens.calls() - tokenCalls,
      errors: result.errors,
      disturbance: stage.serverCore === undefined ? 0 : disturbance,
      loadCoreBusy,
    };
  } catch (error) {
    throw new Error(`${subject.name}, ${workload} (${LOADER})`, { cause: error });
  } finally {
    await server.stop();
    server.emptyLog();
  }
}

/** Rejects unless the endpoint answers a query as it should, with a body that says so. */
async function checkAnswer(endpoint: string, headers: string[], name: string): Promise<void> {
  const { statusCode, body } = await request(endpoint, {
    method: 'POST',
    headers: requestHeaders(headers),
    body: bodyFor(`check-${performance.now()}`),
  });
  const text = await body.text();
  const answer: {
    data?: { batchStatus?: { participantType?: string; data?: { status?: string } } };
    errors?: unknown;
  } = JSON.parse(text);
  const status = answer.data?.batchStatus;
  const right = status?.participantType === 'vehicles' && status.data?.status === 'IN_PROGRESS';
  if (statusCode !== 200 || !right || answer.errors !== undefined) {
    throw new Error(`${name} answered ${statusCode}: ${text.slice(0, 500)}`);
  }
}
