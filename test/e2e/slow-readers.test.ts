import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { watchRequests } from '../support/requests-under-way.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { turns } from '../support/turns.ts';

const BEHIND_A_PROXY = { TRUSTED_PROXIES: '127.0.0.1,::1' };
/** More than the kernel takes for a connection on loopback: 16 of them are an answer of 8 MB. */
const PAYLOAD = { text: 'x'.repeat(500_000) };
const LARGE = `{ ${Array.from({ length: 16 }, (_, index) => `b${index}: batchStatus(participantType: "large") { data }`).join(' ')} }`;
const LARGE_ANSWER = {
  data: Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [`b${index}`, { data: PAYLOAD }]),
  ),
};
const MEDIUM = '{ batchStatus(participantType: "large") { data } }';
const MEDIUM_ANSWER = { data: { batchStatus: { data: PAYLOAD } } };
const SMALL = '{ batchStatus(participantType: "small") { status } }';
const SMALL_ANSWER = { data: { batchStatus: { status: 'IN_PROGRESS' } } };

/** A gateway on a clock that stands still; its upstream has a large status and a small one. */
async function startLarge(environment: Record<string, string> = {}) {
  const clock = new TestClock();
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startScriptedUpstream());
  upstream.onStatus = ({ target }) => ({
    body: {
      data: target.includes('/large/') ? PAYLOAD : { status: 'IN_PROGRESS' },
      request: ECHO,
    },
  });
  const gateway = stack.use(
    await startTestGateway({
      upstream,
      clock,
      environment: { ...BEHIND_A_PROXY, STATUS_TTL_MS: '3600000', ...environment },
    }),
  );
  const clients: Socket[] = [];
  stack.defer(() => {
    for (const client of clients) client.destroy();
  });
  return {
    clock,
    gateway,
    ask: (query: string, from = '198.51.100.1') => ask(gateway, query, from),
    /** A client that sends so many requests, and reads nothing before it is told to. */
    async connectStalled(query: string, from: string, requests = 1): Promise<Socket> {
      const client = connect(Number(gateway.url.port), gateway.url.hostname);
      clients.push(client);
      client.on('error', () => {});
      client.pause();
      await once(client, 'connect');
      const body = JSON.stringify({ query });
      const head = `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-forwarded-for: ${from}\r\ncontent-length: ${body.length}\r\n\r\n`;
      client.write(`${head}${body}`.repeat(requests));
      return client;
    },
    cutOff: () =>
      gateway.logLines
        .map((line) => JSON.parse(line))
        .filter(({ msg }) => msg === 'connections closed: their clients do not take their answers')
        .reduce((sum, { connections }) => sum + connections, 0),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function ask({ endpoint }: TestGateway, query: string, from: string) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': from },
    body: JSON.stringify({ query }),
  });
  return { status: response.status, body: await response.json() };
}

test('80: 300 clients that do not read: a good one is served meanwhile, small answers and large, and they are cut off (API4:2023)', async () => {
  await using large = await startLarge();
  const { clock, gateway, ask: askGood, connectStalled, cutOff } = large;
  using underWay = watchRequests(gateway.url);
  expect(await askGood(LARGE)).toEqual({ status: 200, body: LARGE_ANSWER });
  const stalled = await Promise.all(
    Array.from({ length: 300 }, (_, index) =>
      connectStalled(LARGE, `192.0.2.${index % 256}`, index < 256 ? 1 : 2),
    ),
  );
  const closed = stalled.map((client) => once(client, 'close'));
  // Three answers of 8 MB are written out, the others wait for room.
  await underWay.atLeast(300);
  expect(await askGood(SMALL)).toEqual({ status: 200, body: SMALL_ANSWER });
  expect(await askGood(MEDIUM)).toEqual({ status: 200, body: MEDIUM_ANSWER });
  expect(cutOff()).toBe(0);

  // While others wait, a second is enough to see that nothing is taken.
  for (let second = 0; second < 2; second += 1) clock.advance(1_000);
  expect(cutOff()).toBe(3);
  for (let second = 0; second < 8; second += 1) {
    clock.advance(1_000);
    await turns(1);
  }
  // The others were refused when their deadlines passed, which is little to take, or are cut off as well.
  expect(await clock.elapse(askGood(LARGE))).toEqual({ status: 200, body: LARGE_ANSWER });
  for (const client of stalled) client.resume();
  for (const client of stalled) client.end();
  await Promise.all(closed);
});

test('80: a client that takes nothing for RESPONSE_TIMEOUT_MS is cut off, with all that it asked for, and its place is free (API4:2023)', async () => {
  await using large = await startLarge({ INTAKE_MAX_REQUESTS: '4' });
  const { clock, gateway, ask: askGood, connectStalled, cutOff } = large;
  using underWay = watchRequests(gateway.url);
  await askGood(LARGE);
  // Two requests on one connection: the second answer waits behind the first.
  const client = await connectStalled(LARGE, '192.0.2.1', 2);
  const closed = once(client, 'close');
  await underWay.count(2);
  expect(await askGood(SMALL)).toEqual({ status: 200, body: SMALL_ANSWER });
  for (let second = 0; second < 10; second += 1) {
    clock.advance(1_000);
    expect(cutOff()).toBe(0);
  }
  clock.advance(1_000);
  expect(cutOff()).toBe(1);
  client.resume();
  await closed;
  await expect
    .poll(() => gateway.logLines.filter((line) => line.includes('client gone')).length)
    .toBe(2);
  const three = await Promise.all([1, 2, 3].map(() => askGood(SMALL, '192.0.2.1')));
  expect(three).toEqual(three.map(() => ({ status: 200, body: SMALL_ANSWER })));
});
