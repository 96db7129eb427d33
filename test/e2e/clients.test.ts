import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { validate } from 'graphql';
import { expect, expectTypeOf, onTestFinished, test, vi } from 'vitest';
import {
  adviceFor,
  GATEWAY_ERROR_CODES,
  GatewayError,
} from '../../examples/clients/gateway-errors.ts';
import { graphql } from '../../examples/clients/graphql.ts';
import * as operations from '../../examples/clients/operations.ts';
import type { Answer, PollOptions } from '../../examples/clients/poll-batch.ts';
import * as apollo from '../../examples/clients/with-apollo.ts';
import * as plain from '../../examples/clients/with-fetch.ts';
import * as urql from '../../examples/clients/with-urql.ts';
import { ERROR_CODES } from '../../src/core/error-codes.ts';
import { createSchema } from '../../src/graphql/schema/index.ts';
import { runProgram } from '../support/child-process.ts';
import {
  ECHO,
  type ScriptedAnswer,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway, type TestGateway, UUID } from '../support/test-gateway.ts';

type Batch = operations.Batch;
type BatchVariables = operations.BatchVariables;

const { BatchDetailsQuery, BatchFailuresQuery, BatchStatusQuery, BatchSummary, DashboardQuery } =
  operations;
const FOLDER = new URL('../../examples/clients/', import.meta.url);
const B1: BatchVariables = { participantType: 'vehicles', batchId: 'b-1' };

/** One of the clients, as the tests that are the same for all of them use it. */
interface ConnectedClient {
  status(variables: BatchVariables): Promise<Answer<unknown>>;
  dashboard(batches: {
    vehicles: string;
    drivers: string;
    operators: string;
  }): Promise<Answer<unknown>>;
  /** What polling every millisecond yields, until it ends by itself. */
  watch(variables: BatchVariables): Promise<Batch[]>;
}

const clients: [name: string, typename: object, connect: (url: string) => ConnectedClient][] = [
  [
    'fetch',
    {},
    (url) => {
      const client = plain.createFetchClient(url);
      return {
        status: (variables) => client.query(BatchStatusQuery, variables),
        dashboard: (variables) => client.query(DashboardQuery, variables),
        watch: (variables) => collected(plain.watchBatch(client, variables, { intervalMs: 1 })),
      };
    },
  ],
  [
    'Apollo Client',
    // It leaves this in what it answers.
    { __typename: 'BatchStatus' },
    (url) => {
      const client = apollo.createApolloClient(url);
      return {
        async status(variables) {
          const { data = null, error } = await client.query({
            query: BatchStatusQuery,
            variables,
            ...apollo.PARTIAL,
          });
          return { data, errors: apollo.gatewayErrors(error) };
        },
        async dashboard(variables) {
          const { data = null, error } = await client.query({
            query: DashboardQuery,
            variables,
            ...apollo.PARTIAL,
          });
          return { data, errors: apollo.gatewayErrors(error) };
        },
        watch: (variables) => emitted(apollo.watchBatch(client, variables, { intervalMs: 1 })),
      };
    },
  ],
  [
    'urql',
    {},
    (url) => {
      const client = urql.createUrqlClient(url);
      return {
        async status(variables) {
          const { data = null, error } = await client.query(BatchStatusQuery, variables);
          return { data, errors: urql.gatewayErrors(error) };
        },
        async dashboard(variables) {
          const { data = null, error } = await client.query(DashboardQuery, variables);
          return { data, errors: urql.gatewayErrors(error) };
        },
        watch: (variables) => collected(urql.watchBatch(client, variables, { intervalMs: 1 })),
      };
    },
  ],
];

/** All that a generator yields. */
async function collected(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const seen: Batch[] = [];
  for await (const batch of batches) seen.push(batch);
  return seen;
}

