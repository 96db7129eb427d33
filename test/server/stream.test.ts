import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { type EventReceiver, NOTHING_LOADED } from '../../src/core/answer.ts';
import { RefusedRequest } from '../../src/core/errors.ts';
import { Stream } from '../../src/server/stream.ts';
import { openStream } from '../support/event-stream.ts';
import { TestClock } from '../support/test-clock.ts';

const HEARTBEAT_MS = 10_000;
const SUMMARY = {
  ...NOTHING_LOADED,
  operationName: null,
  operationType: 'subscription' as const,
  errorCodes: [],
  cached: false,
};

/** A stream to a client, whose caller is checked for as long as the test has it. */
async function startStream() {
  const clock = new TestClock();
  const checks: PromiseWithResolvers<void>[] = [];
  const opened = Promise.withResolvers<EventReceiver & Pick<Stream, 'look'>>();
  const server = createServer((_request, response) => {
    const answer = {
      ...{ format: 'text/event-stream' as const, summary: SUMMARY },
      ...{ open: () => () => {}, discard() {} },
    } as const;
    const of = {
      tenant: undefined,
      requestId: 'r-1',
      caller: { key: '["t","c"]', weight: 1 },
      headers: [],
      expiresAt: undefined,
      check() {
        const check = Promise.withResolvers<void>();
        checks.push(check);
        return check.promise;
      },
      toResult: ({ code }: RefusedRequest) => JSON.stringify({ errors: [code] }),
    };
    const options = {
      clock,
      telemetry: {},
      heartbeatMs: HEARTBEAT_MS,
      timeoutMs: 2 * HEARTBEAT_MS,
    };
    const stream = new Stream(answer, response, of, options, () => {});
    stream.begin();
    opened.resolve(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const endpoint = new URL(`http://127.0.0.1:${port}/`);
  const client = await openStream({ endpoint }, { query: 'subscription { x }' });
  return {
    checks,
    stream: await opened.promise,
    client,
    /** Has the stream write a heartbeat, at which the caller is checked. */
    async beat() {
      clock.advance(HEARTBEAT_MS);
      (await opened.promise).look(clock.now());
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

test('an event that comes while the caller is checked is written as soon as that is known', async () => {
  await using live = await startStream();
  await live.beat();
  live.stream.next('a', '1', true);
  live.stream.next('b', '2', true);
  expect(live.checks).toHaveLength(1);
  live.checks[0]?.resolve();
  expect([await live.client.data(), await live.client.data()]).toEqual([1, 2]);
  expect(live.checks).toHaveLength(1);
});

test('the end of the operation, too', async () => {
  await using live = await startStream();
  await live.beat();
  live.stream.complete();
  live.checks[0]?.resolve();
  expect(await live.client.next()).toBe('event: complete\ndata:');
  expect(await live.client.next()).toBeUndefined();
});

test('an event whose caller is refused meanwhile is not written', async () => {
  await using live = await startStream();
  live.stream.next('a', '1', true);
  live.checks[0]?.reject(new RefusedRequest('FORBIDDEN', 403, 'Not any more.'));
  expect(await live.client.data()).toEqual({ errors: ['FORBIDDEN'] });
  expect(await live.client.next()).toBe('event: complete\ndata:');
  expect(await live.client.next()).toBeUndefined();
});

test('a long event, which is written in parts, comes whole', async () => {
  await using live = await startStream();
  const text = '\u{1f69a}'.repeat(200_000);
  live.stream.next('a', JSON.stringify(text), true);
  live.checks[0]?.resolve();
  expect(await live.client.next()).toBe(`id: 1\nevent: next\ndata: "${text}"`);
});
