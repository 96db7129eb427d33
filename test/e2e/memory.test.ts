import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { isErrorCode } from '../../src/core/error-codes.ts';
import { runProgram } from '../support/child-process.ts';
import {
  ECHO,
  type ScriptedAnswer,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { environmentFor, STATUS_QUERY } from '../support/test-gateway.ts';

const MIB = 1024 * 1024;
/** What a parsed answer may take: ten times UPSTREAM_MAX_BODY_BYTES. */
const MAX_PARSED_BYTES = 10 * MIB;
const BATCHES = 20;

interface Answer {
  data: Record<string, unknown>;
  errors?: { path: string[]; extensions: { code: string } }[];
}

/** A gateway as it is run, with so much heap, and time enough on any machine. */
async function startGateway(upstream: ScriptedUpstream, heapMiB = 256) {
  const program = runProgram(
    'bin/participant-gateway.js',
    {
      PORT: '0',
      ...environmentFor(upstream.url),
      UPSTREAM_TIMEOUT_MS: '60000',
      REQUEST_DEADLINE_MS: '60000',
      REQUEST_TIMEOUT_MS: '60000',
      TRUSTED_PROXIES: '127.0.0.1',
    },
    { nodeArgs: [`--max-old-space-size=${heapMiB}`] },
  );
  const [, endpoint = ''] = await program.printed(/"graphql":"([^"]+)"/);
  const query = async (body: object): Promise<Answer> => {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    return response.json();
  };
  return {
    endpoint: new URL(endpoint),
    /** Asks for so many different batches, twenty in each request, all requests at once. */
    askFor: (count: number, fields: string) =>
      Promise.all(
        Array.from({ length: count / BATCHES }, (_, request) =>
          query({ query: queryOf(request, fields) }),
        ),
      ),
    /** The whole answer to a good request, once the upstream is good again. */
    async isWell() {
      upstream.onStatus = () => ({ body: { data: { status: 'DONE' }, request: ECHO } });
      const variables = { participantType: 'vehicles', batchId: 'good' };
      expect(await query({ query: STATUS_QUERY, variables })).toEqual({
        data: { batchStatus: { id: 'vehicles/good', status: 'DONE' } },
      });
      expect(program.process.exitCode).toBe(null);
      expect(program.output()).not.toContain('circuit open');
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

function queryOf(request: number, fields: string): string {
  const all = Array.from({ length: BATCHES }, (_, index) => {
    const batchId = `b-${request}-${index}`;
    return `b${index}: batchStatus(participantType: "vehicles", batchId: "${batchId}") ${fields}`;
  });
  return `{ ${all.join(' ')} }`;
}

/** How often there was which error, and how many fields there are. Each is null with an error, or has a value. */
function count(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = { fields: 0 };
  const add = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  for (const { data, errors = [] } of answers) {
    const codes = new Map(errors.map(({ path, extensions }) => [path.join('.'), extensions.code]));
    for (const [name, value] of Object.entries(data)) {
      add('fields');
      const code = codes.get(name);
      expect(value === null).toBe(isErrorCode(code));
      add(code ?? 'answered');
    }
  }
  return counts;
}

function emptyObjects(number: number): string {
  return `[${'{},'.repeat(number - 1)}{}]`;
}

test('91: answers of a megabyte of empty objects are refused, each on its own', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startGateway(upstream);
  const body = `{"data":{"errors":${emptyObjects(340_000)}}}`;
  expect(body.length).toBeLessThan(MIB);
  upstream.onStatus = () => ({ body });
  const answers = await gateway.askFor(60, '{ id failures { totalCount } data }');
  expect(count(answers)).toEqual({ fields: 60, UPSTREAM_BAD_RESPONSE: 60 });
  expect(upstream.statusCalls).toHaveLength(60);
  await gateway.isWell();
});

/** Each element takes what it is estimated to take. */
const largest = emptyObjects(Math.floor(MAX_PARSED_BYTES / 64) - 100);
const largeAnswers: [name: string, code: string, answer: ScriptedAnswer][] = [
  ['statuses', 'answered', { body: `{"data":{"errors":${largest}}}` }],
  [
    'errors',
    'NOT_FOUND',
    { status: 404, body: `{"error":{"code":"1","additionalInfo":${largest}}}` },
  ],
];

for (const [name, code, answer] of largeAnswers) {
  test(`91: of ${name} as large as they may be, requests hold 64 MiB together; the others are OVERLOADED`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startGateway(upstream);
    upstream.onStatus = () => answer;
    const counts = count(await gateway.askFor(40, '{ id data }'));
    const told = counts[code] ?? 0;
    // As many as there is room for, and more where a request had its answer before another one's statuses came.
    expect(told).toBeGreaterThanOrEqual(6);
    expect(counts).toEqual({ fields: 40, [code]: told, OVERLOADED: 40 - told });
    await gateway.isWell();
  });
}

/** A heap in which an object for each byte would not have its place; a larger one needs more bytes, and time. */
const SMALL_HEAP_MIB = 80;
const CHUNKS = 32 * 1024;

test('91: answers in chunks of one byte take no more than their bytes', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startGateway(upstream, SMALL_HEAP_MIB);
  const filler = 'x'.repeat(CHUNKS);
  const chunks = inChunks(`{"data":{"status":"DONE","filler":"${filler}"},"request":{}}`);
  const head = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n';
  const all = upstream.statusCallCount(60);
  upstream.onStatus = async (_call, { socket }) => {
    socket?.write(head + chunks);
    // All of them are held at the same time.
    await all;
    socket?.end('0\r\n\r\n');
    return undefined;
  };
  expect(count(await gateway.askFor(60, '{ id status }'))).toEqual({ fields: 60, answered: 60 });
  await gateway.isWell();
});