/** All that an observable emits. Rejects with its error. */
function emitted(batches: ReturnType<typeof apollo.watchBatch>): Promise<Batch[]> {
  const seen: Batch[] = [];
  return new Promise((resolve, reject) => {
    batches.subscribe({
      next: (batch) => seen.push(batch),
      error: reject,
      complete: () => resolve(seen),
    });
  });
}

/** A gateway that keeps no copy: each poll goes to the upstream, and each of its failures to the client. */
function startUncached(upstream: ScriptedUpstream): Promise<TestGateway> {
  const environment = { STATUS_TTL_MS: '0', STATUS_FINISHED_TTL_MS: '0', STATUS_STALE_MS: '0' };
  return startTestGateway({ upstream, environment });
}

/** The upstream gives these answers, and the last again and again. */
function answerInTurn(upstream: ScriptedUpstream, ...answers: ScriptedAnswer[]): void {
  upstream.onStatus = () => answers[upstream.statusCalls.length - 1] ?? answers.at(-1);
}

/** An upstream's answer about a batch of 4. */
function batchOf4(status: string, successCount: number, failureCount = 0): ScriptedAnswer {
  const errors = Array.from({ length: failureCount }, (_, index) => ({
    refID: `r-${index}`,
    reason: 'vin missing',
  }));
  const meta = { status, success: successCount, failed: failureCount, total: 4 };
  return { body: { data: { meta, errors, success: [] }, request: ECHO } };
}

/** What clients get of it. */
function summaryOf4(status: string, successCount: number, failureCount = 0): Batch {
  return summary('vehicles/b-1', status, 4, successCount, failureCount);
}

function summary(
  id: string,
  status: string,
  totalCount: number,
  successCount: number,
  failureCount: number,
): Batch {
  return {
    id,
    status,
    finished: status !== 'QUEUED' && status !== 'IN_PROGRESS',
    progress: (successCount + failureCount) / totalCount,
    totalCount,
    successCount,
    failureCount,
  };
}

const NOT_FOUND: ScriptedAnswer = { status: 404, body: '' };
const MAINTENANCE: ScriptedAnswer = { status: 503, body: '', headers: { 'retry-after': '7' } };

/** By the time that these are answered, a poll that was due would have gone out. */
async function letPollsGoOut(gateway: TestGateway): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    await (await fetch(new URL('/livez', gateway.url))).text();
  }
}

