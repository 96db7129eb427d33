import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../support/child-process.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { environmentFor, STATUS_QUERY, startTestGateway } from '../support/test-gateway.ts';

const GATEWAY = 'bin/participant-gateway.js';

function definedOnly(environment: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, text]) => [name, String(text)]),
  );
}

test.concurrent('61: npm start prints the address of GraphiQL, and a curl line that works when pasted; SIGINT ends it', async () => {
  await using program = runProgram(GATEWAY, { PORT: '0' });
  const [, graphiql = ''] = await program.printed(/GraphiQL +(http:\S+)/);
  const [, curl = ''] = await program.printed(/curl +(curl .+)\n/);

  const page = await fetch(graphiql, { headers: { accept: 'text/html' } });
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  const [, address = '', header = '', body = ''] =
    /^curl -s (\S+) -H '([^']+)' -d '([^']+)'$/.exec(curl) ?? [];
  const [name = '', value = ''] = header.split(': ');
  const answer = await fetch(address, { method: 'POST', headers: { [name]: value }, body });
  expect(await answer.json()).toEqual({
    data: { batchStatus: { status: 'PARTIAL_SUCCESS', progress: 1 } },
  });

  program.process.kill('SIGINT');
  expect(await program.exited).toBe(0);
});

test.concurrent('a gateway can be pointed at the sandbox that runs alone by what that prints; no request ends that', async () => {
  await using sandbox = runProgram(GATEWAY, { PORT: '0' }, { args: ['sandbox'] });
  const [, settings = ''] = await sandbox.printed(/((?:[A-Z_]+=.+\n){4})/);
  const environment = Object.fromEntries(
    settings
      .trim()
      .split('\n')
      .map((line) => line.split('=')),
  );
  expect(Object.keys(environment)).toEqual([
    'PARTICIPANT_SERVICE_URL',
    'PARTICIPANT_SERVICE_TENANT_ID',
    'TOKEN_CLIENT_ID',
    'TOKEN_CLIENT_SECRET',
  ]);
  await using gateway = await startTestGateway({ environment });
  expect(
    await gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId: 'batch-finished' }),
  ).toEqual({
    status: 200,
    body: { data: { batchStatus: { id: 'vehicles/batch-finished', status: 'SUCCESS' } } },
  });

  const url = new URL(environment['PARTICIPANT_SERVICE_URL']);
  const { hostname, port } = url;
  await new Promise<void>((resolve) => {
    request({ hostname, port, path: '//' }, (response) => response.resume().on('end', resolve))
      .on('error', () => resolve())
      .end();
  });
  expect((await fetch(url)).status).toBe(404);
  sandbox.process.kill('SIGTERM');
  expect(await sandbox.exited).toBe(0);
});

test.concurrent('61: SIGTERM under load: not ready, what is under way is answered, later requests, too, exit 0', async () => {
  await using upstream = await startScriptedUpstream();
  const { promise, resolve } = Promise.withResolvers<void>();
  upstream.onStatus = () => promise.then(() => ({ body: { data: { status: 'DONE' } } }));
  await using program = runProgram(GATEWAY, {
    PORT: '0',
    SHUTDOWN_DELAY_MS: '2500',
    // However busy the machine is, the upstream is not too slow.
    UPSTREAM_TIMEOUT_MS: '60000',
    REQUEST_DEADLINE_MS: '60000',
    ...definedOnly(environmentFor(upstream.url)),
  });
  const [, address = ''] = await program.printed(/"graphql":"([^"]+)"/);
  const ask = (batchId: string) =>
    fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        query: STATUS_QUERY,
        variables: { participantType: 'vehicles', batchId },
      }),
    });

  const underWay = Array.from({ length: 20 }, (_, index) => ask(`b-${index}`));
  await upstream.statusCallCount(20);
  program.process.kill('SIGTERM');
  await program.printed(/shutting down/);

  const readiness = await fetch(new URL('/readyz', address));
  expect([readiness.status, await readiness.json()]).toEqual([
    503,
    {
      status: 'not ready',
      // On a machine that is busy with other tests, there may be more.
      notReady: expect.objectContaining({ server: 'shutting down' }),
      degraded: {},
    },
  ]);
  expect(readiness.headers.get('connection')).toBe('close');
  const late = ask('b-late');
  await upstream.statusCallCount(21);
  resolve();

  const answers = await Promise.all([...underWay, late]);
  const bodies = await Promise.all(answers.map((answer) => answer.json()));
  const ids = [...underWay.map((_, index) => `b-${index}`), 'b-late'];
  expect(bodies).toEqual(
    ids.map((id) => ({ data: { batchStatus: { id: `vehicles/${id}`, status: 'DONE' } } })),
  );
  expect(await program.exited).toBe(0);
});

