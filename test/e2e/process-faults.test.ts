import { once } from 'node:events';
import { Agent, type ClientRequest, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { monitorProcess } from '../../src/server/process-monitor.ts';
import { type RunningProgram, runProgram } from '../support/child-process.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { environmentFor, STATUS_QUERY } from '../support/test-gateway.ts';
import type { Trouble } from '../support/trouble.ts';

interface RunningGateway extends AsyncDisposable {
  program: RunningProgram;
  port: number;
  make(trouble: Trouble): void;
  /** `/readyz`, over the one connection that is kept. */
  readiness(): Promise<{ status: number | undefined; body: unknown }>;
  /** Sends a query over it. */
  query(query: string): Promise<{ status: number | undefined; body: unknown }>;
  log(): { level: string; msg: string; err?: { message: string }; blockedMs?: number }[];
}

/** The gateway as it is run, on its sandbox or the upstream that is given. */
async function startGateway(
  environment: Record<string, unknown> = {},
  maxFiles?: number,
): Promise<RunningGateway> {
  const variables = Object.entries({ PORT: '0', SHUTDOWN_DELAY_MS: '100', ...environment });
  const program = runProgram(
    'bin/participant-gateway.js',
    Object.fromEntries(variables.map(([name, value]) => [name, String(value)])),
    { preload: 'test/support/trouble.ts', ...(maxFiles === undefined ? {} : { maxFiles }) },
  );
  const [, url = ''] = await program.printed(/"graphql":"([^"]+)"/);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    program,
    port: Number(new URL(url).port),
    make: (trouble) => void program.process.send(trouble),
    readiness: () => answerOf(request(new URL('/readyz', url), { agent }).end()),
    query: (query) => {
      const headers = { 'content-type': 'application/json' };
      const sending = request(url, { agent, method: 'POST', headers });
      return answerOf(sending.end(JSON.stringify({ query })));
    },
    log: () =>
      program
        .output()
        .split('\n')
        .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : [])),
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await program[Symbol.asyncDispose]();
    },
  };
}

async function answerOf(sent: ClientRequest) {
  const [response] = await once(sent, 'response');
  return { status: response.statusCode, body: JSON.parse(await text(response)) };
}

function ask(port: number, batchId: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      query: STATUS_QUERY,
      variables: { participantType: 'vehicles', batchId },
    }),
  });
}

const READY = { status: 200, body: { status: 'ready', notReady: {}, degraded: {} } };

function notReady(problems: object) {
  return { status: 503, body: { status: 'not ready', notReady: problems, degraded: {} } };
}

for (const fault of ['uncaught exception', 'unhandled rejection'] as const) {
  test.concurrent(`63: an ${fault} is logged, readiness fails, what is under way is answered, exit 1`, async ({
    expect,
  }) => {
    await using upstream = await startScriptedUpstream();
    const held = Promise.withResolvers<void>();
    upstream.onStatus = () => held.promise.then(() => ({ body: { data: { status: 'DONE' } } }));
    await using gateway = await startGateway({
      ...environmentFor(upstream.url),
      SHUTDOWN_DELAY_MS: '2500',
    });
    const underWay = Array.from({ length: 5 }, (_, index) => ask(gateway.port, `b-${index}`));
    await upstream.statusCallCount(5);
    gateway.make(fault);
    await gateway.program.printed(/shutting down/);
    // A machine that stalls blocks the event loop, too, which is told beside it.
    expect(await gateway.readiness()).toMatchObject(notReady({ server: 'shutting down' }));
    held.resolve();
    const answers = await Promise.all(underWay);
    expect(await Promise.all(answers.map((answer) => answer.json()))).toEqual(
      answers.map((_, index) => ({
        data: { batchStatus: { id: `vehicles/b-${index}`, status: 'DONE' } },
      })),
    );
    expect(await gateway.program.exited).toBe(1);
    expect(gateway.log().filter(({ level }) => level === 'fatal')).toEqual([
      expect.objectContaining({
        msg: `${fault}: shutting down`,
        err: expect.objectContaining({ message: 'made by the test' }),
      }),
    ]);
  });
}

