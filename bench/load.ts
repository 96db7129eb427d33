import { fileURLToPath } from 'node:url';
import { findProgram } from '../scripts/find-program.ts';
import { run } from './processes.ts';
import { bodyFor, CONNECTIONS, HOT_BATCHES, requestHeaders, type Workload } from './workloads.ts';

/** What the clients saw. */
export interface LoadResult {
  requests: number;
  seconds: number;
  /** Latencies, in milliseconds. */
  p50: number;
  p99: number;
  /** Answers with a status of 400 or more, and failures of connections. */
  errors: number;
}

export interface LoadOptions {
  endpoint: string;
  workload: Workload;
  seconds: number;
  core: number | undefined;
  /** Headers besides those of a GraphQL request, as `name: value`. */
  headers: readonly string[];
  /** Requests per second, in all; undefined: as many as there are answers to. Only autocannon has it. */
  rate?: number;
}

const wrk = findProgram('wrk');

/** The program that makes the load. */
export const LOADER = wrk === undefined ? 'autocannon' : 'wrk';

let runs = 0;

/**
 * Loads an endpoint for a while. No run repeats a batch id of another, of this process or one before, and a cold
 * one none of its own. Rejects when the program fails.
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { endpoint, workload, seconds, core, headers, rate } = options;
  runs += 1;
  // Of one length always, and never the same again, in no run of the bench.
  const nonce = `${Date.now().toString(36)}-${runs.toString(36).padStart(4, '0')}`;
  const command =
    wrk === undefined || rate !== undefined
      ? [
          process.execPath,
          fileURLToPath(new URL('load-autocannon.ts', import.meta.url)),
          JSON.stringify({ ...options, nonce }),
        ]
      : [
          wrk,
          ...['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--timeout', '10s'],
          ...['-s', fileURLToPath(new URL('wrk/load.lua', import.meta.url)), endpoint],
          ...['--', workload, nonce, String(HOT_BATCHES), bodyFor('@id@')],
          ...Object.entries(requestHeaders(headers)).map(([name, value]) => `${name}: ${value}`),
        ];
  const output = await run(command, core);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '');
}
