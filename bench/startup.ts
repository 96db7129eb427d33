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
  /** From the start of the process to the log line "listening", in milliseconds. */
  listeningMs: Spread;
  /** What `node -e 0` takes from its start to its end, in milliseconds. */
  nodeMs: Spread;
  /** The first relative to the second, in turn: the median. */
  ratio: number;
  /** Resident memory two seconds after the start, with nothing asked, in MiB. */
  idleMemoryMiB: number;
}

/** Starts the gateway several times, after once to have its code compiled, and each time Node with nothing to do. */
export async function measureStartup(gateway: Subject, stage: Stage): Promise<Startup> {
  await (await startServer(gateway, stage)).stop();
  const times: { listening: number; node: number }[] = [];
  for (;;) {
    const node = await timeNode(stage);
    const server = await startServer(gateway, stage);
    times.push({ listening: server.startMs, node });
    if (times.length === STARTS) await sleep(IDLE_MS);
    const idleMemoryMiB = residentMemoryOf(server.pid);
    await server.stop();
    if (times.length < STARTS) continue;
    return {
      listeningMs: spreadOf(times.map(({ listening }) => listening)),
      nodeMs: spreadOf(times.map((time) => time.node)),
      ratio: medianOf(times.map((time) => time.listening / time.node)),
      idleMemoryMiB,
    };
  }
}

/** How long Node takes to begin and to end, where and as the gateway is started. */
async function timeNode({ serverCore, folder }: Stage): Promise<number> {
  const begun = performance.now();
  const env = { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production' };
  const node = start([process.execPath, '-e', '0'], { core: serverCore, cwd: folder, env });
  await once(node.child, 'exit');
  return performance.now() - begun;
}
