import { existsSync } from 'node:fs';
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

/** The folder of this project. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The gateway of a checkout, from its sources. */
export function gatewayAt(folder: string): Subject {
  return {
    name: 'gateway',
    label: 'participant-gateway',
    workloads: ['cold', 'hot'],
    program: [resolve(folder, 'src/main.ts')],
    env: {},
  };
}

/** The gateway of this project. */
export const GATEWAY: Subject = gatewayAt(ROOT);

const WITH_CALLERS: Subject = {
  ...GATEWAY,
  name: 'gateway+jwt',
  label: 'participant-gateway, AUTH_MODE=jwt',
  callers: true,
};

/** The steps of peers/ladder.ts from inside out, ahead of the whole gateway. */
const STEPS: readonly (readonly [name: string, label: string])[] = [
  ['http-client', 'HTTP client'],
  ['upstream-call', 'upstream call'],
  ['status-service', 'status service'],
  ['document', 'executed document'],
];

/** The steps of a checkout, as far as it has them, and its gateway. */
export function ladderAt(folder: string): Subject[] {
  const program = resolve(folder, 'bench/peers/ladder.ts');
  const steps = existsSync(program) ? STEPS : [];
  return [
    ...steps.map(([name, label]): Subject => {
      return { name, label, workloads: ['cold'], program: [program, name], env: {} };
    }),
    gatewayAt(folder),
  ];
}

/** As it is named where it comes from another checkout, such as the commit before a change. */
export function asBefore({ name, label, ...rest }: Subject): Subject {
  return { ...rest, name: `${name}-before`, label: `${label}, other checkout` };
}

export const BARE_PROXY = peer('bare-proxy', 'bare proxy', ['cold']);

/** What the ratios of a workload are relative to. */
export const LIMITS: Readonly<Record<Workload, string>> = { cold: 'bare-proxy', hot: 'lookup' };

/** In the order of the table. */
export const SUBJECTS: readonly Subject[] = [
  BARE_PROXY,
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
