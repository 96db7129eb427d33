/**
 * Runs the whole example: participant-gateway on its sandbox, the subgraph of uploads, and a gateway
 * over both on PORT (4100; 0 picks a free one). ROUTER is hive (default) or apollo.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

const router = process.env['ROUTER'] || 'hive';
if (router !== 'hive' && router !== 'apollo') fail('ROUTER takes hive or apollo.');
const port = Number(process.env['PORT'] || 4100);
if (!Number.isInteger(port) || port < 0 || port > 65_535) fail('PORT takes 0 to 65535.');

/** What the gateway over both shows participant-gateway, which is for it alone. */
const secret = process.env['FEDERATION_SECRET'] || randomBytes(32).toString('base64url');

const project = new URL('../../', import.meta.url);
const child = spawn(
  process.execPath,
  [fileURLToPath(new URL('bin/participant-gateway.js', project))],
  {
    env: {
      ...process.env,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_FORMAT: 'json',
      LOG_LEVEL: 'info',
      CALLERS: 'router',
      FEDERATION_SECRET: secret,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
process.once('exit', () => child.kill());
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0));
child.once('exit', () => fail('participant-gateway has ended.'));

/** Resolves to the endpoint that participant-gateway says it listens on. */
const listening = new Promise<string>((resolve) => {
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [, endpoint] = /"graphql":"(http[^"]+)"/.exec(line) ?? [];
    if (endpoint) resolve(endpoint);
  });
});
// Only now, while participant-gateway starts, and only one of the gateways: they are large.
const [{ composeSupergraph }, { listen }, { createUploadsServer, UPLOADS_SDL }, start] =
  await Promise.all([
    import('./compose.ts'),
    import('./listen.ts'),
    import('./uploads/server.ts'),
    router === 'hive'
      ? import('./hive-gateway.ts').then(({ startHiveGateway }) => startHiveGateway)
      : import('./apollo-gateway.ts').then(({ startApolloGateway }) => startApolloGateway),
  ]);

const participants = await listening;
const uploads = `${await listen(createUploadsServer(), 0)}/graphql`;
const supergraph = composeSupergraph([
  {
    name: 'participants',
    url: participants,
    sdl: readFileSync(new URL('schema.graphql', project), 'utf8'),
  },
  { name: 'uploads', url: uploads, sdl: UPLOADS_SDL },
]);
const endpoint = await start(supergraph, port, secret).catch((error: unknown) =>
  fail(`The supergraph cannot be served on PORT ${port}: ${String(error)}`),
);

process.stdout.write(`
  Supergraph    ${endpoint}${router === 'hive' ? '  (GraphiQL in a browser)' : ''}
  participants  ${participants}
  uploads       ${uploads}

  curl -s ${endpoint} -H 'content-type: application/json' -d '{"query":"{ uploads { fileName batchStatus { status } } }"}'
`);