for (const [name, typename, connect] of clients) {
  test(`${name}: a typed query goes out as POST, and gives the fields of its document`, async () => {
    await using gateway = await startTestGateway();
    const client = connect(gateway.endpoint.href);
    expect(await client.status({ participantType: 'vehicles', batchId: 'batch-partial' })).toEqual({
      data: {
        batchStatus: {
          ...typename,
          ...summary('vehicles/batch-partial', 'PARTIAL_SUCCESS', 10, 7, 3),
        },
      },
      errors: [],
    });
    expect(gateway.logLines.join('')).toContain('"method":"POST"');
  });

  test(`${name}: one batch that fails leaves the others, and says where and why`, async () => {
    await using gateway = await startTestGateway();
    const client = connect(gateway.endpoint.href);
    const { data, errors } = await client.dashboard({
      vehicles: 'batch-failed',
      drivers: 'fault-404',
      operators: 'batch-finished',
    });
    expect(data).toEqual({
      vehicles: { ...typename, ...summary('vehicles/batch-failed', 'FAILED', 2, 0, 2) },
      drivers: null,
      operators: { ...typename, ...summary('operators/batch-finished', 'SUCCESS', 3, 3, 0) },
    });
    expect(errors.map(membersOf)).toEqual([
      {
        name: 'GatewayError',
        message: 'The batch does not exist.',
        path: ['drivers'],
        code: 'NOT_FOUND',
        retryable: false,
        retryAfterMs: undefined,
        requestId: UUID,
      },
    ]);
  });

  test(`${name}: each fault of the sandbox leads to what a frontend does about it`, async () => {
    // Sooner than a Retry-After, which would be waited for.
    await using gateway = await startTestGateway({ environment: { REQUEST_DEADLINE_MS: '1900' } });
    const client = connect(gateway.endpoint.href);
    const advice = async (batchId: string) => {
      // While the Retry-After of a 429 runs, nothing else of that type is asked for.
      const participantType = batchId === 'fault-429' ? 'drivers' : 'vehicles';
      const { errors } = await client.status({ participantType, batchId });
      return [batchId, ...errors.flatMap((error) => [error.code, adviceFor(error)])];
    };
    const soon = { action: 'try-again', afterMs: undefined };
    const support = { action: 'tell-support', requestId: UUID };
    const expected = [
      [
        'fault-400',
        'BAD_USER_INPUT',
        { action: 'mend-input', message: 'The batch request is malformed.' },
      ],
      ['fault-401', 'UPSTREAM_UNAUTHENTICATED', support],
      ['fault-403', 'UPSTREAM_FORBIDDEN', support],
      ['fault-404', 'NOT_FOUND', { action: 'say-not-found' }],
      ['fault-429', 'UPSTREAM_RATE_LIMITED', { action: 'try-again', afterMs: 2_000 }],
      ['fault-500', 'UPSTREAM_UNAVAILABLE', soon],
      ['fault-503', 'UPSTREAM_UNAVAILABLE', { action: 'try-again', afterMs: 5_000 }],
      ['fault-reset', 'UPSTREAM_UNAVAILABLE', soon],
      ['fault-html', 'UPSTREAM_BAD_RESPONSE', soon],
      ['fault-truncated', 'UPSTREAM_BAD_RESPONSE', soon],
      ['fault-empty', 'UPSTREAM_BAD_RESPONSE', soon],
      ['fault-huge', 'UPSTREAM_BAD_RESPONSE', soon],
    ] as const;
    expect(await Promise.all(expected.map(([batchId]) => advice(batchId)))).toEqual(expected);
  });

  test(`${name}: a request that is refused as a whole has its code, too`, async () => {
    await using gateway = await startTestGateway();
    const client = connect(gateway.endpoint.href);
    const { data, errors } = await client.status({ participantType: 'v'.repeat(70_000) });
    expect(data).toBeNull();
    expect(errors.map(({ path, code }) => [path, code])).toEqual([[[], 'PAYLOAD_TOO_LARGE']]);
  });

  test(`${name}: what is not GraphQL, or not there, is thrown`, async () => {
    await using gateway = await startTestGateway();
    await expect(connect(new URL('/nowhere', gateway.url).href).status(B1)).rejects.toThrow(
      /404|Not Found/,
    );
    await gateway[Symbol.asyncDispose]();
    await expect(connect(gateway.endpoint.href).status(B1)).rejects.toThrow('fetch failed');
  });

  test(`${name}: polling goes on while a batch is not finished, and not after that`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startUncached(upstream);
    answerInTurn(
      upstream,
      batchOf4('QUEUED', 0),
      batchOf4('IN_PROGRESS', 1),
      batchOf4('IN_PROGRESS', 2),
      batchOf4('SUCCESS', 4),
    );
    expect(await connect(gateway.endpoint.href).watch(B1)).toEqual([
      { ...typename, ...summaryOf4('QUEUED', 0) },
      { ...typename, ...summaryOf4('IN_PROGRESS', 1) },
      { ...typename, ...summaryOf4('IN_PROGRESS', 2) },
      { ...typename, ...summaryOf4('SUCCESS', 4) },
    ]);
    await letPollsGoOut(gateway);
    expect(upstream.statusCalls).toHaveLength(4);
  });

  test(`${name}: polling ends with an error that will not pass`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startUncached(upstream);
    answerInTurn(upstream, batchOf4('IN_PROGRESS', 1), NOT_FOUND);
    const failure: unknown = await connect(gateway.endpoint.href)
      .watch(B1)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(GatewayError);
    expect(failure).toHaveProperty('code', 'NOT_FOUND');
    await letPollsGoOut(gateway);
    expect(upstream.statusCalls).toHaveLength(2);
  });
}

