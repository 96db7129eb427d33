import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createServer } from 'vite';
import { expect, onTestFinished, test, vi } from 'vitest';
import { fetchWithToken } from '../../examples/clients/fetch-with-token.ts';
import { type BatchSource, followBatches } from '../../examples/clients/follow-batches.ts';
import { GatewayError } from '../../examples/clients/gateway-errors.ts';
// By its file: it is a package of the examples, and not of the project.
import {
  environmentManager,
  QueryClient,
  QueryObserver,
} from '../../examples/clients/node_modules/@tanstack/query-core/build/modern/index.js';
import type { BatchVariables } from '../../examples/clients/operations.ts';
import * as apollo from '../../examples/clients/with-apollo.ts';
import * as plain from '../../examples/clients/with-fetch.ts';
import { batchStatusQuery } from '../../examples/clients/with-tanstack-query.ts';
import * as urql from '../../examples/clients/with-urql.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import {
  ECHO,
  type ScriptedAnswer,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { sendBody, startTestGateway } from '../support/test-gateway.ts';

const FOLDER = new URL('../../examples/clients/', import.meta.url);
const FINISHED: BatchVariables = { participantType: 'vehicles', batchId: 'batch-finished' };

const sources: [name: string, connect: (url: string, send: typeof fetch) => BatchSource][] = [
  ['fetch', (url, send) => plain.batchSource(plain.createFetchClient(url, send))],
  ['Apollo Client', (url, send) => apollo.batchSource(apollo.createApolloClient(url, { send }))],
  ['urql', (url, send) => urql.batchSource(urql.createUrqlClient(url, { send }))],
];

test.each(sources)(
  '%s: fetchWithToken sends the token of the moment, with queries and subscriptions',
  async (_, connect) => {
    const sandbox = await startSandbox({ clock: systemClock, port: 0 });
    onTestFinished(() => sandbox.close());
    await using gateway = await startTestGateway({
      environment: {
        AUTH_MODE: 'jwt',
        AUTH_ISSUER: sandbox.url.origin,
        AUTH_AUDIENCE: sandbox.issuer.audience,
      },
    });
    let token: string | undefined;
    const source = connect(
      gateway.endpoint.href,
      fetchWithToken(async () => token),
    );
    const { signal } = new AbortController();
    const { data, errors } = await source.ask([FINISHED], signal);
    expect([data, errors.map(({ code }) => code)]).toEqual([null, ['UNAUTHENTICATED']]);

    token = await sandbox.issuer.issueToken({});
    const answer = await source.ask([FINISHED], signal);
    expect(answer).toMatchObject({
      data: { batchStatuses: [{ batchStatus: { status: 'SUCCESS' } }] },
      errors: [],
    });
    const news = [];
    for await (const { batch } of followBatches(source, [FINISHED])) news.push(batch?.status);
    expect(news).toEqual(['SUCCESS']);
    const streams = gateway.logLines.filter((line) => line.includes('"stream ended"'));
    expect(streams).toHaveLength(1);
  },
);

test('a token that cannot be had is the error of the question', async () => {
  const send = fetchWithToken(() => Promise.reject(new Error('log in')));
  const client = plain.createFetchClient('http://127.0.0.1:1/graphql', send);
  await expect(plain.watchBatch(client, FINISHED).next()).rejects.toThrow('log in');
});

/** The upstream's answer about a batch, with that status. */
function batch(status: string, success: number): ScriptedAnswer {
  const meta = { status, success, failed: 0, total: 4 };
  return { body: { data: { meta, errors: [], success: [] }, request: ECHO } };
}

/**
 * What TanStack Query shows of answers in turn, up to the last of them: statuses of batches, and codes of errors.
 * Polls every millisecond, and waits for nothing longer in between.
 */
async function shownByTanstackQuery(upstream: ScriptedUpstream, answers: ScriptedAnswer[]) {
  // It polls in browsers alone.
  environmentManager.setIsServer(() => false);
  onTestFinished(() => environmentManager.setIsServer(() => true));
  await using gateway = await startTestGateway({
    upstream,
    environment: { STATUS_TTL_MS: '0', STATUS_FINISHED_TTL_MS: '0', STATUS_STALE_MS: '0' },
  });
  upstream.onStatus = () => answers[upstream.statusCalls.length - 1] ?? answers.at(-1);
  const options = batchStatusQuery(plain.createFetchClient(gateway.endpoint.href), FINISHED, {
    intervalMs: 1,
  });
  const observer = new QueryObserver(new QueryClient(), { ...options, retry: false });
  const shown: (string | null | undefined)[] = [];
  const unsubscribe = observer.subscribe(({ data, error, fetchStatus }) => {
    if (fetchStatus === 'fetching') return;
    const code = error instanceof GatewayError ? error.code : undefined;
    const state = error === null ? data?.status : code;
    if (shown.at(-1) !== state) shown.push(state);
  });
  onTestFinished(unsubscribe);
  await upstream.statusCallCount(answers.length);
  await expect.poll(() => observer.getCurrentResult().fetchStatus).toBe('idle');
  // By the time that these are answered, a poll that was due would have gone out.
  for (let round = 0; round < 20; round += 1) await fetch(new URL('/livez', gateway.url));
  expect(upstream.statusCalls).toHaveLength(answers.length);
  return shown;
}

const MAINTENANCE: ScriptedAnswer = { status: 503, body: '' };

