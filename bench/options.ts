import { parseArgs } from 'node:util';
import { gatewayAt, SUBJECTS, type Subject } from './subjects.ts';
import { WORKLOADS, type Workload } from './workloads.ts';

/** What the command line asks for. */
export interface Options {
  rounds: number;
  seconds: number;
  warmupSeconds: number;
  subjects: readonly Subject[];
  workloads: readonly Workload[];
  /** Settings of the gateway besides those of the benchmark. */
  gatewayEnv: Record<string, string>;
  /** Headers that every client sends, as `name: value`. */
  headers: string[];
  /** Whether start, memory and growth of the gateway are measured, too. */
  extras: boolean;
  write: boolean;
}

/** Reads the command line. Throws an Error with a message for the person who wrote it. */
export function parseOptions(args: string[], gatewayEnv: string | undefined): Options {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      warmup: { type: 'string', default: '6' },
      only: { type: 'string' },
      against: { type: 'string' },
      workload: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
      header: { type: 'string', multiple: true, default: [] },
      'no-extras': { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  });
  const { against } = values;
  const known = against === undefined ? SUBJECTS : [...SUBJECTS, gatewayAt(against)];
  const names = values.only?.split(',');
  for (const name of names ?? []) {
    if (!known.some((subject) => subject.name === name)) {
      throw new Error(`--only takes some of ${known.map((subject) => subject.name).join(', ')}.`);
    }
  }
  if (values.workload !== undefined && !WORKLOADS.some((name) => name === values.workload)) {
    throw new Error(`--workload takes ${WORKLOADS.join(' or ')}.`);
  }
  const whole = names === undefined && values.workload === undefined && against === undefined;
  if (values.write && !whole) {
    throw new Error('--write takes a whole run: neither --only, --against nor --workload.');
  }
  return {
    rounds: toCount('rounds', values.rounds, 1),
    seconds: toCount('seconds', values.seconds, 1),
    warmupSeconds: toCount('warmup', values.warmup, 0),
    subjects: known.filter(({ name }) => names?.includes(name) ?? true),
    workloads: WORKLOADS.filter((name) => name === (values.workload ?? name)),
    gatewayEnv: { ...parseEnv(gatewayEnv), ...Object.fromEntries(values.env.map(toPair)) },
    headers: values.header,
    extras: whole && !values['no-extras'],
    write: values.write,
  };
}

/** A count on the command line. Throws when it is not one, or below `min`. */
export function toCount(name: string, text: string, min: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < min) {
    throw new Error(`--${name} takes a whole number from ${min}.`);
  }
  return count;
}

function parseEnv(text: string | undefined): Record<string, string> {
  const settings: Record<string, unknown> = JSON.parse(text || '{}');
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
}

/** Takes `NAME=value` apart. Throws when it is something else. */
export function toPair(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error('--env takes NAME=value.');
  return [text.slice(0, at), text.slice(at + 1)];
}