function membersOf(error: GatewayError) {
  return { ...error, message: error.message };
}

const generators: [
  name: string,
  watch: (url: string, options: PollOptions) => AsyncGenerator<Batch, void>,
][] = [
  ['fetch', (url, options) => plain.watchBatch(plain.createFetchClient(url), B1, options)],
  ['urql', (url, options) => urql.watchBatch(urql.createUrqlClient(url), B1, options)],
];

for (const [name, watch] of generators) {
  test(`${name}: polling waits for the interval, or longer when an error says so`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startUncached(upstream);
    answerInTurn(
      upstream,
      batchOf4('IN_PROGRESS', 1),
      MAINTENANCE,
      { status: 500, body: '' },
      batchOf4('SUCCESS', 4),
    );
    const waits: number[] = [];
    const wait = async (ms: number) => {
      if (waits.push(ms) > 9) throw new Error('it polls for ever');
    };
    expect(await collected(watch(gateway.endpoint.href, { intervalMs: 3_000, wait }))).toEqual([
      summaryOf4('IN_PROGRESS', 1),
      summaryOf4('SUCCESS', 4),
    ]);
    expect(waits).toEqual([3_000, 7_000, 3_000]);
    expect(upstream.statusCalls).toHaveLength(4);
  });

  test(`${name}: an abort ends the polling while it waits, and before it begins to`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startUncached(upstream);
    answerInTurn(upstream, batchOf4('IN_PROGRESS', 1));
    for (const abortFirst of [true, false]) {
      const leaving = new AbortController();
      const polling = watch(gateway.endpoint.href, { intervalMs: 600_000, signal: leaving.signal });
      expect(await polling.next()).toEqual({ done: false, value: summaryOf4('IN_PROGRESS', 1) });
      if (abortFirst) leaving.abort();
      // Runs until it waits.
      const next = polling.next();
      leaving.abort();
      expect(await next).toEqual({ done: true, value: undefined });
    }
    expect(upstream.statusCalls).toHaveLength(2);
  });

  test(`${name}: an answer that comes after the abort is not yielded`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startUncached(upstream);
    const { promise, resolve } = Promise.withResolvers<ScriptedAnswer>();
    upstream.onStatus = () => promise;
    const leaving = new AbortController();
    const next = watch(gateway.endpoint.href, { signal: leaving.signal }).next();
    await upstream.statusCallCount(1);
    leaving.abort();
    resolve(batchOf4('IN_PROGRESS', 1));
    expect(await next).toEqual({ done: true, value: undefined });
  });
}

test('fetch: an abort takes back the question that is on its way', async () => {
  await using upstream = await startScriptedUpstream();
  // On its clock, nothing takes too long.
  await using gateway = await startTestGateway({ upstream, clock: new TestClock() });
  upstream.onStatus = () => undefined;
  const leaving = new AbortController();
  const client = plain.createFetchClient(gateway.endpoint.href);
  const next = plain.watchBatch(client, B1, { signal: leaving.signal }).next();
  await upstream.statusCallCount(1);
  leaving.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  await upstream.statusCalls[0]?.closed;
});

