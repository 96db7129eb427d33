import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type Socket } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { expect, test } from 'vitest';
import { createHttpClient } from '../../src/http-client/client.ts';
import { Cancellation, neverAborted } from '../../src/lib/cancellation.ts';
import { createCertificateAuthority } from '../support/certificates.ts';
import { GATEWAY_AUDIENCE, startOpenIdProvider } from '../support/openid-provider.ts';
import { type Script, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-a: 1\r\nx-a: 2\r\n\r\ngood';

/** A server that sends what a test says when the head and body of a request are there, and a client of it. */
async function startRaw(answer: string | ((socket: Socket) => void)) {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (request) => {
      requests.push(String(request));
      if (typeof answer === 'string') socket.write(answer);
      else answer(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const clock = new TestClock();
  const client = createHttpClient({ clock, maxConnections: 1, timeoutMs: 1_000, maxBodyBytes: 10 });
  const url = new URL(`http://127.0.0.1:${port}/path?query=1`);
  return {
    requests,
    sockets,
    clock,
    client,
    host: url.host,
    get: (signal = neverAborted) =>
      client.send({ method: 'GET', url, headers: ['x-one', '1', 'x-two', '2'] }, signal),
    post: () =>
      client.send({ method: 'POST', url, headers: { 'x-one': '1' }, body: 'b=1' }, neverAborted),
    async [Symbol.asyncDispose]() {
      await client.close();
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Answers 100 Continue, and the second time more. */
function secondly(more: string | ((socket: Socket) => void)) {
  let asked = 0;
  return (socket: Socket) => {
    asked += 1;
    socket.write(CONTINUE);
    if (asked === 1) return;
    if (typeof more === 'string') socket.write(more);
    else more(socket);
  };
}

const GOOD = { status: 200, body: 'good' };

test.each([
  ['in one piece', CONTINUE + OK],
  ['twice', CONTINUE + CONTINUE + OK],
  ['and early hints', `${CONTINUE}HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${OK}`],
  ['after early hints', `HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${CONTINUE}${OK}`],
])('75: 100 Continue before an answer, %s, costs one call more', async (_, answer) => {
  await using raw = await startRaw(answer);
  const response = await raw.get();
  expect(response).toMatchObject({ ...GOOD, headers: { 'x-a': ['1', '2'] } });
  expect(raw.requests).toHaveLength(2);
  const [first, second] = raw.requests.map((text) =>
    text.toLowerCase().trim().split('\r\n').sort(),
  );
  // The same but for the connection, which is not kept.
  expect(second).toEqual(first?.map((line) => line.replace('keep-alive', 'close')));
});

test('75: a request with a body is sent again whole', async () => {
  await using raw = await startRaw(CONTINUE + OK);
  expect(await raw.post()).toMatchObject(GOOD);
  expect(raw.requests).toHaveLength(2);
  expect(raw.requests[1]).toMatch(/^POST \/path\?query=1 HTTP\/1.1\r\n/);
  expect(raw.requests[1]).toContain(`host: ${raw.host}\r\nx-one: 1\r\n`);
  expect(raw.requests[1]).toMatch(/\r\ncontent-length: 3\r\n/i);
  expect(raw.requests[1]).toMatch(/\r\n\r\nb=1$/);
});

test('75: the connection after it is kept and used as before', async () => {
  let asked = 0;
  await using raw = await startRaw((socket) => {
    asked += 1;
    socket.write(asked <= 2 ? CONTINUE + OK : OK);
  });
  for (let calls = 0; calls < 3; calls += 1) expect(await raw.get()).toMatchObject(GOOD);
  expect(raw.requests).toHaveLength(4);
  expect(raw.sockets.size).toBe(1);
});

test.each<[name: string, answer: (socket: Socket) => void, kind: string]>([
  [
    'longer than may be',
    secondly('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n'),
    'too-large',
  ],
  [
    'said to be longer than may be',
    secondly('HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n'),
    'too-large',
  ],
  [
    'cut off',
    secondly((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngo')),
    'malformed',
  ],
  ['no HTTP', secondly('canary\r\n\r\n'), 'malformed'],
  ['no more', secondly((socket) => socket.destroy()), 'unreachable'],
])('75: after 100 Continue an answer that is %s ends as any such', async (_, answer, kind) => {
  await using raw = await startRaw(answer);
  const error: unknown = await raw.get().catch((it: unknown) => it);
  expect(error).toMatchObject({ name: 'HttpClientError', kind });
  expect(String(error instanceof Error && error.cause)).not.toContain('canary');
  expect(raw.requests).toHaveLength(2);
});

test('75: both calls share one time limit, and one signal', async () => {
  const second = Promise.withResolvers<void>();
  await using raw = await startRaw(secondly(() => second.resolve()));
  const late = raw.get().catch((it: unknown) => it);
  await second.promise;
  raw.clock.advance(1_000);
  expect(await late).toMatchObject({ kind: 'timeout' });

  const leaving = new Cancellation();
  const gone = raw.get(leaving).catch((it: unknown) => it);
  await expect.poll(() => raw.requests).toHaveLength(4);
  leaving.abort('gone');
  expect(await gone).toBe('gone');

  const closed = raw.get().catch((it: unknown) => it);
  await expect.poll(() => raw.requests).toHaveLength(6);
  await raw.client.close();
  expect(await closed).toMatchObject({ kind: 'unreachable' });
});

test('75: the second call is made over TLS, too', async () => {
  const year = 365 * 86_400_000;
  const [from, until] = [new Date(Date.now() - year), new Date(Date.now() + year)];
  const authority = createCertificateAuthority({ from, until });
  let asked = 0;
  const server = createTlsServer(authority.issue('127.0.0.1', { from, until }), (_, response) => {
    asked += 1;
    response.writeContinue();
    response.end('good');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const ownAuthorities = getCACertificates('default');
  const options = { clock: new TestClock(), timeoutMs: 1_000, maxBodyBytes: 10 };
  const client = createHttpClient({ ...options, maxConnections: 1 });
  const url = new URL(`https://127.0.0.1:${port}/`);
  try {
    setDefaultCACertificates([authority.certificate]);
    expect(await client.send({ method: 'GET', url, headers: {} }, neverAborted)).toMatchObject(
      GOOD,
    );
    expect(asked).toBe(2);
  } finally {
    setDefaultCACertificates(ownAuthorities);
    await client.close();
    server.close();
  }
});

test('75: 100 Continue before the answers of the upstream, the token endpoint and the issuer costs no query', async () => {
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  const continued =
    (script: Script): Script =>
    (call, response) => {
      response.writeContinue();
      return script(call, response);
    };
  upstream.onStatus = continued(upstream.onStatus);
  upstream.onToken = continued(upstream.onToken);
  await using issuer = await startScriptedUpstream();
  const keys = await (await fetch(new URL('/jwks', provider.issuer))).text();
  issuer.onStatus = continued(() => ({ body: keys }));
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: provider.issuer.origin,
      AUTH_AUDIENCE: GATEWAY_AUDIENCE,
      AUTH_JWKS_URL: `${issuer.url.origin}/keys`,
      STATUS_TTL_MS: '0',
    },
  });
  const authorization = `Bearer ${await provider.issueToken()}`;
  for (let batch = 0; batch < 20; batch += 1) {
    const response = await fetch(gateway.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify({
        query: `{ batchStatus(participantType: "vehicles", batchId: "b-${batch}") { status } }`,
      }),
    });
    expect(await response.json()).toEqual({ data: { batchStatus: { status: 'IN_PROGRESS' } } });
  }
  const calls = [upstream.statusCalls, upstream.tokenCalls, issuer.statusCalls];
  expect(calls.map(({ length }) => length)).toEqual([40, 2, 2]);
  const levels = gateway.logLines.map((line) => JSON.parse(line).level);
  expect(levels).not.toContain('warn');
  expect(levels).not.toContain('error');
});
