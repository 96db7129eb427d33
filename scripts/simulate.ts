/** `npm run simulate`: what watched batches cost, and what breaks first. docs/scale.md has the options. */
import { readFileSync } from 'node:fs';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { parseSettings } from '../src/config/load.ts';
import { type Capacity, capacityOf } from './capacity.ts';
import type { Counts } from './simulation.ts';

const OPTIONS = {
  batches: { type: 'string', default: '1000' },
  followers: { type: 'string', default: '1' },
  dashboards: { type: 'string', default: '1' },
  every: { type: 'string', default: '5' },
  runs: { type: 'string', default: '600' },
  stays: { type: 'string', default: '60' },
  changes: { type: 'string', default: '5' },
  replicas: { type: 'string', default: '1' },
  redis: { type: 'boolean', default: false },
  latency: { type: 'string', default: '0.2' },
  limit: { type: 'string', default: 'Infinity' },
  env: { type: 'string', multiple: true, default: [] },
} satisfies ParseArgsOptionsConfig;

/** What `npm run simulate -- …` prints. Throws at a faulty option or setting. */
export function printSimulation(args: readonly string[]): string {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const pairs = values.env.map((pair) => /^([^=]*)=?(.*)$/.exec(pair)?.slice(1) ?? []);
  const settings = parseSettings(Object.fromEntries(pairs), readFileSync);
  const seconds = (name: 'every' | 'runs' | 'stays' | 'changes' | 'latency', least = 0.001) =>
    1_000 * toNumber(name, values[name], least);
  const fleet = {
    replicas: toNumber('replicas', values.replicas, 1),
    redis: values.redis,
    statusTtlMs: settings.statusTtlMs,
    statusFinishedTtlMs: settings.statusFinishedTtlMs,
    followMinMs: settings.follow.minMs,
    followMaxMs: settings.follow.maxMs,
    latencyMs: seconds('latency'),
  };
  const watched = {
    runsMs: seconds('runs'),
    staysMs: seconds('stays', 0),
    changesMs: seconds('changes'),
    followers: toNumber('followers', values.followers, 0),
    dashboards: toNumber('dashboards', values.dashboards, 0),
    everyMs: seconds('every'),
  };
  const limits = {
    connections: settings.upstreamMaxConnections,
    pollers: settings.follow.maxPollers,
    streams: settings.streams.maxStreams,
    callsPerSecond: toNumber('limit', values.limit, 0.001),
  };
  return toText(capacityOf(toNumber('batches', values.batches, 1), fleet, watched, limits));
}

function toNumber(name: string, text: string, least: number): number {
  const number = Number(text);
  if (number >= least) return number;
  throw new Error(`--${name} takes a number from ${least}.`);
}

function toText({ perSecond, beyond, waiting, uses }: Capacity): string {
  const rate = (name: keyof Counts) => `${inFigures(perSecond(name))}/s`;
  const share = (name: keyof Counts, all: keyof Counts) =>
    perSecond(name) === 0 ? '0 %' : inPercent(perSecond(name) / perSecond(all));
  const ways = [
    `${share('cached', 'queries')} cached`,
    `${share('found', 'queries')} from Redis`,
    `${share('joined', 'queries')} by a call under way`,
    `${share('fetched', 'queries')} by a call`,
  ];
  const wait = waiting < Number.POSITIVE_INFINITY ? `${inFigures(waiting)} ms` : 'without end';
  const rows = uses.map(({ what, used, limit, remedy }) => [
    what,
    inFigures(used),
    inFigures(limit),
    inPercent(used / limit),
    remedy,
  ]);
  return `upstream calls ${rate('calls')}, ${share('polls', 'calls')} of them polls
  wait for a connection: ${wait}; beyond the limits: ${inFigures(beyond)}/s
queries        ${rate('queries')}: ${ways.join(', ')}
updates        ${rate('updates')}

${[['a replica, or all:', 'used', 'of', 'share', 'raised by'], ...rows].map(toRow).join('\n')}
`;
}

function toRow([what = '', used = '', limit = '', share = '', remedy = '']: string[]): string {
  return `${what.padEnd(24)}${used.padStart(10)}${limit.padStart(10)}${share.padStart(9)}  ${remedy}`;
}

/** Three figures, and whole numbers from 100. */
function inFigures(figure: number): string {
  if (figure >= 100) return Math.round(figure).toLocaleString('en-GB');
  return figure < 0.01 ? '0' : String(Number(figure.toPrecision(3)));
}

function inPercent(share: number): string {
  return `${inFigures(100 * share)} %`;
}

if (import.meta.main) process.stdout.write(printSimulation(process.argv.slice(2)));
