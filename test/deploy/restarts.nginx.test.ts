import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { expect, test } from 'vitest';
import { type RunningProgram, runProgram } from '../support/child-process.ts';
import { findFreePorts, type RunningNginx, startNginx } from '../support/nginx.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startSteadyLoad } from '../support/steady-load.ts';
import { readUnitEnvironment } from '../support/systemd-unit.ts';
import { CLIENT_SECRET, environmentFor } from '../support/test-gateway.ts';

/** How often an instance is restarted under load; `npm run test:restarts` has more. */
const RESTARTS = Number(process.env['RESTARTS'] ?? 4);

/** Two instances with the settings of `deploy/systemd`, behind nginx with those of `deploy/nginx`. */
interface Deployment extends AsyncDisposable {
  nginx: RunningNginx;
  /** By their place; a new one each time. */
  instance(index: number): RunningProgram;
  /** Starts the instance at this place anew, and resolves when it is ready. */
  start(index: number): Promise<void>;
}

async function deploy(settings: Record<string, string> = {}): Promise<Deployment> {
  await using resources = new AsyncDisposableStack();
  const upstream = resources.use(await startScriptedUpstream());
  const credentials = await mkdtemp(join(tmpdir(), 'credentials-'));
  resources.defer(() => rm(credentials, { recursive: true }));
  await writeFile(join(credentials, 'participant-service'), CLIENT_SECRET);
  const { TOKEN_CLIENT_SECRET: _, ...tenant } = environmentFor(upstream.url);
  const ports = await findFreePorts(2);
  const instances: RunningProgram[] = [];
  resources.defer(async () => {
    for (const program of instances) await program[Symbol.asyncDispose]();
  });

  async function start(index: number): Promise<void> {
    const environment = {
      ...(await readUnitEnvironment(ports[index] ?? 0, credentials)),
      ...tenant,
      AUTH_MODE: 'none',
      ...settings,
    };
    instances[index] = runProgram('bin/participant-gateway.js', environment);
    const ready = () =>
      fetch(`http://127.0.0.1:${ports[index]}/readyz`).then(
        ({ status }) => status,
        () => undefined,
      );
    await expect.poll(ready, { timeout: 30_000 }).toBe(200);
  }
  await Promise.all([start(0), start(1)]);
  const nginx = resources.use(await startNginx(ports));
  const moved = resources.move();

  return {
    nginx,
    instance(index) {
      const program = instances[index];
      if (program === undefined) throw new Error(`there is no instance ${index}`);
      return program;
    },
    start,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

test('instances that are restarted in turn under load over HTTPS cost no request', async () => {
  await using deployment = await deploy({
    SHUTDOWN_DELAY_MS: '200',
    // The upstream is this process, which may be slow where other tests run beside.
    UPSTREAM_TIMEOUT_MS: '60000',
    REQUEST_DEADLINE_MS: '60000',
    LOG_LEVEL: 'warn',
  });
  const { secure, authority } = deployment.nginx;
  const endpoint = new URL('/graphql', secure);
  const load = startSteadyLoad({ endpoint, authority, clients: 8 });

  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const before = load.requests();
    const old = deployment.instance(restart % 2);
    old.process.kill('SIGTERM');
    expect(await old.exited).toBe(0);
    expect(old.output()).not.toContain('requests cut off');
    await deployment.start(restart % 2);
    expect(load.requests()).toBeGreaterThan(before);
  }
  const failures = await load.stop();
  if (process.env['RESTARTS']) {
    process.stdout.write(
      `${load.requests()} requests, ${RESTARTS} restarts, ${failures.length} failures\n`,
    );
  }
  expect(failures).toEqual([]);
}, 600_000);

test('nginx ends TLS, lets GraphQL alone through, and believes no address that a client writes', async () => {
  await using deployment = await deploy({ RATE_LIMIT_PER_SECOND: '1', RATE_LIMIT_BURST: '0' });
  const { secure, plain, authority } = deployment.nginx;
  await using resources = new AsyncDisposableStack();
  const dispatcher = resources.adopt(new Agent({ connect: { ca: authority } }), (agent) =>
    agent.close(),
  );

  const redirect = await request(new URL('/graphql?query=x', plain));
  expect([redirect.statusCode, redirect.headers['location']]).toEqual([
    308,
    `https://${plain.hostname}/graphql?query=x`,
  ]);
  await redirect.body.dump();
  for (const path of ['/', '/livez', '/readyz', '/graphql/assets/x.js']) {
    const { statusCode, body } = await request(new URL(path, secure), { dispatcher });
    expect([path, statusCode]).toEqual([path, 404]);
    await body.dump();
  }

  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const { statusCode, headers, body } = await request(new URL('/graphql', secure), {
        dispatcher,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-forwarded-for': `192.0.2.${index}`,
          forwarded: `for=192.0.2.${index}`,
        },
        body: JSON.stringify({ query: '{ __typename }' }),
      });
      await body.dump();
      return [statusCode, headers['strict-transport-security']];
    }),
  );
  const codes = answers.map(([statusCode]) => statusCode);
  expect(codes).toContain(200);
  // Each of two instances lets a few through.
  expect(codes.filter((code) => code === 429).length).toBeGreaterThan(10);
  expect(new Set(answers.map(([, transport]) => transport))).toEqual(new Set(['max-age=31536000']));
});