test('fetch: what answers without speaking GraphQL is named', async () => {
  await using server = await startScriptedUpstream();
  const client = plain.createFetchClient(server.url.href);
  const answers: [ScriptedAnswer, string][] = [
    [
      { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>no</h1>' },
      '502 (text/html)',
    ],
    [{ body: '{"data":' }, '200 (application/json)'],
    [{ body: 'null' }, '200 (application/json)'],
    [{ body: { errors: 'many' } }, '200 (application/json)'],
    [{ status: 404, body: { error: 'nothing here' } }, '404 (application/json)'],
  ];
  for (const [answer, said] of answers) {
    server.onToken = () => answer;
    await expect(client.query(BatchStatusQuery, B1)).rejects.toThrow(
      `${server.url.href} answered ${said}, which is not GraphQL.`,
    );
  }
});

test('Apollo Client: polls are skipped until the time that an error names', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startUncached(upstream);
  answerInTurn(upstream, batchOf4('IN_PROGRESS', 1), MAINTENANCE, batchOf4('SUCCESS', 4));
  let time = 0;
  const skipped: number[] = [];
  /** Stands still, but moves on when ten polls were skipped. */
  const now = () => {
    if (upstream.statusCalls.length === 2 && skipped.push(time) > 10) time += 3_500;
    return time;
  };
  const client = apollo.createApolloClient(gateway.endpoint.href);
  await emitted(apollo.watchBatch(client, B1, { intervalMs: 1, now }));
  expect(time).toBe(7_000);
  expect(upstream.statusCalls).toHaveLength(3);
});

test('Apollo Client: unsubscribing ends the polling', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startUncached(upstream);
  answerInTurn(upstream, batchOf4('IN_PROGRESS', 1));
  const client = apollo.createApolloClient(gateway.endpoint.href);
  await new Promise<void>((resolve, reject) => {
    const watching = apollo.watchBatch(client, B1, { intervalMs: 1 }).subscribe({
      next: () => {
        watching.unsubscribe();
        resolve();
      },
      error: reject,
    });
  });
  await letPollsGoOut(gateway);
  expect(upstream.statusCalls).toHaveLength(1);
});

test('Apollo Client: a query that is watched has partial data, too', async () => {
  await using gateway = await startTestGateway();
  const client = apollo.createApolloClient(gateway.endpoint.href);
  const variables = { vehicles: 'batch-finished', drivers: 'fault-404', operators: 'fault-503' };
  const seen = await new Promise((resolve, reject) => {
    client.watchQuery({ query: DashboardQuery, variables, ...apollo.PARTIAL }).subscribe({
      next({ loading, data, error }) {
        const codes = apollo.gatewayErrors(error).map(({ code }) => code);
        if (!loading) resolve({ data, codes });
      },
      error: reject,
    });
  });
  expect(seen).toEqual({
    data: {
      vehicles: {
        __typename: 'BatchStatus',
        ...summary('vehicles/batch-finished', 'SUCCESS', 3, 3, 0),
      },
      drivers: null,
      operators: null,
    },
    codes: ['NOT_FOUND', 'UPSTREAM_UNAVAILABLE'],
  });
});

/** Two ways to ask for one batch: a cache sees by the `id` that it is one. */
const LEFT_OUT: BatchVariables = { participantType: 'vehicles' };
const NULL: BatchVariables = { participantType: 'vehicles', batchId: null };

const DETAILS = {
  id: 'vehicles',
  status: 'IN_PROGRESS',
  failureCount: 2,
  failures: {
    totalCount: 2,
    edges: ['r-0', 'r-1'].map((refId) => ({ node: { refId, reason: 'vin missing' } })),
    pageInfo: { hasNextPage: false, endCursor: expect.stringMatching(/^[\w-]{12}\.1$/) },
  },
  request: { method: 'GET', uri: '/status', queryString: '' },
  fetchedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
};
/** What the cache has of BatchStatus when BatchDetails came later, and when a poll did. */
const RENEWED = { ...summary('vehicles', 'IN_PROGRESS', 4, 1, 0), failureCount: 2 };
const POLLED = summary('vehicles', 'SUCCESS', 4, 2, 2);

function answerWithCacheStory(upstream: ScriptedUpstream): void {
  const failing = batchOf4('IN_PROGRESS', 1, 2);
  answerInTurn(upstream, batchOf4('IN_PROGRESS', 1), failing, failing, batchOf4('SUCCESS', 2, 2));
}

