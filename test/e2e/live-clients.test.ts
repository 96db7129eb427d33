import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import {
  type BatchNews,
  type BatchSource,
  type FollowOptions,
  followBatches,
} from '../../examples/clients/follow-batches.ts';
import { GatewayError } from '../../examples/clients/gateway-errors.ts';
import { BatchStatusQuery, type Update } from '../../examples/clients/operations.ts';
import type { Answer } from '../../examples/clients/poll-batch.ts';
import * as apollo from '../../examples/clients/with-apollo.ts';
import * as plain from '../../examples/clients/with-fetch.ts';
import * as urql from '../../examples/clients/with-urql.ts';
import type { Environment } from '../../src/config/load.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { STREAM_FRAMINGS, type StreamFraming } from '../../src/server/stream-format.ts';
import { runProgram } from '../support/child-process.ts';
import {
  ECHO,
  type ScriptedAnswer,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { environmentFor, startTestGateway, type TestGateway } from '../support/test-gateway.ts';

const SOURCES: [name: string, connect: (url: string) => BatchSource][] = [
  ["graphql-sse's client", (url) => plain.batchSource(plain.createFetchClient(url))],
  ['Apollo Client', (url) => apollo.batchSource(apollo.createApolloClient(url))],
  ['urql', (url) => urql.batchSource(urql.createUrqlClient(url))],
];

const STREAM_FORMATS = ['text/event-stream', 'multipart/mixed'] as const;
const B1 = { participantType: 'vehicles', batchId: 'b-1' };
const B2 = { participantType: 'drivers', batchId: 'b-2' };

function startLive(
  upstream: ScriptedUpstream,
  environment: Environment = {},
  clock: Clock = systemClock,
): Promise<TestGateway> {
  const short = { FOLLOW_MIN_MS: '100', ...environment };
  return startTestGateway({ upstream, environment: short, clock });
}

/** The upstream gives these answers about each batch, and the last again and again. */
function answerInTurn(upstream: ScriptedUpstream, batches: Record<string, ScriptedAnswer[]>): void {
  const asked: Record<string, number> = {};
  upstream.onStatus = ({ target }) => {
    const id = new URL(target, upstream.url).searchParams.get('batchId') ?? '';
    const turn = asked[id] ?? 0;
    asked[id] = turn + 1;
    return batches[id]?.[turn] ?? batches[id]?.at(-1) ?? { status: 404, body: '' };
  };
}

/** An upstream's answer about a batch of 4. */
function batchOf4(status: string, success: number): ScriptedAnswer {
  const meta = { status, success, failed: 0, total: 4 };
  return { body: { data: { meta, errors: [], success: [] }, request: ECHO } };
}

const RUNNING = [batchOf4('QUEUED', 0), batchOf4('IN_PROGRESS', 1), batchOf4('SUCCESS', 4)];

/** What is told of it. */
function news({ participantType, batchId }: typeof B1, status: string, successCount: number) {
  return {
    participantType,
    batchId,
    batch: expect.objectContaining({
      id: `${participantType}/${batchId}`,
      status,
      finished: status === 'SUCCESS',
      progress: successCount / 4,
      totalCount: 4,
      successCount,
      failureCount: 0,
    }),
    error: undefined,
  };
}

const B1_RUNNING = [
  news(B1, 'QUEUED', 0),
  news(B1, 'IN_PROGRESS', 1),
  news(B1, 'SUCCESS', 4),
] as const;

async function follow(
  source: BatchSource,
  batches = [B1],
  options: FollowOptions = {},
): Promise<BatchNews[]> {
  const told: BatchNews[] = [];
  for await (const each of followBatches(source, batches, options)) told.push(each);
  return told;
}

/** Between a client and the gateway: what is read as a stream, `onStream` answers; all else goes through. */
async function startProxy(
  { endpoint }: TestGateway,
  onStream: (response: ServerResponse, framing: StreamFraming) => void,
) {
  const server = createServer(async (request, response) => {
    const { accept = '', 'content-type': type = '' } = request.headers;
    // urql names both formats for queries, too, behind JSON.
    const format = STREAM_FORMATS.find((each) => accept.startsWith(each));
    if (format !== undefined) return onStream(response, STREAM_FRAMINGS[format]);
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const headers = { accept, 'content-type': type };
    const answer = await fetch(endpoint, { method: 'POST', headers, body });
    response.setHeader('content-type', answer.headers.get('content-type') ?? '');
    response.writeHead(answer.status).end(await answer.text());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/graphql`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

for (const [name, connect] of SOURCES) {
  test(`${name}: follows a batch from start to finished, and is told that it is complete`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startLive(upstream);
    answerInTurn(upstream, { 'b-1': RUNNING });
    const source = connect(gateway.endpoint.href);
    const seen: Answer<{ batchStatusUpdates: Update }>[] = [];
    // Ends by itself.
    for await (const each of source.subscribe([B1], new AbortController().signal)) seen.push(each);
    const statuses = seen.map(({ data }) => data?.batchStatusUpdates.batchStatus?.status);
    expect([...new Set(statuses)]).toEqual(['QUEUED', 'IN_PROGRESS', 'SUCCESS']);
    expect(seen.flatMap(({ errors }) => errors)).toEqual([]);
    expect(upstream.statusCalls).toHaveLength(3);
  });

  test(`${name}: tells each change of several batches, and the error of one to that one alone`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startLive(upstream);
    answerInTurn(upstream, { 'b-1': RUNNING, 'b-2': RUNNING });
    const gone = { participantType: 'vehicles', batchId: 'gone' };
    const told = await follow(connect(gateway.endpoint.href), [gone, B1, B2]);
    const of = (key: typeof B1) => told.filter(({ batchId }) => batchId === key.batchId);
    expect(of(gone)).toEqual([
      { ...gone, batch: null, error: expect.objectContaining({ code: 'NOT_FOUND' }) },
    ]);
    expect(of(B1)).toEqual(B1_RUNNING);
    expect(of(B2)).toEqual([
      news(B2, 'QUEUED', 0),
      news(B2, 'IN_PROGRESS', 1),
      news(B2, 'SUCCESS', 4),
    ]);
    expect(told).toHaveLength(7);
    expect(upstream.statusCalls).toHaveLength(7);
  });

  test(`${name}: each status is there as soon as it is sent, not with the next`, async () => {
    await using upstream = await startScriptedUpstream();
    // On its clock nothing takes too long, and there is no heartbeat.
    const clock = new TestClock();
    await using gateway = await startLive(upstream, {}, clock);
    upstream.onStatus = () =>
      upstream.statusCalls.length === 1 ? batchOf4('QUEUED', 0) : batchOf4('SUCCESS', 4);
    const told: BatchNews[] = [];
    for await (const each of followBatches(connect(gateway.endpoint.href), [B1])) {
      told.push(each);
      clock.advance(100);
    }
    expect(told).toEqual([news(B1, 'QUEUED', 0), news(B1, 'SUCCESS', 4)]);
    expect(gateway.logLines.join('')).not.toContain('BatchStatuses');
  });

  test(`${name}: polls where the gateway has no subscriptions`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startLive(upstream, { MAX_STREAMS: '0', STATUS_TTL_MS: '0' });
    answerInTurn(upstream, { 'b-1': RUNNING });
    const waits: number[] = [];
    const wait = async (ms: number) => void waits.push(ms);
    const source = connect(gateway.endpoint.href);
    expect(await follow(source, [B1], { wait, intervalMs: 5_000 })).toEqual(B1_RUNNING);
    expect(waits).toEqual([5_000, 5_000]);
    expect(upstream.statusCalls).toHaveLength(3);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ['holds the stream back', () => {}],
    [
      'holds back all but its headers',
      (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      },
    ],
    ['has no streams', (response) => void response.writeHead(502).end('<h1>no</h1>')],
    ['cuts the connection', (response) => void response.destroy()],
  ])(`${name}: polls where a proxy %s`, async (_what, onStream) => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startLive(upstream, { STATUS_TTL_MS: '0' });
    await using proxy = await startProxy(gateway, onStream);
    answerInTurn(upstream, { 'b-1': RUNNING });
    const options = { patienceMs: 50, intervalMs: 1 };
    expect(await follow(connect(proxy.url), [B1], options)).toEqual(B1_RUNNING);
    expect(upstream.statusCalls).toHaveLength(3);
  });

  test(`60: ${name}: a stream that is ended before its batch is opened anew, and no change told twice`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startLive(upstream, {
      STREAM_MAX_MS: '1000',
      STREAM_HEARTBEAT_MS: '100',
    });
    let isOver = false;
    upstream.onStatus = () => (isOver ? batchOf4('SUCCESS', 4) : batchOf4('IN_PROGRESS', 1));
    const waits: number[] = [];
    const wait = async (ms: number) => {
      waits.push(ms);
      isOver = true;
    };
    expect(await follow(connect(gateway.endpoint.href), [B1], { wait })).toEqual([
      news(B1, 'IN_PROGRESS', 1),
      news(B1, 'SUCCESS', 4),
    ]);
    expect(waits).toEqual([expect.any(Number)]);
    expect(waits.every((ms) => ms >= 1_000 && ms <= 5_000)).toBe(true);
  });

  test(`${name}: a stream that was silent for long is opened anew`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startLive(upstream, {}, new TestClock());
    upstream.onStatus = () => batchOf4('IN_PROGRESS', 1);
    const waits: number[] = [];
    const wait = async (ms: number) => {
      waits.push(ms);
      await gateway.query('{ __typename }');
    };
    const leaving = new AbortController();
    const options = { wait, silenceMs: 20, signal: leaving.signal };
    const following = follow(connect(gateway.endpoint.href), [B1], options);
    await expect.poll(() => waits.length).toBeGreaterThan(2);
    leaving.abort();
    expect(await following).toEqual([news(B1, 'IN_PROGRESS', 1)]);
    expect(gateway.logLines.join('')).not.toContain('BatchStatuses');
  });

  test(`56: ${name}: who leaves ends the stream, and with it the polls`, async () => {
    await using upstream = await startScriptedUpstream();
    const clock = new TestClock();
    await using gateway = await startLive(upstream, { STATUS_TTL_MS: '0' }, clock);
    upstream.onStatus = () => batchOf4('IN_PROGRESS', 1);
    const source = connect(gateway.endpoint.href);
    const streamsEnded = () => gateway.logLines.join('').match(/"BatchUpdates"/g)?.length ?? 0;

    const leaving = new AbortController();
    for await (const each of followBatches(source, [B1], { signal: leaving.signal })) {
      expect(each).toEqual(news(B1, 'IN_PROGRESS', 1));
      leaving.abort();
    }
    await expect.poll(streamsEnded).toBe(1);
    for await (const each of followBatches(source, [B1])) {
      expect(each).toEqual(news(B1, 'IN_PROGRESS', 1));
      break;
    }
    await expect.poll(streamsEnded).toBe(2);
    clock.advance(60_000);
    await gateway.query('{ __typename }');
    expect(upstream.statusCalls).toHaveLength(2);
  });

  test(`58: ${name}: that the caller's token has ended in mid-stream is thrown at once`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startLive(upstream);
    const batchStatus = {
      ...{ __typename: 'BatchStatus', id: 'vehicles/b-1', status: 'IN_PROGRESS', finished: false },
      ...{ progress: 0.25, totalCount: 4, successCount: 1, failureCount: 0 },
    };
    const update = { __typename: 'BatchStatusUpdate', ...B1, batchStatus };
    const extensions = { code: 'UNAUTHENTICATED', retryable: false };
    await using proxy = await startProxy(gateway, (response, { contentType, ...framing }) => {
      response.writeHead(200, { 'content-type': contentType });
      response.write(framing.opening);
      const toEvent = (id: number, result: object) =>
        `${framing.head(id)}${JSON.stringify(result)}${framing.tail}`;
      response.write(toEvent(1, { data: { batchStatusUpdates: update } }));
      response.write(toEvent(2, { errors: [{ message: '', extensions }] }));
      response.end(framing.completion);
    });
    const wait = () => Promise.reject(new Error('it does not wait'));
    const following = followBatches(connect(proxy.url), [B1], { wait });
    expect(await following.next()).toEqual({ done: false, value: news(B1, 'IN_PROGRESS', 1) });
    await expect(following.next()).rejects.toMatchObject(extensions);
    expect(upstream.statusCalls).toEqual([]);
  });

  test(`${name}: an error of the whole request that will not pass is thrown`, async () => {
    await using gateway = await startTestGateway();
    const many = Array.from({ length: 21 }, (_, index) => ({ ...B1, batchId: `b-${index}` }));
    await expect(follow(connect(gateway.endpoint.href), many)).rejects.toMatchObject({
      name: 'GatewayError',
      code: 'OPERATION_TOO_COMPLEX',
    });
  });

  test(`${name}: a gateway that is out of reach is tried again with longer waits, and then thrown`, async () => {
    await using upstream = await startScriptedUpstream();
    const { href } = upstream.url;
    await upstream[Symbol.asyncDispose]();
    const waits: number[] = [];
    const wait = async (ms: number) => void waits.push(ms);
    await expect(follow(connect(href), [B1], { wait, attempts: 7 })).rejects.toThrow(
      'fetch failed',
    );
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });
}

test('Apollo Client: what is followed renews the batch wherever it is shown', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startLive(upstream);
  answerInTurn(upstream, { 'b-1': RUNNING });
  const client = apollo.createApolloClient(gateway.endpoint.href);
  await client.query({ query: BatchStatusQuery, variables: B1 });
  await follow(apollo.batchSource(client));
  const { data } = await client.query({
    query: BatchStatusQuery,
    variables: B1,
    fetchPolicy: 'cache-only',
  });
  expect(data?.batchStatus).toMatchObject({ status: 'SUCCESS', successCount: 4 });
});

