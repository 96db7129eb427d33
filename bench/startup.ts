import { setTimeout as sleep } from 'node:timers/promises';
import { residentMemoryOf } from './machine.ts';
import { startServer } from './server.ts';
import type { Stage } from './stage.ts';
import { type Spread, spreadOf } from './statistics.ts';
import type { Subject } from './subjects.ts';

const STARTS = 5;
const IDLE_MS = 2_000;

/** How the gateway begins. */
export interface Startup {
  /** From the start of the process to the log line "listening", in milliseconds. */
  listeningMs: Spread;
  /** Resident memory two seconds later, with nothing asked, in MiB. */
  idleMemoryMiB: number;
}

/** Starts the gateway several times, after once to have its code compiled. */
export async function measureStartup(gateway: Subject, stage: Stage): Promise<Startup> {
  await (await startServer(gateway, stage)).stop();
  const times: number[] = [];
  for (;;) {
    const server = await startServer(gateway, stage);
    times.push(server.startMs);
    if (times.length === STARTS) {
      await sleep(IDLE_MS);
      const idleMemoryMiB = residentMemoryOf(server.pid);
      await server.stop();
      return { listeningMs: spreadOf(times), idleMemoryMiB };
    }
    await server.stop();
  }
}