/** Fails the test when a client complains about how it is used. */
function expectNoWarnings(): void {
  const spies = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'error')];
  onTestFinished(() => {
    for (const spy of spies) {
      expect(spy.mock.calls).toEqual([]);
      spy.mockRestore();
    }
  });
}

/** Takes another part of the echo than BatchDetails does. */
const EchoQuery = graphql(`
  query Echo($participantType: String!, $batchId: ID) {
    batchStatus(participantType: $participantType, batchId: $batchId) {
      id
      request {
        body
      }
    }
  }
`);

test('Apollo Client: queries and polls renew one batch in the cache, which is read without asking', async () => {
  expectNoWarnings();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startUncached(upstream);
  answerWithCacheStory(upstream);
  const client = apollo.createApolloClient(gateway.endpoint.href);
  const fetchPolicy = 'cache-only';
  const kept = async () =>
    (await client.query({ query: BatchStatusQuery, variables: LEFT_OUT, fetchPolicy })).data;
  const __typename = 'BatchStatus';
  const { failures, request } = DETAILS;
  const details = {
    ...DETAILS,
    __typename,
    failures: {
      ...failures,
      __typename: 'BatchRecordConnection',
      edges: failures.edges.map(({ node }) => ({
        __typename: 'BatchRecordEdge',
        node: { ...node, __typename: 'BatchRecord' },
      })),
      pageInfo: { ...failures.pageInfo, __typename: 'PageInfo' },
    },
    request: { ...request, __typename: 'UpstreamRequest' },
  };

  await client.query({ query: BatchStatusQuery, variables: LEFT_OUT });
  const answer = await client.query({ query: BatchDetailsQuery, variables: NULL });
  expect(answer).toEqual({ data: { batchStatus: details } });
  expect(await kept()).toEqual({ batchStatus: { ...RENEWED, __typename } });
  await client.query({ query: EchoQuery, variables: NULL });
  expect(await client.query({ query: BatchDetailsQuery, variables: NULL, fetchPolicy })).toEqual(
    answer,
  );
  expect(upstream.statusCalls).toHaveLength(3);

  // It has the batch in the cache, and asks all the same.
  await emitted(apollo.watchBatch(client, NULL, { intervalMs: 600_000 }));
  expect(await kept()).toEqual({ batchStatus: { ...POLLED, __typename } });
  expect(upstream.statusCalls).toHaveLength(4);
});

test('urql: queries and polls renew one batch in the cache, which is read without asking', async () => {
  expectNoWarnings();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startUncached(upstream);
  answerWithCacheStory(upstream);
  const client = urql.createUrqlClient(gateway.endpoint.href);
  const kept = async () => (await client.query(BatchStatusQuery, LEFT_OUT)).data;
  const details = async () => (await client.query(BatchDetailsQuery, NULL)).data;

  await client.query(BatchStatusQuery, LEFT_OUT);
  expect(await details()).toEqual({ batchStatus: DETAILS });
  expect(await kept()).toEqual({ batchStatus: RENEWED });
  await client.query(EchoQuery, NULL);
  expect(await details()).toEqual({ batchStatus: DETAILS });
  expect(upstream.statusCalls).toHaveLength(3);

  await collected(urql.watchBatch(client, NULL));
  expect(await kept()).toEqual({ batchStatus: POLLED });
  expect(upstream.statusCalls).toHaveLength(4);
});

/** Two pages and a half. */
function batchWith250Failures(): ScriptedAnswer {
  const errors = Array.from({ length: 250 }, (_, index) => ({
    refID: `row-${index}`,
    reason: 'x',
  }));
  const meta = { status: 'FAILED', success: 0, failed: 250, total: 250 };
  return { body: { data: { meta, errors, success: [] }, request: ECHO } };
}
const REF_IDS = Array.from({ length: 250 }, (_, index) => `row-${index}`);

