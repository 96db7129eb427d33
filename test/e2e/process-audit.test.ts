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

const GATEWAY = 'bin/participant-gateway.js';
const ENVIRONMENT = { SHUTDOWN_DELAY_MS: '0' };

describe.concurrent('the audit', () => {
  test('83: with AUDIT=on, a pipe that nobody reads: lost lines make it not ready, and are counted', async ({
    expect,
  }) => {
    const environment = { ...ENVIRONMENT, AUDIT: 'on', PORT: '0' };
    await using program = runProgram(GATEWAY, environment);
    const [, port = ''] = await program.printed(/"graphql":"http:\/\/[^:]+:(\d+)\//);
    program.process.stdout?.pause();
    const client = clientOf(port);
    const dropped = /it is not taken; lines that were dropped: [1-9]/;
    let state = await client.readiness();
    for (let count = 0; count < 1_000 && !dropped.test(JSON.stringify(state)); count += 1) {
      expect(await client.query(60_000)).toEqual(ANSWER);
      state = await client.readiness();
    }
    expect(await client.readiness()).toEqual({
      status: 503,
      body: {
        status: 'not ready',
        notReady: { log: expect.stringMatching(dropped) },
        degraded: {},
      },
    });
    expect(await client.metrics()).toMatch(/^participant_gateway_log_lines_dropped_total [1-9]/m);
    // What is read is answered all the same.
    expect(await client.readBatch()).toMatchObject({ status: 200 });
    expect((await endsInTime(program)).code).toBe(0);
  });

  test('83: with AUDIT=required, on a full disk: what would be read is refused, it is not ready, SIGTERM ends it', async ({
    expect,
  }) => {
    const full = openSync('/dev/full', 'w');
    const port = await freePort();
    const environment = { ...ENVIRONMENT, AUDIT: 'required', PORT: port };
    await using program = runProgram(GATEWAY, environment, { stdout: full });
    closeSync(full);
    const client = clientOf(port);
    await expect
      .poll(() => client.readiness().catch(() => undefined), STARTING)
      .toEqual({
        status: 503,
        body: {
          status: 'not ready',
          notReady: { log: 'it cannot be written: ENOSPC; lines that were dropped: 0' },
          degraded: {},
        },
      });
    expect(await client.readBatch()).toMatchObject({
      status: 503,
      body: { errors: [{ extensions: { code: 'OVERLOADED', retryAfterMs: 1_000 } }] },
    });
    expect(await client.query()).toEqual(ANSWER);
    expect((await endsInTime(program)).code).toBe(0);
  });

  test('83: with AUDIT=required, a file that is full, and is emptied: what is read is refused and answered again, and each answer is in the log', async ({
    expect,
  }) => {
    const folder = mkdtempSync(join(tmpdir(), 'audit-'));
    const file = join(folder, 'log');
    const appending = openSync(file, 'a');
    const port = await freePort();
    const environment = { ...ENVIRONMENT, AUDIT: 'required', PORT: port };
    await using program = runProgram(GATEWAY, environment, {
      stdout: appending,
      maxFileBlocks: 64,
    });
    closeSync(appending);
    const client = clientOf(port);
    await expect.poll(() => client.readiness().catch(() => undefined), STARTING).toEqual(READY);
    expect(await client.readBatch()).toMatchObject({ status: 200 });
    for (let count = 0; count < 5; count += 1) await client.query(10_000);
    await expect.poll(async () => (await client.readiness()).status).toBe(503);
    expect(await client.readBatch()).toMatchObject({ status: 503 });
    const before = readFileSync(file, 'utf8');
    truncateSync(file);
    await expect.poll(client.readiness).toEqual(READY);
    expect(await client.readBatch()).toMatchObject({ status: 200 });
    expect(await endsInTime(program)).toMatchObject({ code: 0 });
    const lines = (before + readFileSync(file, 'utf8')).split('\n');
    const messages = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    expect(messages.filter(({ msg }) => msg === 'audit').map(({ batches }) => batches)).toEqual([
      [{ participantType: 'vehicles', batchId: 'batch-finished' }],
      [{ participantType: 'vehicles', batchId: 'batch-finished' }],
    ]);
    rmSync(folder, { recursive: true });
  });
});