test('91: request bodies in chunks of one byte take no more than their bytes', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startGateway(upstream, SMALL_HEAP_MIB);
  const query = `{ batchStatus(participantType: "vehicles") { id status } }`;
  const body = JSON.stringify({ query, filler: 'x'.repeat(CHUNKS) });
  const head = `POST /graphql HTTP/1.1\r\nhost: ${gateway.endpoint.host}\r\ncontent-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n`;
  const sockets = Array.from({ length: 50 }, () =>
    connect(Number(gateway.endpoint.port), gateway.endpoint.hostname),
  );
  await Promise.all(sockets.map((socket) => send(socket, head + inChunks(body))));
  // Each answer is a turn of the gateway's event loop, in which it reads 64 KiB of each connection.
  for (let turn = 0; turn < 10; turn += 1) await fetch(new URL('/livez', gateway.endpoint));
  const answers = sockets.map(async (socket) => {
    socket.write('0\r\n\r\n');
    return text(socket);
  });
  for (const answer of await Promise.all(answers)) {
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(
      /\r\n\r\n\{"data":\{"batchStatus":\{"id":"vehicles","status":"IN_PROGRESS"\}\}\}$/,
    );
  }
  await gateway.isWell();
});

test('91: of 3,000 slow bodies of 64 KB as many are held as there is room for; the others are OVERLOADED, and another address is served', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startGateway(upstream);
  const query = `{ batchStatus(participantType: "vehicles") { status } }`;
  const body = JSON.stringify({ query, filler: 'x'.repeat(63_900) });
  const head = `POST /graphql HTTP/1.1\r\nhost: ${gateway.endpoint.host}\r\ncontent-type: application/json\r\nx-forwarded-for: 192.0.2.1\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`;
  const sockets = Array.from({ length: 3_000 }, () =>
    connect(Number(gateway.endpoint.port), gateway.endpoint.hostname),
  );
  const answers = sockets.map((socket) => text(socket).catch(() => 'cut off'));
  const early: string[] = [];
  for (const answer of answers) void answer.then((one) => early.push(one));
  // All but the last byte.
  for (const socket of sockets) socket.write(head + body.slice(0, -1));
  // 48 MiB are what one address may have of INTAKE_MAX_BYTES.
  const held = Math.floor((48 * MIB) / body.length);
  await expect.poll(() => early.length, { timeout: 20_000 }).toBeGreaterThan(3_000 - held - 50);
  await gateway.isWell();

  const refusals = early.length;
  for (const socket of sockets) socket.write(body.slice(-1));
  const all = await Promise.all(answers);
  const served = all.filter((answer) => answer.startsWith('HTTP/1.1 200 '));
  expect(served.length).toBeGreaterThan(held - 50);
  expect(served.length).toBeLessThanOrEqual(3_000 - refusals);
  for (const answer of served) expect(answer).toContain('"data":{"batchStatus":{"status":"DONE"}}');
  for (const answer of all) {
    // A client that goes on to send may lose the answer to a connection that is closed.
    expect(answer).toMatch(/^HTTP\/1\.1 200 |^HTTP\/1\.1 503 .*"OVERLOADED"|^cut off$/s);
  }
});

function inChunks(body: string): string {
  return body.replaceAll(/./gs, '1\r\n$&\r\n');
}

/** Resolves when the other side has taken nearly all of it. */
async function send(socket: Socket, bytes: string): Promise<void> {
  if (!socket.write(bytes)) await once(socket, 'drain');
}