test('Apollo Client: fetchMore adds page after page of failures', async () => {
  expectNoWarnings();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = batchWith250Failures;
  const client = apollo.createApolloClient(gateway.endpoint.href);
  const query = client.watchQuery({ query: BatchFailuresQuery, variables: B1 });
  const first = Promise.withResolvers<void>();
  const watching = query.subscribe(({ loading }) => loading || first.resolve());
  const shown = () => query.getCurrentResult().data?.batchStatus?.failures;

  await first.promise;
  for (const length of [200, 250]) {
    await query.fetchMore({ variables: { after: shown()?.pageInfo?.endCursor ?? null } });
    await expect.poll(() => shown()?.edges).toHaveLength(length);
  }
  expect(shown()?.pageInfo?.hasNextPage).toBe(false);
  expect(shown()?.edges?.map((edge) => edge?.node?.refId)).toEqual(REF_IDS);
  watching.unsubscribe();
});

test('urql: each page of failures is one of its own in the cache', async () => {
  expectNoWarnings();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = batchWith250Failures;
  const client = urql.createUrqlClient(gateway.endpoint.href);
  const page = async (after: string | null) =>
    (await client.query(BatchFailuresQuery, { ...B1, after })).data?.batchStatus?.failures;

  const first = await page(null);
  const second = await page(first?.pageInfo.endCursor ?? null);
  const third = await page(second?.pageInfo.endCursor ?? null);
  expect(third?.pageInfo.hasNextPage).toBe(false);
  const pages = [first, second, third];
  expect(pages.flatMap((each) => each?.edges.map(({ node }) => node.refId))).toEqual(REF_IDS);
  expect(await page(null)).toEqual(first);
});

/** One participant that two uploads named in their own ways. */
const SuccessesQuery = graphql(`
  query Successes {
    a: batchStatus(participantType: "vehicles", batchId: "a") {
      id
      successes {
        edges {
          node {
            id
            refId
          }
        }
      }
    }
    b: batchStatus(participantType: "vehicles", batchId: "b") {
      id
      successes {
        edges {
          node {
            id
            refId
          }
        }
      }
    }
  }
`);

test('a participant in two batches keeps the reference that each of them has for it, in either cache', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = ({ target }) => ({
    body: { data: { success: [{ id: 'p-1', refID: `ref-${target.at(-1)}` }] } },
  });
  type Shown = { successes: { edges: { node: { refId: string | null } }[] } | null } | null;
  const refIds = (data: { a: Shown; b: Shown } | undefined) =>
    [data?.a, data?.b].map((batch) => batch?.successes?.edges[0]?.node.refId);

  const ofApollo = await apollo
    .createApolloClient(gateway.endpoint.href)
    .query({ query: SuccessesQuery });
  expect(refIds(ofApollo.data)).toEqual(['ref-a', 'ref-b']);
  const ofUrql = await urql.createUrqlClient(gateway.endpoint.href).query(SuccessesQuery, {});
  expect(refIds(ofUrql.data)).toEqual(['ref-a', 'ref-b']);
});

for (const [name, typename, connect] of clients) {
  test(`${name}: a batch that could not be read is asked for again`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startUncached(upstream);
    answerInTurn(upstream, MAINTENANCE, batchOf4('IN_PROGRESS', 1));
    const client = connect(gateway.endpoint.href);
    expect((await client.status(B1)).errors.map(({ code }) => code)).toEqual([
      'UPSTREAM_UNAVAILABLE',
    ]);
    expect(await client.status(B1)).toEqual({
      data: { batchStatus: { ...typename, ...summaryOf4('IN_PROGRESS', 1) } },
      errors: [],
    });
  });
}

