import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Workload } from './workloads.ts';

/** A server that is measured. */
export interface Subject {
  /** What `--only` takes. */
  name: string;
  label: string;
  workloads: readonly Workload[];
  /** Arguments for node. */
  program: readonly string[];
  /** Variables besides those of every subject. */
  env: Readonly<Record<string, string>>;
  /** Whether its callers need a token. */
  callers?: true;
}

function peer(
  name: string,
  label: string,
  workloads: Workload[],
  env: Record<string, string> = {},
): Subject {
  const [file = name] = name.split('+');
  const program = [fileURLToPath(new URL(`peers/${file}.ts`, import.meta.url))];
  return { name, label, workloads, program, env };
}

const CACHE = { CACHE: 'on' };

/** The gateway of this project, from its sources. */
export const GATEWAY: Subject = {
  name: 'gateway',
  label: 'participant-gateway',
  workloads: ['cold', 'hot'],
  program: [fileURLToPath(new URL('../src/main.ts', import.meta.url))],
  env: {},
};

const WITH_CALLERS: Subject = {
  ...GATEWAY,
  name: 'gateway+jwt',
  label: 'participant-gateway, AUTH_MODE=jwt',
  callers: true,
};

/** The gateway of another checkout, such as the commit before a change. */
export function gatewayAt(folder: string): Subject {
  return {
    ...GATEWAY,
    name: 'gateway-before',
    label: 'participant-gateway, other checkout',
    program: [resolve(folder, 'src/main.ts')],
  };
}

/** What the ratios of a workload are relative to. */
export const LIMITS: Readonly<Record<Workload, string>> = { cold: 'bare-proxy', hot: 'lookup' };

/** In the order of the table. */
export const SUBJECTS: readonly Subject[] = [
  peer('bare-proxy', 'bare proxy', ['cold']),
  peer('lookup', 'lookup', ['hot']),
  GATEWAY,
  WITH_CALLERS,
  peer('mercurius', 'Mercurius, jit', ['cold', 'hot']),
  peer('mercurius+cache', 'Mercurius, jit, mercurius-cache', ['hot'], CACHE),
  peer('apollo', 'Apollo Server', ['cold', 'hot']),
  peer('apollo+cache', 'Apollo Server, REST data source', ['cold', 'hot'], CACHE),
  peer('yoga', 'Yoga', ['cold', 'hot']),
  peer('yoga+cache', 'Yoga, response cache', ['hot'], CACHE),
];
