import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { watchRequests } from '../support/requests-under-way.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';

/** Sends all queries, the second before the first is answered, and so on (RFC 9112, section 9.3.2). */
function send({ url }: TestGateway, queries: readonly string[]): Socket {
  const socket = connect(Number(url.port), url.hostname);
  const requests = queries.map((query, index) => {
    const body = JSON.stringify({ query });
    const connection = index === queries.length - 1 ? 'connection: close\r\n' : '';
    return `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${connection}x-request-id: request-${index + 1}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  });
  socket.write(requests.join(''));
  return socket;
}

/** The bodies of all answers, in order. */
async function bodiesFrom(socket: Socket): Promise<string[]> {
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  return text.match(/^\{.*\}/gm) ?? [];
}

test('80: of requests that come together on one connection one is worked on at a time, and they are answered in order', async () => {
  await using upstream = await startScriptedUpstream();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  upstream.onStatus = async () => {
    await released;
    return { body: { data: {}, request: ECHO } };
  };
  await using gateway = await startTestGateway({ upstream });
  using underWay = watchRequests(gateway.url);
  const ids = ['b-1', 'b-2', 'b-3'];
  const queryFor = (id: string) =>
    `{ batchStatus(participantType: "vehicles", batchId: "${id}") { id } }`;
  const socket = send(gateway, ids.map(queryFor));
  await underWay.count(3);
  await upstream.statusCallCount(1);
  await underWay.count(3);
  expect(upstream.statusCalls).toHaveLength(1);

  release();
  expect(await bodiesFrom(socket)).toEqual(
    ids.map((id) => JSON.stringify({ data: { batchStatus: { id: `vehicles/${id}` } } })),
  );
  expect(upstream.statusCalls).toHaveLength(3);
});

test('80: a request is refused, without a call, when the answer before it on its connection is not taken in time', async () => {
  await using upstream = await startScriptedUpstream();
  const data = { text: 'x'.repeat(500_000) };
  upstream.onStatus = () => ({ body: { data, request: ECHO } });
  const clock = new TestClock();
  const environment = { REQUEST_DEADLINE_MS: '1000', STATUS_TTL_MS: '3600000' };
  await using gateway = await startTestGateway({ upstream, clock, environment });
  using underWay = watchRequests(gateway.url);
  const field = 'batchStatus(participantType: "vehicles")';
  // Together more than the kernel takes for a connection on loopback.
  const names = Array.from({ length: 16 }, (_, index) => `b${index}`);
  const large = `{ ${names.map((name) => `${name}: ${field} { data }`).join(' ')} }`;
  const small = '{ batchStatus(participantType: "drivers") { id } }';
  const socket = send(gateway, [large, small]).pause();
  await underWay.count(2);
  await upstream.statusCallCount(1);
  await underWay.count(2);
  clock.advance(1_000);
  const [first, second, ...more] = await bodiesFrom(socket);
  expect(more).toEqual([]);
  expect(first).toBe(
    JSON.stringify({ data: Object.fromEntries(names.map((name) => [name, { data }])) }),
  );
  expect(JSON.parse(second ?? '')).toEqual({
    errors: [
      {
        message:
          'The answers to the requests before it on this connection were not taken in time: read answers as they come.',
        extensions: {
          code: 'OVERLOADED',
          retryable: true,
          retryAfterMs: 1_000,
          requestId: 'request-2',
        },
      },
    ],
  });
  expect(upstream.statusCalls).toHaveLength(1);
});