test.concurrent('61: a kept-alive connection that is idle does not hold up the end', async () => {
  const environment = { PORT: '0', SHUTDOWN_DELAY_MS: '0', KEEP_ALIVE_MS: '60000' };
  await using program = runProgram(GATEWAY, environment);
  const [, address = ''] = await program.printed(/"graphql":"([^"]+)"/);
  const agent = new Agent({ keepAlive: true });
  await new Promise<void>((resolve, reject) => {
    const probe = request(new URL('/livez', address), { agent }, (response) => {
      response.resume().on('end', resolve);
    });
    probe.on('error', reject).end();
  });
  program.process.kill('SIGTERM');
  expect(await program.exited).toBe(0);
  expect(program.output()).not.toContain('requests cut off');
  agent.destroy();
});

test.concurrent('64: with faulty settings the process says so and exits with 1', async () => {
  await using program = runProgram(GATEWAY, { PORT: 'http', LOG_LEVEL: 'loud' });
  expect(await program.exited).toBe(1);
  expect(program.output()).toBe(
    [
      'The settings are faulty:',
      '  PORT is "http"; it accepts a whole number from 0 to 65535',
      '  LOG_LEVEL is "loud"; it accepts trace, debug, info, warn, error, fatal or silent',
      '',
    ].join('\n'),
  );
});

/** A folder to start the gateway in, with a `.env`. */
async function folderWith(env: string | Buffer) {
  const path = await mkdtemp(join(tmpdir(), 'participant-gateway-'));
  await writeFile(join(path, '.env'), env);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test.concurrent('76: the first line of a .env counts behind a byte order mark', async () => {
  await using folder = await folderWith('\ufeffPARTICIPANT_TYPES=drivers\r\nPORT=0\r\n');
  await using program = runProgram(GATEWAY, {}, { cwd: folder.path });
  const [, address = ''] = await program.printed(/"graphql":"([^"]+)"/);
  const answer = await fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      query: STATUS_QUERY,
      variables: { participantType: 'vehicles' },
    }),
  });
  expect(await answer.json()).toMatchObject({
    data: { batchStatus: null },
    errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
  });
});

test.concurrent('76: with a .env in UTF-16 neither the gateway nor the doctor goes on without it', async () => {
  await using folder = await folderWith(Buffer.from('\ufeffPORT=0\r\n', 'utf16le'));
  const reason = 'The file .env is in UTF-16: save it as UTF-8.';
  await using program = runProgram(GATEWAY, {}, { cwd: folder.path });
  await using doctor = runProgram(GATEWAY, {}, { cwd: folder.path, args: ['doctor', '--json'] });
  expect([await program.exited, program.output()]).toEqual([1, `${reason}\n`]);
  expect(await doctor.exited).toBe(1);
  expect(JSON.parse(doctor.output())).toMatchObject({
    steps: [{ name: 'settings', verdict: 'failed', message: reason }, {}, {}, {}, {}, {}],
  });
});

