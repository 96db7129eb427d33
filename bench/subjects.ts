import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WORKLOADS, type Workload } from './workloads.ts';

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

/** The folder of this project. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** How the `npm start` of a checkout starts its gateway. */
function startOf(folder: string): { flags: string[]; file: string } {
  const { scripts }: { scripts: { start: string } } = JSON.parse(
    readFileSync(resolve(folder, 'package.json'), 'utf8'),
  );
  const [, ...args] = scripts.start.split(' ');
  const file = args.pop() ?? '';
  return { flags: args, file: resolve(folder, file) };
}

/** The gateway of a checkout, from its sources. */
export function gatewayAt(folder: string): Subject {
  const { flags, file } = startOf(folder);
  return {
    name: 'gateway',
    label: 'participant-gateway',
    workloads: WORKLOADS,
    program: [...flags, file],
    env: {},
  };
}

/** The gateway of this project. */
export const GATEWAY: Subject = gatewayAt(ROOT);

/** The steps of peers/ladder.ts from inside out, ahead of the whole gateway. */
const STEPS = ['http-client', 'upstream-call', 'status-service', 'document'];

/** The steps of a checkout, as far as it has them, and its gateway: all with its gateway's flags for node. */
export function ladderAt(folder: string): Subject[] {
  const file = resolve(folder, 'bench/peers/ladder.ts');
  const steps = existsSync(file) ? STEPS : [];
  const { flags } = startOf(folder);
  const cold = { workloads: ['cold'], env: {} } as const;
  return [
    ...steps.map((name) => ({ ...cold, name, label: name, program: [...flags, file, name] })),
    gatewayAt(folder),
  ];
}

/** As it is named where it comes from another checkout, such as the commit before a change. */
export function asBefore({ name, label, ...rest }: Subject): Subject {
  return { ...rest, name: `${name}-before`, label: `${label}, other checkout` };
}

/** What the ratios of a workload are relative to. */
export const LIMITS: Readonly<Record<Workload, string>> = { cold: 'bare-proxy', hot: 'lookup' };

const COLD = ['cold'] as const;
const HOT = ['hot'] as const;

export const BARE_PROXY = peer('bare-proxy', 'bare proxy', COLD);

/** In the order of the table. */
export const SUBJECTS: readonly Subject[] = [
  BARE_PROXY,
  peer('lookup', 'lookup', HOT),
  GATEWAY,
  { ...GATEWAY, name: 'gateway+jwt', label: 'participant-gateway, AUTH_MODE=jwt', callers: true },
  peer('mercurius', 'Mercurius, jit'),
  peer('mercurius+cache', 'Mercurius, jit, mercurius-cache', HOT),
  peer('apollo', 'Apollo Server'),
  peer('apollo+cache', 'Apollo Server, REST data source'),
  peer('yoga', 'Yoga'),
  peer('yoga+cache', 'Yoga, response cache', HOT),
];

function peer(name: string, label: string, workloads: Subject['workloads'] = WORKLOADS): Subject {
  const [file = name, cache] = name.split('+');
  const program = [resolve(ROOT, `bench/peers/${file}.ts`)];
  return { name, label, workloads, program, env: cache === undefined ? {} : { CACHE: 'on' } };
}
