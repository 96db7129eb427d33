import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createPersistingApolloClient,
  createPersistingUrqlClient,
  createTrustedApolloClient,
  createTrustedUrqlClient,
} from '../../examples/clients/by-hash.ts';
import { followBatches } from '../../examples/clients/follow-batches.ts';
import { BatchStatusQuery } from '../../examples/clients/operations.ts';
import { TrustedBatchStatus } from '../../examples/clients/trusted-documents.ts';
import * as apollo from '../../examples/clients/with-apollo.ts';
import { createFetchClient } from '../../examples/clients/with-fetch.ts';
import * as urql from '../../examples/clients/with-urql.ts';
import { parseSettings } from '../../src/config/load.ts';
import { createSchema } from '../../src/graphql/schema/index.ts';
import {
  decodeTrustedDocuments,
  TrustedDocumentsError,
} from '../../src/graphql/trusted-documents-file.ts';
import { runProgram } from '../support/child-process.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startTestGateway, UUID } from '../support/test-gateway.ts';

const CLIENTS = fileURLToPath(new URL('../../examples/clients/', import.meta.url));
const VARIABLES = { participantType: 'vehicles', batchId: 'batch-finished' };

let folder = '';
/** Files as the tools of the example clients write them. */
let documentsFile = '';
let manifestFile = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trusted-'));
  documentsFile = join(folder, 'documents.json');
  manifestFile = join(folder, 'manifest.json');
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ documents: ['operations.ts'], output: manifestFile }));
  const run = (tool: string, ...args: string[]) =>
    promisify(execFile)(process.execPath, [join(CLIENTS, 'node_modules', tool), ...args], {
      cwd: CLIENTS,
    });
  await Promise.all([
    run('gql.tada/bin/cli.js', 'generate', 'persisted', '--output', documentsFile),
    run('@apollo/generate-persisted-query-manifest/cli.js', '--config', config),
  ]);
}, 60_000);

afterAll(() => rm(folder, { recursive: true }));