test.concurrent('63: faults without end are logged ten times, and end the process all the same', async ({
  expect,
}) => {
  await using gateway = await startGateway();
  gateway.make('unhandled rejections without end');
  expect(await gateway.program.exited).toBe(1);
  expect(gateway.log().filter(({ level }) => level === 'fatal')).toHaveLength(10);
});

test.concurrent('63: an event loop that was blocked is logged, and readiness fails', async ({
  expect,
}) => {
  await using gateway = await startGateway();
  await expect.poll(() => gateway.readiness()).toEqual(READY);
  gateway.make('blocked event loop');
  await gateway.program.printed(/the event loop was blocked/);
  const line = gateway.log().find(({ msg }) => msg.startsWith('the event loop was blocked'));
  expect(line).toMatchObject({ level: 'error', blockedMs: expect.any(Number) });
  expect(line?.blockedMs).toBeGreaterThanOrEqual(750);
  expect(await gateway.readiness()).toEqual(
    notReady({ eventLoop: `was blocked for ${line?.blockedMs} ms just now` }),
  );
});

test.concurrent('63: without file descriptors (EMFILE), that is logged, readiness fails, no circuit opens, and with them all is well', async ({
  expect,
}) => {
  await using gateway = await startGateway({}, MAX_FILES);
  await expect.poll(() => gateway.readiness()).toEqual(READY);
  using taken = takeDescriptors(gateway);
  await gateway.program.printed(NONE_IS_LEFT);
  // Polled: on a machine that is busy with tests, the event loop may have been blocked a moment ago, too.
  await expect
    .poll(() => gateway.readiness())
    .toEqual(notReady({ fileDescriptors: 'none is left for connections' }));

  // Calls that find none are not the upstream's faults.
  const fields = Array.from(
    { length: 20 },
    (_, index) =>
      `b${index}: batchStatus(participantType: "vehicles", batchId: "b-${index}") { id }`,
  );
  const { status, body } = await gateway.query(`{ ${fields.join(' ')} }`);
  expect(status).toBe(200);
  expect(JSON.stringify(body)).toContain(
    'The gateway cannot open a connection to the Participant Service.',
  );
  expect(gateway.program.output()).not.toContain('circuit open');

  taken[Symbol.dispose]();
  await gateway.program.printed(/file descriptors are left again/);
  await expect.poll(() => gateway.readiness()).toEqual(READY);
  const answer = await ask(gateway.port, 'batch-finished');
  expect(await answer.json()).toEqual({
    data: { batchStatus: { id: 'vehicles/batch-finished', status: 'SUCCESS' } },
  });
});

test.concurrent('63: SIGTERM ends a gateway without file descriptors as it ends any other', async ({
  expect,
}) => {
  await using gateway = await startGateway({}, MAX_FILES);
  using _ = takeDescriptors(gateway);
  await gateway.program.printed(NONE_IS_LEFT);
  gateway.program.process.kill('SIGTERM');
  expect(await gateway.program.exited).toBe(0);
});

const MAX_FILES = 64;
const NONE_IS_LEFT = /no file descriptor is left/;

/**
 * Takes all the file descriptors of a gateway, by connections that send nothing, and those that it
 * releases meanwhile, until this is disposed of.
 */
function takeDescriptors({ port }: RunningGateway): Disposable {
  const sockets: Socket[] = [];
  const take = () => {
    // Those that are too many are closed.
    sockets.push(connect(port, '127.0.0.1').on('error', () => {}));
  };
  for (let count = 0; count < MAX_FILES; count += 1) take();
  const timer = setInterval(take, 10);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('63: readiness remembers a blocked event loop for five seconds, and no timer that is a little late', () => {
  const clock = new TestClock();
  const monitor = monitorProcess({ clock, telemetry: {}, openFile: async () => {} });
  const { eventLoop } = monitor.checks;
  clock.advance(10_000);
  monitor.begin();
  clock.advance(999);
  expect(eventLoop.missing?.()).toBe(undefined);
  clock.advance(1_000);
  expect(eventLoop.missing?.()).toBe('was blocked for 750 ms just now');
  for (let tick = 0; tick < 19; tick += 1) clock.advance(250);
  expect(eventLoop.missing?.()).toBe('was blocked for 750 ms just now');
  clock.advance(250);
  expect(eventLoop.missing?.()).toBe(undefined);
});
