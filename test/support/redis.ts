import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import { expect } from 'vitest';
import { findRedis, REDIS_LIBRARIES } from '../../scripts/find-redis.ts';
import type { ServerCertificate } from './certificates.ts';
import { type RunningProgram, watchProgram } from './child-process.ts';
import { findFreePorts } from './nginx.ts';

/** A redis-server of a test's own, on a loopback port, with nothing on disk. */
export interface RunningRedis extends AsyncDisposable {
  url: URL;
  port: number;
  /** Sends a command on a connection of its own. */
  command(...args: string[]): Promise<unknown>;
  /** The keys that there are, sorted. */
  keys(): Promise<string[]>;
  /** Kills it. Resolves when it is gone. */
  kill(): Promise<void>;
  /** After it was killed, on the same port. Resolves when it answers. */
  start(): Promise<void>;
  /** SIGSTOP: its connections stay open, and it says nothing. */
  hang(): void;
  /** SIGCONT. */
  resume(): void;
}

const PASSWORD = 'canary-redis-password';

interface RedisOptions {
  /** False: it is not there until it is started. */
  start?: boolean;
  /** With it, it speaks TLS alone. */
  tls?: ServerCertificate;
}

export async function startRedis({ start = true, tls }: RedisOptions = {}): Promise<RunningRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'redis-'));
  const [port = 0] = await findFreePorts(1);
  const url = new URL(`${tls ? 'rediss' : 'redis'}://:${PASSWORD}@127.0.0.1:${port}`);
  const ports = tls ? ['--port', '0', '--tls-port', `${port}`] : ['--port', `${port}`];
  if (tls !== undefined) {
    const [cert, key] = [join(folder, 'redis.crt'), join(folder, 'redis.key')];
    await writeFile(cert, tls.cert);
    await writeFile(key, tls.key);
    ports.push('--tls-cert-file', cert, '--tls-key-file', key, '--tls-auth-clients', 'no');
  }
  let program: RunningProgram | undefined;

  async function command(...words: string[]): Promise<unknown> {
    const noRetry = { reconnectStrategy: false } as const;
    const socket = tls ? { ...noRetry, tls: true as const, rejectUnauthorized: false } : noRetry;
    const client = createClient({ url: url.href, socket });
    client.on('error', () => {});
    await client.connect();
    try {
      return await client.sendCommand(words);
    } finally {
      client.destroy();
    }
  }

  const redis: RunningRedis = {
    url,
    port,
    command,
    async keys() {
      const keys = await command('KEYS', '*');
      return Array.isArray(keys) ? keys.map(String).toSorted() : [];
    },
    async kill() {
      program?.process.kill('SIGKILL');
      await program?.exited;
    },
    async start() {
      const settings = ['--bind', '127.0.0.1', ...ports, '--requirepass', PASSWORD];
      const child = spawn(
        findRedis() ?? 'redis-server',
        [...settings, '--dir', folder, '--save', '', '--appendonly', 'no'],
        {
          env: { PATH: process.env['PATH'] ?? '', LD_LIBRARY_PATH: REDIS_LIBRARIES },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      program = watchProgram(child);
      const answers = () => command('PING').catch(() => program?.output());
      await expect.poll(answers).toBe('PONG');
    },
    hang: () => void program?.process.kill('SIGSTOP'),
    resume: () => void program?.process.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await program?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
  if (start) await redis.start();
  return redis;
}
