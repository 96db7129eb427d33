import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { findNginx } from '../../scripts/find-nginx.ts';
import { createCertificateAuthority } from './certificates.ts';
import { watchProgram } from './child-process.ts';

const CONFIGURATION = new URL('../../deploy/nginx/participant-gateway.conf', import.meta.url);
const DAY_MS = 86_400_000;

/** A running nginx with the configuration of `deploy/nginx`, but for ports, addresses and the certificate. */
export interface RunningNginx extends AsyncDisposable {
  /** Where it listens with TLS. */
  secure: URL;
  /** Where it listens without. */
  plain: URL;
  /** The authority of its certificate, PEM. */
  authority: string;
  /** What it wrote to its error log. */
  output(): string;
}

/** Ports that nobody listens on. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** Starts it in front of the instances on these ports. */
export async function startNginx(instances: readonly number[]): Promise<RunningNginx> {
  const folder = await mkdtemp(join(tmpdir(), 'nginx-'));
  const [securePort = 0, plainPort = 0] = await findFreePorts(2);
  const validity = { from: new Date(Date.now() - DAY_MS), until: new Date(Date.now() + DAY_MS) };
  const authority = createCertificateAuthority(validity);
  const { cert, key } = authority.issue('127.0.0.1', validity);
  await mkdir(join(folder, 'logs'));
  await writeFile(join(folder, 'server.crt'), cert);
  await writeFile(join(folder, 'server.key'), key);
  await writeFile(
    join(folder, 'gateway.conf'),
    replaceAll(await readFile(CONFIGURATION, 'utf8'), [
      [/^ *listen \[::\]:.*\n/gm, ''],
      ['listen 443 ', `listen 127.0.0.1:${securePort} `],
      ['listen 80;', `listen 127.0.0.1:${plainPort};`],
      ['127.0.0.1:4001 ', `127.0.0.1:${instances[0]} `],
      ['127.0.0.1:4002 ', `127.0.0.1:${instances[1]} `],
      ['/etc/nginx/tls/batches.example.com.crt', join(folder, 'server.crt')],
      ['/etc/nginx/tls/batches.example.com.key', join(folder, 'server.key')],
    ]),
  );
  await writeFile(join(folder, 'nginx.conf'), mainConfiguration());
  const child = spawn(findNginx() ?? 'nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const program = watchProgram(child);
  await expect.poll(() => accepts(plainPort), { message: program.output() }).toBe(true);

  return {
    secure: new URL(`https://127.0.0.1:${securePort}`),
    plain: new URL(`http://127.0.0.1:${plainPort}`),
    authority: authority.certificate,
    output: program.output,
    async [Symbol.asyncDispose]() {
      // Its workers end with it on this signal; killed, it would leave them behind.
      child.kill('SIGTERM');
      await program.exited;
      await rm(folder, { recursive: true });
    },
  };
}

/** What Debian's nginx.conf has around the files of conf.d, and where a process for a test may write. */
function mainConfiguration(): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    daemon off;
    worker_processes 2;
    pid nginx.pid;
    error_log stderr warn;
    events { worker_connections 768; }
    http {
      access_log off;
      ${temporary.map((name) => `${name}_temp_path ${name};`).join('\n      ')}
      include gateway.conf;
    }
  `;
}

/** Each has to be there: or it would be another configuration that is tested. */
function replaceAll(text: string, replacements: [from: string | RegExp, to: string][]): string {
  return replacements.reduce((changed, [from, to]) => {
    const next = changed.replaceAll(from, to);
    if (next === changed) throw new Error(`${CONFIGURATION.pathname} has no ${from}`);
    return next;
  }, text);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });
}