test('TanStack Query: polling goes on through errors that may pass, and ends when the batch is finished', async () => {
  await using upstream = await startScriptedUpstream();
  const answers = [batch('QUEUED', 0), MAINTENANCE, batch('IN_PROGRESS', 1), batch('SUCCESS', 4)];
  // Each outage is two calls: the gateway asks once more.
  const calls = answers.flatMap((answer) => (answer === MAINTENANCE ? [answer, answer] : answer));
  expect(await shownByTanstackQuery(upstream, calls)).toEqual([
    'QUEUED',
    'UPSTREAM_UNAVAILABLE',
    'IN_PROGRESS',
    'SUCCESS',
  ]);
});

test('TanStack Query: polling ends with an error that will not pass', async () => {
  await using upstream = await startScriptedUpstream();
  const answers = [batch('IN_PROGRESS', 1), { status: 404, body: '' }];
  expect(await shownByTanstackQuery(upstream, answers)).toEqual(['IN_PROGRESS', 'NOT_FOUND']);
});

test('TanStack Query: an error is asked about again where that may help, after its retryAfterMs', () => {
  const { retry, retryDelay } = batchStatusQuery(plain.createFetchClient('/graphql'), FINISHED);
  if (typeof retry !== 'function' || typeof retryDelay !== 'function') throw new Error('no rules');
  const error = (code: string, retryAfterMs?: number) =>
    new GatewayError({ extensions: { code, retryable: true, retryAfterMs } });
  const connection = new TypeError('fetch failed');
  expect([0, 2, 3].map((failures) => retry(failures, error('OVERLOADED')))).toEqual([
    true,
    true,
    false,
  ]);
  expect([retry(0, error('NOT_FOUND')), retry(0, connection)]).toEqual([false, true]);
  expect([
    retryDelay(0, error('OVERLOADED')),
    retryDelay(2, connection),
    retryDelay(0, error('OVERLOADED', 7_000)),
  ]).toEqual([1_000, 4_000, 7_000]);
});

test("Vite's proxy of the example hands queries and subscriptions on to a gateway without CORS_ORIGINS", async () => {
  await using gateway = await startTestGateway();
  vi.stubEnv('GATEWAY_URL', gateway.url.origin);
  onTestFinished(() => void vi.unstubAllEnvs());
  const vite = await createServer({
    configFile: fileURLToPath(new URL('vite.config.ts', FOLDER)),
    root: tmpdir(),
    logLevel: 'error',
    server: { host: '127.0.0.1', port: 0, ws: false },
    optimizeDeps: { noDiscovery: true },
  });
  onTestFinished(() => vite.close());
  await vite.listen();
  const [url = ''] = vite.resolvedUrls?.local ?? [];
  // As a browser does for a page of that origin.
  const send: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set('origin', new URL(url).origin);
    headers.set('sec-fetch-site', 'same-origin');
    return fetch(input, { ...init, headers });
  };
  const source = plain.batchSource(plain.createFetchClient(`${url}graphql`, send));
  const { data } = await source.ask([FINISHED], new AbortController().signal);
  expect(data).toMatchObject({ batchStatuses: [{ batchStatus: { status: 'SUCCESS' } }] });
  const news = [];
  for await (const { batch } of followBatches(source, [FINISHED])) news.push(batch?.status);
  expect(news).toEqual(['SUCCESS']);
  expect(gateway.logLines.join('')).toContain('"stream ended"');
  expect(gateway.logLines.join('')).not.toContain('CORS_ORIGINS');
});

test("GraphQL Code Generator's persisted-documents.json is a file for TRUSTED_DOCUMENTS as it is, and its scalars are typed", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'codegen-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  // The configuration of the example, which writes somewhere else, and has one operation more.
  const config = join(folder, 'codegen.ts');
  await writeFile(
    config,
    `import config from ${JSON.stringify(fileURLToPath(new URL('codegen.ts', FOLDER)))};
    export default {
      ...config,
      documents: [...config.documents, '${folder}/scalars.graphql'],
      generates: { '${folder}/generated/': config.generates['./generated/'] },
    };`,
  );
  await writeFile(
    join(folder, 'scalars.graphql'),
    'query Scalars { batchStatus(participantType: "vehicles") { data dataAt(pointer: "/meta") } }',
  );
  const cli = fileURLToPath(new URL('node_modules/@graphql-codegen/cli/esm/bin.js', FOLDER));
  await promisify(execFile)(process.execPath, [cli, '--config', config], { cwd: FOLDER });

  const types = await readFile(join(folder, 'generated/graphql.ts'), 'utf8');
  const typed = ['fetchedAt: string,', 'data: Record<string, unknown>, dataAt: unknown'];
  expect(typed.filter((text) => !types.includes(text))).toEqual([]);
  const file = join(folder, 'generated/persisted-documents.json');
  const documents: Record<string, string> = JSON.parse(await readFile(file, 'utf8'));
  const [id = ''] =
    Object.entries(documents).find(([, text]) => text.includes('query BatchStatus(')) ?? [];
  await using gateway = await startTestGateway({ environment: { TRUSTED_DOCUMENTS: file } });
  const variables = FINISHED;
  const hash = id.replace('sha256:', '');
  const requests = [
    { documentId: id, variables },
    { extensions: { persistedQuery: { version: 1, sha256Hash: hash } }, variables },
  ];
  for (const request of requests) {
    const { status, body } = await sendBody(gateway, JSON.stringify(request));
    expect([status, JSON.parse(body)]).toMatchObject([
      200,
      { data: { batchStatus: { __typename: 'BatchStatus', status: 'SUCCESS' } } },
    ]);
  }
  const other = { documentId: `sha256:${'0'.repeat(64)}` };
  expect(JSON.parse((await sendBody(gateway, JSON.stringify(other))).body)).toMatchObject({
    errors: [{ extensions: { code: 'UNKNOWN_DOCUMENT', retryable: true } }],
  });
});