test.concurrent('90: with NODE_ENV=production, also from a .env, the sandbox needs SANDBOX=on', async () => {
  await using folder = await folderWith('NODE_ENV=production\nPORT=0\n');
  await using refused = runProgram(GATEWAY, {}, { cwd: folder.path });
  await using told = runProgram(GATEWAY, { SANDBOX: 'on' }, { cwd: folder.path });
  expect(await refused.exited).toBe(1);
  expect(refused.output()).toContain(
    'PARTICIPANT_SERVICE_URL is missing, although NODE_ENV is production (SANDBOX=on answers with made-up batches)',
  );
  await told.printed(/"msg":"listening"/);
});

test.concurrent('90: a variable that looks like a setting is one warning at the start, without what it holds', async () => {
  await using program = runProgram(GATEWAY, {
    PORT: '0',
    AUTH_REALM: 'canary',
    PARTICIPANT_SERVICE_PORT: 'tcp://192.0.2.1:443',
  });
  await program.printed(/"msg":"listening"/);
  const warnings = program
    .output()
    .split('\n')
    .filter((line) => line.includes('"warn"'));
  expect(warnings.map((line) => JSON.parse(line))).toEqual([
    {
      level: 'warn',
      time: expect.any(String),
      variables: ['AUTH_REALM'],
      msg: 'variables look like settings, and are none',
    },
  ]);
  expect(program.output()).not.toContain('canary');
});

test.concurrent('on a Node that is too old, a line says which one is needed', async () => {
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8'));
  const [, oldest = ''] = /^>=(\d+\.\d+)$/.exec(engines.node) ?? [];
  const before = `${oldest.split('.')[0]}.${Number(oldest.split('.')[1]) - 1}.9`;
  for (const version of ['20.20.2', before, '23.5.0']) {
    const versions = encodeURIComponent(JSON.stringify({ ...process.versions, node: version }));
    const pretend = `data:text/javascript,Object.defineProperty(process, 'versions', { value: ${versions} })`;
    await using program = runProgram(GATEWAY, {}, { nodeArgs: ['--import', pretend] });
    expect(await program.exited).toBe(1);
    expect(program.output()).toBe(
      `participant-gateway needs Node.js ${oldest} or newer; this is ${version}.\n`,
    );
  }
});

test.concurrent('neither fetch nor Yoga is loaded before it listens: a quarter of a start', async () => {
  const preload = `
    const { Server } = process.getBuiltinModule('net');
    const { _cache: files } = process.getBuiltinModule('module');
    const { listen } = Server.prototype;
    Server.prototype.listen = function (...args) {
      const loaded = [...process.moduleLoadList, ...Object.keys(files)];
      const late = ['internal/deps/undici/undici', 'node_modules/graphql-yoga/'];
      const early = late.filter((part) => loaded.some((name) => name.includes(part)));
      process._rawDebug(\`listens with \${JSON.stringify(early)} of \${loaded.length > 100}\`);
      return listen.apply(this, args);
    };`;
  const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
  await using upstream = await startScriptedUpstream();
  const environment = { PORT: '0', ...definedOnly(environmentFor(upstream.url)) };
  await using program = runProgram(GATEWAY, environment, { nodeArgs });
  const [, early] = await program.printed(/listens with (\S+) of true/);
  expect(early).toBe('[]');
});

test.concurrent('a port that is taken is said in one line, with exit code 1', async () => {
  await using upstream = await startScriptedUpstream();
  await using program = runProgram(GATEWAY, { PORT: upstream.url.port });
  expect(await program.exited).toBe(1);
  expect(program.output()).toBe(
    `Cannot listen on HOST 127.0.0.1, PORT ${upstream.url.port} (EADDRINUSE): take another.\n`,
  );
});

test.concurrent('LOG_FORMAT=pretty writes lines for people', async () => {
  await using program = runProgram(GATEWAY, { PORT: '0', LOG_FORMAT: 'pretty' });
  const [line] = await program.printed(/.*listening.*/);
  expect(line).toContain('INFO');
  expect(line).not.toMatch(/^\{/);
});
