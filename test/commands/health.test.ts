import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { expect, test } from 'vitest';
import { runHealth } from '../../src/commands/health.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { runProgram } from '../support/child-process.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway } from '../support/test-gateway.ts';

/** What `health` answers to who runs it, for a gateway with these settings. */
async function health(
  settings: { host: string; port: number },
  args: string[] = [],
  clock: Clock = systemClock,
) {
  let output = '';
  let errors = '';
  const exitCode = await runHealth({
    args,
    readSettings: () => settings,
    clock,
    write: (text) => {
      output += text;
    },
    writeError: (text) => {
      errors += text;
    },
  });
  return { exitCode, output, errors };
}

async function startServer(host: string, listener: RequestListener) {
  const server = createServer(listener).listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

test.each(['127.0.0.1', 'localhost', '0.0.0.0', '::1', '::'])(
  'health asks a gateway with HOST=%s',
  async (host) => {
    await using server = await startServer(host, ({ url }, response) => response.end(`${url}\n`));
    expect(await health({ host, port: server.port })).toEqual({
      exitCode: 0,
      output: '/livez\n',
      errors: '',
    });
  },
);

test('health tells whether the gateway lives, with --ready whether it can serve', async () => {
  await using gateway = await startTestGateway();
  const listens = { host: '127.0.0.1', port: Number(gateway.url.port) };
  expect(await health(listens)).toEqual({
    exitCode: 0,
    output: '{"status":"alive"}\n',
    errors: '',
  });
  await expect
    .poll(() => health(listens, ['--ready']))
    .toEqual({
      exitCode: 0,
      output: '{"status":"ready","notReady":{},"degraded":{}}\n',
      errors: '',
    });
});

test('health --ready fails, and says why, where the gateway is not ready', async () => {
  const body = '{"status":"not ready","notReady":{"server":"shutting down"},"degraded":{}}\n';
  await using server = await startServer('127.0.0.1', (_, response) =>
    response.writeHead(503).end(body),
  );
  expect(await health({ host: '127.0.0.1', port: server.port }, ['--ready'])).toEqual({
    exitCode: 1,
    output: body,
    errors: '',
  });
});

test('health fails where the answer does not come within 2 s', async () => {
  const clock = new TestClock();
  await using server = await startServer('127.0.0.1', () => void clock.advance(2_000));
  expect(await health({ host: '127.0.0.1', port: server.port }, [], clock)).toEqual({
    exitCode: 1,
    output: '',
    errors: 'The gateway does not answer: too late.\n',
  });
});

test('health fails where nobody listens', async () => {
  // Nobody but root may listen on a port that low, and nobody does.
  expect(await health({ host: '127.0.0.1', port: 1 })).toEqual({
    exitCode: 1,
    output: '',
    errors: 'The gateway does not answer: connect ECONNREFUSED 127.0.0.1:1.\n',
  });
});

test.each([['--live'], ['ready'], ['--ready', '--ready']])(
  'health refuses other arguments: %s',
  async (...args) => {
    const { exitCode, output, errors } = await health({ host: '127.0.0.1', port: 1 }, args);
    expect([exitCode, output]).toEqual([2, '']);
    expect(errors).toMatch(/^participant-gateway health \[--ready\]\n/);
  },
);

test('participant-gateway health takes HOST and PORT of the settings', async () => {
  await using gateway = await startTestGateway();
  const start = (port: string) =>
    runProgram('bin/participant-gateway.js', { PORT: port }, { args: ['health'] });
  await using well = start(gateway.url.port);
  await using faulty = start('http');
  expect([await well.exited, well.output()]).toEqual([0, '{"status":"alive"}\n']);
  expect([await faulty.exited, faulty.output()]).toEqual([
    1,
    'The settings are faulty:\n  PORT is "http"; it accepts a whole number from 0 to 65535\n',
  ]);
});
