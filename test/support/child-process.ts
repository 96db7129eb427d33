import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

/** A program, run as its users run it. */
export interface RunningProgram extends AsyncDisposable {
  process: ChildProcess;
  output(): string;
  /** Resolves with the first match in the output. Rejects when the program ends without one. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves to the exit code; null when a signal ended it. */
  exited: Promise<number | null>;
}

export interface ProgramOptions {
  /** By default one that is not the project's, where a developer may have a `.env`. */
  cwd?: string;
  args?: string[];
  /** Of Node itself. */
  nodeArgs?: string[];
  /** Loaded before the program: a path of the project. It hears what is sent to `process`. */
  preload?: string;
  /** How many files it may have open, connections included. */
  maxFiles?: number;
  /** How long a file may be that it writes, in blocks of 512 bytes. */
  maxFileBlocks?: number;
  /** A file descriptor that it writes to in the place of what `output` returns. */
  stdout?: number;
}

/** Runs a program of the project with the variables given and no others. */
export function runProgram(
  path: string,
  environment: Record<string, string>,
  options: ProgramOptions = {},
): RunningProgram {
  const { cwd = tmpdir(), args = [], nodeArgs = [], preload, stdout = 'pipe' } = options;
  const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));
  const node = [
    process.execPath,
    ...nodeArgs,
    ...(preload === undefined ? [] : ['--import', pathOf(preload)]),
    pathOf(path),
    ...args,
  ];
  const limits = [
    ...(options.maxFiles === undefined ? [] : [`ulimit -n ${options.maxFiles}`]),
    ...(options.maxFileBlocks === undefined ? [] : [`ulimit -f ${options.maxFileBlocks}`]),
  ];
  const [command = '', ...rest] =
    limits.length === 0 ? node : ['sh', '-c', [...limits, 'exec "$@"'].join(' && '), 'sh', ...node];
  const child = spawn(command, rest, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', stdout, 'pipe', ...(preload === undefined ? [] : ['ipc' as const])],
  });
  return watchProgram(child);
}

/** A command in whatever folder, as whatever user, with the variables given and no others. */
export function runCommand(
  [command = '', ...args]: readonly string[],
  options: Required<Pick<SpawnOptions, 'cwd' | 'env'>> & Pick<SpawnOptions, 'uid' | 'gid'>,
): RunningProgram {
  // In a group of its own: what it starts ends with it.
  return watchProgram(
    spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true }),
    (child) => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    },
  );
}

/** Any program, from when it was spawned. It is killed on disposal, unless it has ended. */
export function watchProgram(
  child: ChildProcess,
  kill: (child: ChildProcess) => void = () => child.kill('SIGKILL'),
): RunningProgram {
  let output = '';
  const changed = new Set<() => void>();
  const append = (chunk: Buffer) => {
    output += chunk.toString();
    for (const check of changed) check();
  };
  child.stdout?.on('data', append);
  child.stderr?.on('data', append);
  // Not at its exit, when the last of its output may not have come yet.
  const exited = once(child, 'close').then(([code]: unknown[]) =>
    typeof code === 'number' ? code : null,
  );

  return {
    process: child,
    output: () => output,
    exited,
    printed: (pattern) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const match = pattern.exec(output);
          if (match === null) return;
          changed.delete(check);
          resolve(match);
        };
        changed.add(check);
        check();
        void exited.then(() => reject(new Error(`the program ended; it printed: ${output}`)));
      }),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) kill(child);
      await exited;
    },
  };
}
