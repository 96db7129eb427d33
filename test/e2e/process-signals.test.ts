import { once } from 'node:events';
import { describe, test } from 'vitest';
import { type ProgramOptions, type RunningProgram, runProgram } from '../support/child-process.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { environmentFor, STATUS_QUERY } from '../support/test-gateway.ts';

const GATEWAY = 'bin/participant-gateway.js';
const DONE = { data: { batchStatus: { id: 'vehicles', status: 'DONE' } } };

interface Held extends AsyncDisposable {
  program: RunningProgram;
  url: string;
  upstream: ScriptedUpstream;
  /** A request that is under way until `release`. */
  answer: Promise<unknown>;
  release(): void;
}

/** A gateway with a request under way. */
async function startWithRequest(
  environment: Record<string, string> = {},
  options: ProgramOptions = {},
): Promise<Held> {
  const upstream = await startScriptedUpstream();
  const held = Promise.withResolvers<void>();
  upstream.onStatus = () => held.promise.then(() => ({ body: { data: { status: 'DONE' } } }));
  const ofUpstream = Object.entries(environmentFor(upstream.url)).map(([name, value]) => [
    name,
    String(value),
  ]);
  const program = runProgram(
    GATEWAY,
    {
      PORT: '0',
      SHUTDOWN_DELAY_MS: '0',
      UPSTREAM_TIMEOUT_MS: '60000',
      REQUEST_DEADLINE_MS: '60000',
      ...Object.fromEntries(ofUpstream),
      ...environment,
    },
    options,
  );
  const [, url = ''] = await program.printed(/"graphql":"([^"]+)"/);
  const answer = fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: STATUS_QUERY, variables: { participantType: 'vehicles' } }),
  }).then(
    (response) => response.json(),
    () => 'cut off',
  );
  await upstream.statusCallCount(1);
  return {
    program,
    url,
    upstream,
    answer,
    release: held.resolve,
    async [Symbol.asyncDispose]() {
      held.resolve();
      await program[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe.concurrent('signals', () => {
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
    test(`84: ${signal} ends the process, and drops no request`, async ({ expect }) => {
      await using gateway = await startWithRequest();
      gateway.program.process.kill(signal);
      await gateway.program.printed(new RegExp(`"signal":"${signal}","msg":"shutting down"`));
      gateway.release();
      expect(await gateway.answer).toEqual(DONE);
      expect(await gateway.program.exited).toBe(0);
    });
  }

  test('84: SIGTERM again and again changes nothing', async ({ expect }) => {
    await using gateway = await startWithRequest({ SHUTDOWN_DELAY_MS: '6000' });
    const again = setInterval(() => gateway.program.process.kill('SIGTERM'), 50);
    await gateway.program.printed(/shutting down/);
    // A request behind the time for which signals count as one.
    const startedAt = performance.now();
    while (performance.now() - startedAt < 1_000) {
      expect((await fetch(new URL('/livez', gateway.url))).status).toBe(200);
    }
    gateway.release();
    expect(await gateway.answer).toEqual(DONE);
    expect(await gateway.program.exited).toBe(0);
    clearInterval(again);
    expect(gateway.program.output().match(/shutting down/g)).toHaveLength(1);
  });

  test('84: SIGINT again, as by Ctrl+C, ends the process at once', async ({ expect }) => {
    await using gateway = await startWithRequest();
    const again = setInterval(() => gateway.program.process.kill('SIGINT'), 50);
    expect(await gateway.program.exited).toBe(130);
    clearInterval(again);
    expect(await gateway.answer).toBe('cut off');
  });

  test('84: SIGUSR2 changes nothing, and with NODE_ENV=production SIGUSR1 opens no debugger', async ({
    expect,
  }) => {
    await using gateway = await startWithRequest({ NODE_ENV: 'production' });
    gateway.program.process.kill('SIGUSR1');
    gateway.program.process.kill('SIGUSR2');
    gateway.program.process.kill('SIGTERM');
    await gateway.program.printed(/shutting down/);
    gateway.release();
    expect(await gateway.answer).toEqual(DONE);
    expect(await gateway.program.exited).toBe(0);
    expect(gateway.program.output()).not.toContain('Debugger');
  });

  test('84: a thread that hangs holds the end up for 10 s at the most', async ({ expect }) => {
    await using gateway = await startWithRequest({}, { preload: 'test/support/trouble.ts' });
    const { process: child, printed } = gateway.program;
    child.send('hanging file');
    await printed(/a file hangs/);
    gateway.release();
    expect(await gateway.answer).toEqual(DONE);
    const startedAt = performance.now();
    child.kill('SIGTERM');
    // Node's own exit would wait for it.
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(gateway.program.output()).toContain('the process did not end by itself in time');
  });
});
