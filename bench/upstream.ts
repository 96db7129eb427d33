import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { findProgram } from '../scripts/find-program.ts';
import { freePort } from './loopback.ts';
import { poll, start } from './processes.ts';
import { ENVELOPE } from './workloads.ts';

/** The stand-in for the Participant Service: one fixed answer, as fast as can be. */
export type Upstream = Awaited<ReturnType<typeof startUpstream>>;

/**
 * Starts the upstream on a core: nginx where it is installed, else Node. Its files are below
 * `folder`. Rejects when it does not answer.
 */
export async function startUpstream(folder: string, core: number | undefined) {
  const nginx = findProgram('nginx', ['/usr/sbin']);
  const [port, statusPort] = [await freePort(), await freePort()];
  const command =
    nginx === undefined
      ? [process.execPath, fileURLToPath(new URL('upstream-server.ts', import.meta.url))]
      : [nginx, '-p', folder, '-c', writeConfiguration(folder, port, statusPort)];
  if (nginx === undefined) command.push(String(port), String(statusPort));
  const server = start(command, { core });
  const status = `http://127.0.0.1:${statusPort}/`;
  let asked = 0;

  async function countAll(): Promise<number> {
    const { body } = await request(status);
    asked += 1;
    // nginx's stub_status: "accepts handled requests", which include this one.
    const [, requests] = /^ \d+ \d+ (\d+)/m.exec(await body.text()) ?? [];
    return Number(requests);
  }

  await poll(() => countAll().catch(() => undefined), 'An answer of the upstream');
  return {
    kind: nginx === undefined ? 'Node.js' : 'nginx',
    origin: `http://127.0.0.1:${port}`,
    /** Requests that it has answered since it was started, apart from those for this number. */
    calls: async () => (await countAll()) - asked,
    stop: server.stop,
  };
}

function writeConfiguration(folder: string, port: number, statusPort: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  for (const name of temporary) mkdirSync(`${folder}/${name}`, { recursive: true });
  const path = `${folder}/nginx.conf`;
  writeFileSync(
    path,
    `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  default_type application/json;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name};`).join('\n')}
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / { return 200 '${ENVELOPE}'; }
  }
  server {
    listen 127.0.0.1:${statusPort};
    location / { stub_status; }
  }
}
`,
  );
  return path;
}