test('what a frontend does about each code agrees with whether the gateway calls it retryable', () => {
  expect(GATEWAY_ERROR_CODES).toEqual(Object.keys(ERROR_CODES));
  const advised = Object.entries(ERROR_CODES).map(([code, { retryable }]) => {
    const error = new GatewayError({ message: '', extensions: { code, retryable } });
    return [code, adviceFor(error).action === 'try-again'];
  });
  expect(advised).toEqual(
    Object.entries(ERROR_CODES).map(([code, { retryable }]) => [code, retryable]),
  );
  expect(adviceFor(new GatewayError({ extensions: { code: 'UNAUTHENTICATED' } }))).toEqual({
    action: 'log-in-again',
  });
});

test('an error with a code that nobody knows is treated by retryable, and one without any is for support', () => {
  const advice = (error: unknown) => adviceFor(new GatewayError(error));
  const extensions = { code: 'BRAND_NEW', requestId: 'r-1' };
  expect([
    advice({ extensions: { ...extensions, retryable: true, retryAfterMs: 10 } }),
    advice({ extensions: { ...extensions, retryable: true } }),
    advice({ extensions: { ...extensions, retryable: false } }),
    advice({ extensions: { retryable: 'yes', requestId: 1 } }),
    advice({ message: 'from elsewhere', path: 'odd' }),
    advice(null),
    advice('text'),
  ]).toEqual([
    { action: 'try-again', afterMs: 10 },
    { action: 'try-again', afterMs: undefined },
    { action: 'tell-support', requestId: 'r-1' },
    { action: 'tell-support', requestId: undefined },
    { action: 'tell-support', requestId: undefined },
    { action: 'tell-support', requestId: undefined },
    { action: 'tell-support', requestId: undefined },
  ]);
});

test('the operations are valid, and typed', () => {
  const schema = createSchema();
  const queries = Object.values(operations).filter((document) => document !== BatchSummary);
  expect(queries.map((query) => validate(schema, query))).toEqual([[], [], [], [], [], []]);
  expectTypeOf<Batch>().toEqualTypeOf<{
    id: string;
    status: string | null;
    finished: boolean | null;
    progress: number | null;
    totalCount: number | null;
    successCount: number | null;
    failureCount: number | null;
  }>();
  expectTypeOf<BatchVariables>().toEqualTypeOf<{
    participantType: string;
    batchId?: string | null;
  }>();
});

test('graphql-env.d.ts is what npm run generate makes of schema.graphql', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'clients-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const output = join(folder, 'graphql-env.d.ts');
  const cli = fileURLToPath(new URL('node_modules/gql.tada/bin/cli.js', FOLDER));
  await promisify(execFile)(
    process.execPath,
    [cli, 'generate', 'output', '--output', output, '--tsconfig', fileURLToPath(FOLDER)],
    { cwd: FOLDER },
  );
  expect(await readFile(output, 'utf8')).toBe(
    await readFile(new URL('graphql-env.d.ts', FOLDER), 'utf8'),
  );
});

test('npm run demo prints what README.md says', async () => {
  await using gateway = await startTestGateway();
  await using demo = runProgram('examples/clients/demo.ts', {
    GATEWAY_URL: gateway.endpoint.href,
  });
  expect(await demo.exited).toBe(0);
  const [, promised] =
    /```text\n(.*?)```/s.exec(await readFile(new URL('README.md', FOLDER), 'utf8')) ?? [];
  expect(demo.output()).toBe(promised);
});

test('npm run demo without a gateway says so, with exit code 1', async () => {
  await using upstream = await startScriptedUpstream();
  const { href } = upstream.url;
  await upstream[Symbol.asyncDispose]();
  await using demo = runProgram('examples/clients/demo.ts', { GATEWAY_URL: href });
  expect(await demo.exited).toBe(1);
  expect(demo.output()).toBe(
    `There is no gateway to ask at ${href}: TypeError: fetch failed\nStart one with "npm start" in the project's main folder, or set GATEWAY_URL.\n`,
  );
});
