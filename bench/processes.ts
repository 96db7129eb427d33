import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '../scripts/find-program.ts';

const children = new Set<ChildProcess>();

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(1));
}

export interface StartOptions {
  /** The core that the program is bound to, where `taskset` is installed; undefined: any. */
  core: number | undefined;
  /** Exactly these variables. */
  env?: Record<string, string>;
  cwd?: string;
  /** A file that gets what it writes to standard output; undefined: nobody does. */
  output?: string;
  /** Whether it can be talked to with `send` and `message`. */
  ipc?: boolean;
}

/** A program that runs until it is stopped, or this process ends. */
export interface Running {
  child: ChildProcess;
  pid: number;
  /** Ends it without asking, and resolves when it has ended. */
  stop(): Promise<void>;
}

/** Whether a program has ended, for whatever reason. */
export function hasEnded({ child }: Running): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The command line that binds a program to a core. */
export function pinned(core: number | undefined, command: string[]): string[] {
  const taskset = core === undefined ? undefined : findProgram('taskset');
  return taskset === undefined ? command : [taskset, '-c', String(core), ...command];
}

/** Starts a program. Throws when it cannot be run. */
export function start(command: string[], options: StartOptions): Running {
  const [file = '', ...args] = pinned(options.core, command);
  const output = options.output === undefined ? undefined : openSync(options.output, 'a');
  const child = spawn(file, args, {
    stdio: ['ignore', output ?? 'ignore', 'inherit', ...(options.ipc ? (['ipc'] as const) : [])],
    ...(options.env && { env: options.env }),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  if (output !== undefined) closeSync(output);
  if (child.pid === undefined) throw new Error(`${file} cannot be run.`);
  const { pid } = child;
  children.add(child);
  child.once('exit', () => children.delete(child));
  const running: Running = {
    child,
    pid,
    async stop() {
      if (hasEnded(running)) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
  return running;
}

/** Runs a program to its end; resolves to what it wrote to standard output. Rejects when it fails. */
export async function run(command: string[], core: number | undefined): Promise<string> {
  const [file = '', ...args] = pinned(core, command);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const ended = once(child, 'exit').finally(() => children.delete(child));
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk);
  await ended;
  const text = Buffer.concat(chunks).toString();
  if (child.exitCode !== 0) throw new Error(`${file} ended with ${child.exitCode}.\n${text}`);
  return text;
}

/** Asks every few milliseconds until there is an answer. Rejects when there is none in time. */
export async function poll<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  what: string,
  limitMs = 15_000,
): Promise<T> {
  for (const end = performance.now() + limitMs; performance.now() < end; await sleep(5)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
  }
  throw new Error(`${what} did not happen within ${limitMs} ms.`);
}
