import { coreTimes, coreUse, cpuTimeOf } from './machine.ts';
import { DISTURBED } from './measure.ts';
import { hasEnded, type Running } from './processes.ts';
import type { Stage } from './stage.ts';

/** How the cores are used from its beginning on. */
export interface CoreWatch {
  /** Lines for people where there was too little of the machine; none where there was enough. */
  notes(): string[];
}

/** More of its core than this, and the load and the upstream may be late. */
const LOAD_CORE_FULL = 0.95;

const percent = (share: number) => `${Math.round(100 * share)} %`;

/** Watches the server's core for other programs, and the core of the load for being full. */
export function watchCores(stage: Stage, server: Running): CoreWatch {
  const [serverCore = 0, loadCore = serverCore] = [stage.serverCore, stage.loadCore];
  const cores = [coreTimes(serverCore), coreTimes(loadCore)] as const;
  const cpuTime = cpuTimeOf(server.pid);
  return {
    notes() {
      const notes: string[] = [];
      // Of a server that has ended nobody knows what it used.
      if (stage.serverCore !== undefined && !hasEnded(server)) {
        const cpuUs = cpuTimeOf(server.pid) - cpuTime;
        const { others } = coreUse(cores[0], coreTimes(serverCore), cpuUs);
        if (others > DISTURBED) {
          notes.push(`Note: others used ${percent(others)} of the server's core.`);
        }
      }
      const { busy } = coreUse(cores[1], coreTimes(loadCore), 0);
      if (busy > LOAD_CORE_FULL) {
        notes.push(`Note: the core of the load was ${percent(busy)} busy.`);
      }
      return notes;
    },
  };
}