test('urql: what is followed renews the batch wherever it is shown', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startLive(upstream);
  answerInTurn(upstream, { 'b-1': RUNNING });
  const client = urql.createUrqlClient(gateway.endpoint.href);
  await client.query(BatchStatusQuery, B1);
  await follow(urql.batchSource(client));
  const { data } = await client.query(BatchStatusQuery, B1, { requestPolicy: 'cache-only' });
  expect(data?.batchStatus).toMatchObject({ status: 'SUCCESS', successCount: 4 });
});

test('following goes on after an outage of the network, and polls no more often than an error says', async () => {
  const answers: (Answer<{ batchStatuses: Update[] }> | Error)[] = [
    new Error('offline'),
    {
      data: { batchStatuses: [{ ...B1, batchStatus: null }] },
      errors: [
        new GatewayError({
          path: ['batchStatuses', 0, 'batchStatus'],
          extensions: { code: 'UPSTREAM_UNAVAILABLE', retryable: true, retryAfterMs: 7_000 },
        }),
      ],
    },
    { data: null, errors: [new GatewayError({ extensions: { code: 'UNAUTHENTICATED' } })] },
  ];
  let streams = 0;
  const source: BatchSource = {
    // biome-ignore lint/correctness/useYield: it has nothing to tell
    async *subscribe() {
      streams += 1;
      throw new Error('no streams');
    },
    async ask() {
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) throw answer;
      return answer;
    },
  };
  const waits: number[] = [];
  const wait = async (ms: number) => void waits.push(ms);
  const following = followBatches(source, [B1], { wait });
  expect(await following.next()).toEqual({
    done: false,
    value: {
      ...B1,
      batch: null,
      error: expect.objectContaining({ code: 'UPSTREAM_UNAVAILABLE' }),
    },
  });
  await expect(following.next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(waits).toEqual([1_000, 7_000]);
  // Once more after the outage, and not again when a query was answered.
  expect(streams).toBe(2);
});

test('Hive Gateway: a subscription to the supergraph follows a batch from start to finished, and completes', async () => {
  await using upstream = await startScriptedUpstream();
  answerInTurn(upstream, { 'b-1': RUNNING });
  await using example = runProgram('examples/supergraph/start.ts', {
    PORT: '0',
    ROUTER: 'hive',
    FOLLOW_MIN_MS: '100',
    ...environmentFor(upstream.url),
  });
  const [, url = ''] = await example.printed(/Supergraph {4}(\S+)/);
  expect(await follow(plain.batchSource(plain.createFetchClient(url)))).toEqual(B1_RUNNING);
  expect(upstream.statusCalls).toHaveLength(3);
  // With the gateway that it has started.
  example.process.kill('SIGTERM');
  expect(await example.exited).toBe(0);
});
