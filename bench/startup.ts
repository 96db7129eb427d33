import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentMemoryOf } from './machine.ts';
import { start } from './processes.ts';
import { startServer } from './server.ts';
import type { Stage } from './stage.ts';
import { medianOf, type Spread, spreadOf } from './statistics.ts';
import type { Subject } from './subjects.ts';

const STARTS = 7;
const IDLE_MS = 2_000;

/** How the gateway begins. */
export interface Startup {
  /** From the start of the process to the log line "listening", in milliseconds: the median. */
  listeningMs: number;
  /** What `node -e 0` takes from its start to its end, in milliseconds: the median. */
  nodeMs: number;
  /** The first relative to the second, in turn. */
  ratio: Spread;
  /** Resident memory two seconds after the last start, with nothing asked, in MiB. */
  idleMemoryMiB: number;
}

/** Starts the gateway several times, after once for a while to have its code compiled, and each time a Node for nothing. */
export async function measureStartup(gateway: Subject, stage: Stage): Promise<Startup> {
  let server = await startServer(gateway, stage);
  await sleep(IDLE_MS);
  const [listening, node]: [number[], number[]] = [[], []];
  for (let round = 1; round <= STARTS; round += 1) {
    await server.stop();
    node.push(await timeNode(stage));
    server = await startServer(gateway, stage);
    listening.push(server.startMs);
  }
  await sleep(IDLE_MS);
  const idleMemoryMiB = residentMemoryOf(server.pid);
  await server.stop();
  const ratio = spreadOf(listening.map((ms, round) => ms / (node[round] ?? Number.NaN)));
  return { listeningMs: medianOf(listening), nodeMs: medianOf(node), ratio, idleMemoryMiB };
}

/** How long Node takes to begin and to end, where and as the gateway is started. */
async function timeNode({ serverCore, folder }: Stage): Promise<number> {
  const begun = performance.now();
  const env = { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production' };
  const node = start([process.execPath, '-e', '0'], { core: serverCore, cwd: folder, env });
  await once(node.child, 'exit');
  return performance.now() - begun;
}
