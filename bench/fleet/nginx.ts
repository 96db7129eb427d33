import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { findNginx } from '../../scripts/find-nginx.ts';
import { freePort } from '../loopback.ts';
import { poll, type Running, start } from '../processes.ts';
import type { Stage } from '../stage.ts';

/** An nginx that hands requests to the servers in turn, over connections that it keeps, as that of deploy/nginx does. */
export async function startBalancer(
  stage: Stage,
  endpoints: readonly string[],
): Promise<Running & { endpoint: string }> {
  const nginx = findNginx();
  if (nginx === undefined) throw new Error('There is no nginx: see `npm run test:prepare`.');
  const folder = join(stage.folder, 'balancer');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  for (const name of temporary) mkdirSync(join(folder, name), { recursive: true });
  const port = await freePort();
  const servers = endpoints.map((endpoint) => `server ${new URL(endpoint).host} max_fails=0;`);
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name};`).join('\n')}
  upstream fleet {
    ${servers.join('\n    ')}
    keepalive 64;
    keepalive_timeout 60s;
  }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000;
    location / {
      proxy_pass http://fleet;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_next_upstream error timeout non_idempotent;
    }
  }
}
`,
  );
  const command = [nginx, '-p', folder, '-c', 'nginx.conf', '-e', 'stderr'];
  const running = start(command, { core: stage.loadCore });
  const endpoint = `http://127.0.0.1:${port}/graphql`;
  const answers = () => request(endpoint).then(({ body }) => body.dump().then(() => true));
  await poll(() => answers().catch(() => undefined), 'An answer of nginx');
  return { ...running, endpoint };
}
