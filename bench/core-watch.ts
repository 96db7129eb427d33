import { coreTimes, coreUse, cpuTimeOf } from './machine.ts';
import { hasEnded, type Running } from './processes.ts';
import type { Stage } from './stage.ts';

/** How the cores were used for a while, in shares from 0 to 1. */
export interface CoresUsed {
  /** Of the servers' core, by others than the servers. */
  disturbance: number;
  /** Of the core of the load and the upstream, by anybody. */
  loadCoreBusy: number;
}

/** More of the servers' core than this in other hands, and a measurement says little. */
const DISTURBED = 0.1;
/** More of its core than this, and the load and the upstream may be late. */
const LOAD_CORE_FULL = 0.95;

/** Watches the cores from now on, on behalf of all servers that are up; the answer is for up to when it is called. */
export function watchCores(stage: Stage, servers: readonly Running[]): () => CoresUsed {
  const [serverCore = 0, loadCore = serverCore] = [stage.serverCore, stage.loadCore];
  const cpuTime = () => servers.reduce((sum, { pid }) => sum + cpuTimeOf(pid), 0);
  const before = [coreTimes(serverCore), coreTimes(loadCore), cpuTime()] as const;
  return () => {
    // Of a server that has ended nobody knows what it used.
    const isKnown = stage.serverCore !== undefined && !servers.some(hasEnded);
    const cpuUs = isKnown ? cpuTime() - before[2] : 0;
    return {
      disturbance: isKnown ? coreUse(before[0], coreTimes(serverCore), cpuUs).others : 0,
      loadCoreBusy: coreUse(before[1], coreTimes(loadCore), 0).busy,
    };
  };
}

/** Lines for people where there was too little of the machine; none where there was enough. */
export function notesOf({ disturbance, loadCoreBusy }: CoresUsed, about = ''): string[] {
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const others = `Note: ${about}others used ${percent(disturbance)} of the server's core.`;
  const full = `Note: ${about}the core of the load was ${percent(loadCoreBusy)} busy.`;
  return [
    ...(disturbance > DISTURBED ? [others] : []),
    ...(loadCoreBusy > LOAD_CORE_FULL ? [full] : []),
  ];
}