/** Stands between clients and a gateway, and keeps what they send. */
async function startRecorder(endpoint: URL) {
  const bodies: Record<string, unknown>[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    bodies.push(JSON.parse(body));
    const answer = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: request.headers.accept ?? '*/*' },
      body,
    });
    response.writeHead(answer.status, {
      'content-type': answer.headers.get('content-type') ?? '',
    });
    response.end(await answer.text());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/graphql`,
    bodies,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The bodies without what differs from client to client. */
function sent({ bodies }: { bodies: Record<string, unknown>[] }) {
  return bodies.map(({ query, extensions }) => ({
    text: typeof query === 'string',
    extensions,
  }));
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function documents(): Promise<Record<string, string>> {
  return JSON.parse(await readFile(documentsFile, 'utf8'));
}

const FINISHED = {
  id: 'vehicles/batch-finished',
  status: 'SUCCESS',
  finished: true,
  progress: 1,
  totalCount: 3,
  successCount: 3,
  failureCount: 0,
};

test('the hashes of the example are those of its documents', async () => {
  const hashes = Object.entries(await documents()).map(([id, text]) => [
    id,
    `sha256:${hashOf(text)}`,
  ]);
  expect(hashes).toHaveLength(2);
  for (const [id, hash] of hashes) expect(id).toBe(hash);
});

test("with gql.tada's file, fetch asks by the id of a document alone", async () => {
  await using gateway = await startTestGateway({
    environment: { TRUSTED_DOCUMENTS: documentsFile },
  });
  using recorder = await startRecorder(gateway.endpoint);
  const client = createFetchClient(recorder.url);
  expect(await client.query(TrustedBatchStatus, VARIABLES)).toEqual({
    data: { batchStatus: FINISHED },
    errors: [],
  });
  const [documentId] = Object.keys(await documents());
  expect(recorder.bodies).toEqual([{ documentId, variables: VARIABLES }]);
});

test("with Apollo's manifest, Apollo Client and urql ask by hash alone", async () => {
  await using gateway = await startTestGateway({
    environment: { TRUSTED_DOCUMENTS: manifestFile },
  });
  using recorder = await startRecorder(gateway.endpoint);
  const manifest = JSON.parse(await readFile(manifestFile, 'utf8'));
  const apollo = createTrustedApolloClient(recorder.url, manifest);
  const urql = createTrustedUrqlClient(recorder.url, manifest);
  const answers = [
    await apollo.query({ query: BatchStatusQuery, variables: VARIABLES }),
    await urql.query(BatchStatusQuery, VARIABLES).toPromise(),
  ];
  for (const { data, error } of answers) {
    expect(error).toBeUndefined();
    expect(data).toEqual({ batchStatus: expect.objectContaining(FINISHED) });
  }
  const { id } = manifest.operations.find(({ name }: { name: string }) => name === 'BatchStatus');
  expect(sent(recorder)).toEqual(
    answers.map(() => ({
      text: false,
      extensions: expect.objectContaining({ persistedQuery: { version: 1, sha256Hash: id } }),
    })),
  );
});

const post = async (endpoint: URL, body: object) => {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
};
const refusal = (status: number, code: string, message: string, retryable = false) => {
  const extensions = { code, retryable, requestId: UUID };
  return { status, body: { errors: [{ message, extensions }] } };
};

test('with TRUSTED_DOCUMENTS, a documentId runs, and nothing else', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { TRUSTED_DOCUMENTS: documentsFile },
  });
  const [[documentId = '', query = ''] = []] = Object.entries(await documents());
  const variables = { participantType: 'vehicles' };
  for (const id of [documentId, hashOf(query)]) {
    expect(await post(gateway.endpoint, { documentId: id, variables })).toMatchObject({
      status: 200,
      body: { data: { batchStatus: { id: 'vehicles', status: 'IN_PROGRESS' } } },
    });
  }
  const calls = upstream.statusCalls.length;

  const onlyTrusted = refusal(
    403,
    'FORBIDDEN',
    'Only trusted documents run here: send the hash of one.',
  );
  const texts: object[] = [
    { query, variables },
    { query: '{ __typename }' },
    {},
    { documentId: 7, query },
  ];
  for (const body of texts) expect(await post(gateway.endpoint, body)).toEqual(onlyTrusted);

  const unknown = refusal(
    400,
    'UNKNOWN_DOCUMENT',
    'No trusted document of this instance has this hash. During a rollout another instance may have it: try again.',
    true,
  );
  for (const id of ['', '__proto__', 'constructor', hashOf('x'), 'x'.repeat(10_000)]) {
    for (const body of [
      { documentId: id },
      { documentId: id, query: '{ __typename }' },
      { extensions: { persistedQuery: { version: 1, sha256Hash: id } } },
    ]) {
      expect(await post(gateway.endpoint, body)).toEqual(unknown);
    }
  }
  expect(upstream.statusCalls).toHaveLength(calls);
});

test('with PERSISTED_QUERIES=on, a hash stands for a text that came with it', async () => {
  await using gateway = await startTestGateway({ environment: { PERSISTED_QUERIES: 'on' } });
  const query = '{ __typename }';
  const ask = (more: object, sha256Hash = hashOf(query)) =>
    post(gateway.endpoint, {
      ...more,
      extensions: { persistedQuery: { version: 1, sha256Hash } },
    });
  const taken = { status: 200, body: { data: { __typename: 'Query' } } };
  const notFound = refusal(200, 'PERSISTED_QUERY_NOT_FOUND', 'PersistedQueryNotFound');
  const mismatch = refusal(400, 'BAD_USER_INPUT', 'The hash is not that of the query.');

  expect(await ask({})).toEqual(notFound);
  expect(await ask({ query: '{ a: __typename }' })).toEqual(mismatch);
  expect(await ask({})).toEqual(notFound);
  expect(await ask({ query })).toEqual(taken);
  expect(await ask({})).toEqual(taken);
  expect(await ask({ query: '{ a: __typename }' })).toEqual(mismatch);
  expect(await ask({})).toEqual(taken);
  expect(await ask({}, '__proto__')).toEqual(notFound);
  expect(await post(gateway.endpoint, { query })).toEqual(taken);
});

test('by GET, too, a hash runs', async () => {
  await using gateway = await startTestGateway({
    environment: { TRUSTED_DOCUMENTS: documentsFile },
  });
  const [sha256Hash = ''] = Object.keys(await documents());
  const search = new URLSearchParams({
    variables: JSON.stringify(VARIABLES),
    extensions: JSON.stringify({ persistedQuery: { version: 1, sha256Hash } }),
  });
  const headers = { 'graphql-require-preflight': '1' };
  const response = await fetch(new URL(`?${search}`, gateway.endpoint), { headers });
  expect([response.status, await response.json()]).toEqual([
    200,
    { data: { batchStatus: FINISHED } },
  ]);
});

test('Apollo Client and urql subscribe by hash: a trusted one, and one that comes with its text once', async () => {
  const manifest = JSON.parse(await readFile(manifestFile, 'utf8'));
  await using trusting = await startTestGateway({
    environment: { TRUSTED_DOCUMENTS: manifestFile },
  });
  await using learning = await startTestGateway({ environment: { PERSISTED_QUERIES: 'on' } });
  const { href } = trusting.endpoint;
  const sources = [
    apollo.batchSource(createTrustedApolloClient(href, manifest)),
    urql.batchSource(createTrustedUrqlClient(href, manifest)),
    apollo.batchSource(createPersistingApolloClient(learning.endpoint.href)),
    urql.batchSource(createPersistingUrqlClient(learning.endpoint.href)),
  ];
  for (const source of sources) {
    const told = [];
    for await (const { batch } of followBatches(source, [VARIABLES])) told.push(batch);
    expect(told).toEqual([expect.objectContaining(FINISHED)]);
  }
  const log = [...trusting.logLines, ...learning.logLines].join('');
  expect(log).toContain('"BatchUpdates"');
  expect(log).not.toContain('"BatchStatuses"');
});

test('Apollo Client and urql register a text once, and then send its hash', async () => {
  await using gateway = await startTestGateway({ environment: { PERSISTED_QUERIES: 'on' } });
  const clients = [
    async (url: string) => {
      const client = createPersistingApolloClient(url);
      const ask = () => client.query({ query: BatchStatusQuery, variables: VARIABLES });
      return [await ask(), await ask()];
    },
    async (url: string) => {
      const client = createPersistingUrqlClient(url);
      const ask = () =>
        client.query(BatchStatusQuery, VARIABLES, { requestPolicy: 'network-only' }).toPromise();
      return [await ask(), await ask()];
    },
  ];
  for (const askTwice of clients) {
    using recorder = await startRecorder(gateway.endpoint);
    for (const { data, error } of await askTwice(recorder.url)) {
      expect(error).toBeUndefined();
      expect(data).toEqual({ batchStatus: expect.objectContaining(FINISHED) });
    }
    expect(sent(recorder).map(({ text }) => text)).toEqual([false, true, false]);
  }
});

const { limits } = parseSettings({}, readFileSync);
const FAULTY: [name: string, json: string, message: string][] = [
  ['no JSON', '{', 'It is not JSON.'],
  ['a list', '[]', 'It is not an object of hash to text, nor a manifest of Apollo.'],
  ['nothing', '{}', 'There is no document in it.'],
  ['a number for a text', '{"a":1}', 'The document "a" is not a text.'],
  [
    'a syntax error',
    '{"a":"{"}',
    'The document "a" cannot run: Syntax Error: Expected Name, found <EOF>.',
  ],
  [
    'a field that there is not',
    '{"a":"{ __typename }","b":"{ no }"}',
    'The document "b" cannot run: Cannot query field "no" on type "Query".',
  ],
  [
    'a document that passes a limit',
    JSON.stringify({
      a: `{ batchStatus(participantType: "x") {${' failures(first: 100) { edges { node { id } } }'.repeat(33)} } }`,
    }),
    'The document "a" cannot run: The operation costs more than 10000 points.',
  ],
  [
    'another format',
    '{"format":"x"}',
    'Its format is not "apollo-persisted-query-manifest", version 1, with operations.',
  ],
  [
    'a manifest of another version',
    '{"format":"apollo-persisted-query-manifest","version":2,"operations":[]}',
    'Its format is not "apollo-persisted-query-manifest", version 1, with operations.',
  ],
  [
    'a manifest whose operation has no id',
    '{"format":"apollo-persisted-query-manifest","version":1,"operations":[null]}',
    'Operation 1 of the manifest has no id.',
  ],
];

test.each(FAULTY)('64: a file of trusted documents with %s is refused', (_, json, message) => {
  expect(() => decodeTrustedDocuments(Buffer.from(json), createSchema(), limits)).toThrow(
    new TrustedDocumentsError(message),
  );
});

test('76: a file of trusted documents may have a byte order mark; in UTF-16 it is refused', () => {
  const json = '\ufeff{"a":"{ __typename }"}';
  const decode = (bytes: Buffer) => decodeTrustedDocuments(bytes, createSchema(), limits);
  expect(decode(Buffer.from(json))).toEqual(new Map([['a', '{ __typename }']]));
  expect(() => decode(Buffer.from(json, 'utf16le'))).toThrow(
    new TrustedDocumentsError('It is in UTF-16: save it as UTF-8.'),
  );
});

test('64: a gateway does not start with a faulty file of trusted documents, and says why', async () => {
  const file = join(folder, 'faulty.json');
  await writeFile(file, '{"b":"{ no }"}');
  await using program = runProgram('bin/participant-gateway.js', {
    PORT: '0',
    TRUSTED_DOCUMENTS: file,
  });
  expect(await program.exited).toBe(1);
  expect(program.output()).toBe(
    `TRUSTED_DOCUMENTS ${file} is faulty. The document "b" cannot run: Cannot query field "no" on type "Query".\n`,
  );
});
