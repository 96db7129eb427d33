import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runProgram } from '../support/child-process.ts';
import {
  ANSWER,
  clientOf,
  endsInTime,
  freePort,
  READY,
  STARTING,
} from '../support/gateway-process.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { environmentFor, STATUS_QUERY } from '../support/test-gateway.ts';

const GATEWAY = 'bin/participant-gateway.js';
const ENVIRONMENT = { SHUTDOWN_DELAY_MS: '0' };

describe.concurrent('the log', () => {
  test('83: on a full disk (/dev/full): requests are answered, it is degraded, SIGTERM ends it', async ({
    expect,
  }) => {
    const full = openSync('/dev/full', 'w');
    const port = await freePort();
    await using program = runProgram(GATEWAY, { ...ENVIRONMENT, PORT: port }, { stdout: full });
    closeSync(full);
    const client = clientOf(port);
    await expect
      .poll(() => client.readiness().catch(() => undefined), STARTING)
      .toEqual({
        status: 200,
        body: {
          status: 'degraded',
          notReady: {},
          degraded: { log: 'it cannot be written: ENOSPC; lines that were dropped: 0' },
        },
      });
    for (let count = 0; count < 50; count += 1) expect(await client.query()).toEqual(ANSWER);
    const { code, ms } = await endsInTime(program);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
    expect(program.output()).toBe('');
  });

  test('83: a file that is full, and is emptied: the log goes on, says so, and lacks no line', async ({
    expect,
  }) => {
    const folder = mkdtempSync(join(tmpdir(), 'log-'));
    const file = join(folder, 'log');
    const appending = openSync(file, 'a');
    const port = await freePort();
    await using program = runProgram(
      GATEWAY,
      { ...ENVIRONMENT, PORT: port },
      { stdout: appending, maxFileBlocks: 64 },
    );
    closeSync(appending);
    const client = clientOf(port);
    await expect.poll(() => client.readiness().catch(() => undefined), STARTING).toEqual(READY);
    for (let count = 0; count < 5; count += 1) {
      expect(await client.query(10_000)).toEqual(ANSWER);
    }
    await expect.poll(client.readiness).toEqual({
      status: 200,
      body: {
        status: 'degraded',
        notReady: {},
        degraded: { log: 'it cannot be written: EFBIG; lines that were dropped: 0' },
      },
    });
    const before = readFileSync(file, 'utf8');
    truncateSync(file);
    await expect.poll(client.readiness).toEqual(READY);
    expect(await endsInTime(program)).toMatchObject({ code: 0 });
    const whole = before + readFileSync(file, 'utf8');
    const lines = whole.split('\n').filter((line) => line.startsWith('{'));
    const messages: string[] = lines.map((line) => JSON.parse(line).msg);
    // On a machine that is busy with tests, it may have been blocked.
    expect(messages.filter((message) => !message.startsWith('the event loop'))).toEqual([
      'listening',
      ...Array.from({ length: 5 }, () => 'request'),
      'the log is written again',
      'shutting down',
      'stopped',
    ]);
    rmSync(folder, { recursive: true });
  });

  test('83: a pipe that nobody reads: requests are answered, lines are dropped and counted, SIGTERM ends it', async ({
    expect,
  }) => {
    await using program = runProgram(GATEWAY, { ...ENVIRONMENT, PORT: '0' });
    const [, port = ''] = await program.printed(/"graphql":"http:\/\/[^:]+:(\d+)\//);
    program.process.stdout?.pause();
    const client = clientOf(port);
    const dropped = /it is not taken; lines that were dropped: [1-9]/;
    let state = await client.readiness();
    for (let count = 0; count < 1_000 && !dropped.test(JSON.stringify(state)); count += 1) {
      expect(await client.query(60_000)).toEqual(ANSWER);
      state = await client.readiness();
    }
    await expect.poll(client.readiness).toEqual({
      status: 200,
      body: {
        status: 'degraded',
        notReady: {},
        degraded: { log: expect.stringMatching(dropped) },
      },
    });
    const { code, ms } = await endsInTime(program);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
  });

  test('83: the reader is gone: requests are answered, it is degraded, SIGTERM ends it', async ({
    expect,
  }) => {
    await using program = runProgram(GATEWAY, { ...ENVIRONMENT, PORT: '0' });
    const [, port = ''] = await program.printed(/"graphql":"http:\/\/[^:]+:(\d+)\//);
    const client = clientOf(port);
    program.process.stdout?.destroy();
    await expect
      .poll(async () => {
        expect(await client.query()).toEqual(ANSWER);
        return client.readiness();
      })
      .toEqual({
        status: 200,
        body: {
          status: 'degraded',
          notReady: {},
          degraded: { log: 'it cannot be written: EPIPE; lines that were dropped: 0' },
        },
      });
    expect(await endsInTime(program)).toMatchObject({ code: 0 });
  });

  test('83: the reader is gone right after SIGTERM: what is under way is answered, exit 0', async ({
    expect,
  }) => {
    await using upstream = await startScriptedUpstream();
    const held = Promise.withResolvers<void>();
    upstream.onStatus = () => held.promise.then(() => ({ body: { data: { status: 'DONE' } } }));
    const environment = { ...environmentFor(upstream.url), ...ENVIRONMENT, PORT: '0' };
    await using program = runProgram(GATEWAY, environment);
    const [, url = ''] = await program.printed(/"graphql":"([^"]+)"/);
    const variables = { participantType: 'vehicles' };
    const answer = fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: STATUS_QUERY, variables }),
    });
    await upstream.statusCallCount(1);
    program.process.kill('SIGTERM');
    await program.printed(/shutting down/);
    program.process.stdout?.destroy();
    held.resolve();
    expect(await (await answer).json()).toEqual({
      data: { batchStatus: { id: 'vehicles', status: 'DONE' } },
    });
    expect(await program.exited).toBe(0);
  });
});
