import { readFileSync } from 'node:fs';
import { cpuTimeOf, TICK_US } from './machine.ts';
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
  // Of a server that has ended nobody knows what it used.
  const ticksOfServers = () =>
    servers.some(hasEnded)
      ? Number.POSITIVE_INFINITY
      : servers.reduce((sum, { pid }) => sum + cpuTimeOf(pid), 0) / TICK_US;
  const begun = { server: coreTimes(serverCore), load: coreTimes(loadCore), own: ticksOfServers() };
  return () => {
    const [server, load, own] = [coreTimes(serverCore), coreTimes(loadCore), ticksOfServers()];
    const others = server.taken - begun.server.taken - (own - begun.own);
    const disturbance =
      stage.serverCore === undefined ? 0 : others / (server.all - begun.server.all);
    const idle = (load.idle - begun.load.idle) / (load.all - begun.load.all);
    return { disturbance: Math.max(0, disturbance), loadCoreBusy: 1 - idle };
  };
}

/** What a core has done up to now, in ticks; `taken` is in processes, and stolen by other machines. */
function coreTimes(core: number): { idle: number; taken: number; all: number } {
  const [, text = ''] =
    new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8')) ?? [];
  // Guest time, behind these, is part of user.
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = text
    .split(' ')
    .map(Number);
  const taken = user + nice + system + steal;
  return { idle: idle + wait, taken, all: taken + idle + wait + irq + softirq };
}

/** Lines for people with the shares where there was too little of the machine; none where there was enough. */
export function notesOf(used: readonly CoresUsed[], about = ''): string[] {
  const toNote = (what: string, shares: readonly number[], limit: number) => {
    const over = shares.filter((share) => share > limit).map((share) => Math.round(100 * share));
    return over.length === 0 ? [] : [`Note: ${about}${what}: ${over.join(', ')} %.`];
  };
  const others = used.map(({ disturbance }) => disturbance);
  const busy = used.map(({ loadCoreBusy }) => loadCoreBusy);
  return [
    ...toNote("others used the server's core", others, DISTURBED),
    ...toNote('the core of the load was busy', busy, LOAD_CORE_FULL),
  ];
}
