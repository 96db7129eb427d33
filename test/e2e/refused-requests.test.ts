import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';

const HOST = 'Host: localhost';
const JSON_TYPE = 'Content-Type: application/json';

function head(requestLine: string, ...headers: string[]): string {
  return `${[requestLine, ...headers].join('\r\n')}\r\n\r\n`;
}

async function open({ url }: TestGateway): Promise<Socket> {
  const socket = connect(Number(url.port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** The first bytes that come back, which are the head of an answer. */
async function answerTo(gateway: TestGateway, text: string): Promise<string> {
  const socket = await open(gateway);
  socket.write(text);
  const [answer] = await once(socket, 'data');
  socket.destroy();
  return String(answer).split('\r\n')[0] ?? '';
}

function linesOf(gateway: TestGateway): Record<string, unknown>[] {
  return gateway.logLines
    .map((line) => JSON.parse(line))
    .filter(({ msg }) => String(msg).includes('request'));
}

const ANY_TIME = { level: 'info', time: expect.any(String), address: '127.0.0.1' };
const REFUSED = { ...ANY_TIME, msg: 'request refused' };
const REFUSED_BY_GRAPHQL = {
  ...ANY_TIME,
  msg: 'request',
  requestId: 'the-same',
  operationName: null,
  upstreamCalls: 0,
  durationMs: expect.any(Number),
};

const REFUSALS: [name: string, text: string, line: object][] = [
  [
    'a path that is not there, without its query',
    head('GET /secret?token=x HTTP/1.1', HOST),
    {
      ...REFUSED,
      method: 'GET',
      path: '/secret',
      status: 404,
      reason: 'There is nothing here. GraphQL is at /graphql, probes are at /livez and /readyz.',
    },
  ],
  [
    'a name that is not its own',
    head('POST /graphql HTTP/1.1', 'Host: evil.example'),
    {
      ...REFUSED,
      method: 'POST',
      path: '/graphql',
      status: 421,
      reason: expect.stringMatching(/^With AUTH_MODE not set/),
    },
  ],
  [
    'a head that is faulty',
    head('GET /livez HTTP/1.1'),
    {
      ...REFUSED,
      method: 'GET',
      path: '/livez',
      status: 400,
      reason: 'The Host header is missing or malformed.',
    },
  ],
  [
    'a transfer coding that is not known',
    head('POST /graphql HTTP/1.1', HOST, 'Transfer-Encoding: gzip, chunked'),
    {
      ...REFUSED,
      method: 'POST',
      path: '/graphql',
      status: 501,
      reason: 'The only transfer coding of a request can be chunked.',
    },
  ],
  [
    'no HTTP',
    '\x16\x03\x01\x02\x00\x01\x00\x01',
    { ...REFUSED, status: 400, reason: 'The request is malformed.' },
  ],
  [
    'a head that is too long',
    head('GET /livez HTTP/1.1', HOST, `X-Long: ${'x'.repeat(17 * 1024)}`),
    { ...REFUSED, status: 431, reason: 'The head of the request is too long.' },
  ],
  [
    'a body that is too long',
    head(
      'POST /graphql HTTP/1.1',
      HOST,
      JSON_TYPE,
      'X-Request-Id: the-same',
      'Content-Length: 65537',
    ),
    { ...REFUSED_BY_GRAPHQL, method: 'POST', status: 413, codes: ['PAYLOAD_TOO_LARGE'] },
  ],
  [
    'a GET that a foreign page could send',
    head('GET /graphql?query={__typename} HTTP/1.1', HOST, 'X-Request-Id: the-same'),
    { ...REFUSED_BY_GRAPHQL, method: 'GET', status: 403, codes: ['FORBIDDEN'] },
  ],
];

test.each(REFUSALS)('a request that is refused has its log line: %s', async (_, text, line) => {
  await using gateway = await startTestGateway();
  const { status } = { status: 0, ...line };
  expect(await answerTo(gateway, text)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  await expect.poll(() => linesOf(gateway)).toEqual([line]);
});

test('12: who does not send a request whole in time gets 408, and the log says so (API4:2023)', async () => {
  await using gateway = await startTestGateway({ environment: { REQUEST_TIMEOUT_MS: '300' } });
  const whole = [HOST, JSON_TYPE, 'X-Request-Id: the-same', 'Content-Length: 100'];
  const slow = await answerTo(gateway, `${head('POST /graphql HTTP/1.1', ...whole)}{`);
  const slower = await answerTo(gateway, 'POST /graphql HTTP/1.1\r\nHost: loc');
  expect([slow, slower]).toEqual(Array(2).fill('HTTP/1.1 408 Request Timeout'));
  await expect
    .poll(() => linesOf(gateway))
    .toEqual([
      { ...REFUSED_BY_GRAPHQL, method: 'POST', status: 408, codes: [] },
      { ...REFUSED, status: 408, reason: 'The request did not come whole in time.' },
    ]);
});

test('83: lines about refused requests are bounded, at the GraphQL endpoint and elsewhere (API4:2023)', async () => {
  const clock = new TestClock();
  await using gateway = await startTestGateway({ clock });
  for (let count = 0; count < 15; count += 1) {
    expect((await fetch(new URL('/nowhere', gateway.url))).status).toBe(404);
    expect((await fetch(gateway.endpoint)).status).toBe(403);
  }
  // Of one that is answered, too.
  expect(await gateway.query('{ __typename }')).toMatchObject({ status: 200 });
  await expect.poll(() => linesOf(gateway)).toHaveLength(11);
  clock.advance(1_000);
  expect(linesOf(gateway).at(-1)).toEqual({
    level: 'warn',
    time: expect.any(String),
    address: '127.0.0.1',
    lines: 20,
    msg: 'lines about refused requests were left out',
  });
});

for (const connection of ['keep-alive', 'close']) {
  test(`2: a client that sends 10 MB before it reads gets its 413 (connection: ${connection})`, async () => {
    await using gateway = await startTestGateway();
    const socket = await open(gateway);
    socket.pause();
    const body = Buffer.alloc(10_000_000, ' ');
    const headers = [
      HOST,
      JSON_TYPE,
      `Connection: ${connection}`,
      `Content-Length: ${body.length}`,
    ];
    socket.write(head('POST /graphql HTTP/1.1', ...headers));
    // Its error would be that of a connection that was reset.
    await new Promise<void>((resolve, reject) => {
      socket.write(body, (error) => (error ? reject(error) : resolve()));
    });
    const [answer] = await once(socket.resume(), 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 413 /);
    expect(String(answer)).toContain('PAYLOAD_TOO_LARGE');
    if (connection === 'close') await once(socket, 'close');
    else {
      socket.write(head('GET /livez HTTP/1.1', HOST));
      expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 200 /);
    }
    socket.destroy();
  });
}

test('2: a connection is closed whole, also where the body of an earlier request came behind its answer', async () => {
  const clock = new TestClock();
  await using gateway = await startTestGateway({ clock });
  const port = Number(gateway.url.port);
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  socket.write(head('POST /nowhere HTTP/1.1', HOST, 'Content-Length: 5'));
  expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 404 /);
  socket.write(`12345${head('GET /livez HTTP/1.1', HOST)}`);
  expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 200 /);
  // Nobody looks after that body any more.
  clock.advance(100);
  socket.write(head('GET /livez HTTP/1.1', HOST, 'Connection: close'));
  expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 200 /);
  await once(socket, 'end');
  // It is reset then, for nobody reads what is sent.
  const sending = setInterval(() => socket.write('\r\n'), 10);
  await new Promise((resolve) => socket.on('close', resolve));
  clearInterval(sending);
});

test.each(['GET /livez', 'GET /graphql', 'POST /graphql', 'GET /nowhere', 'OPTIONS /graphql'])(
  '2: a body without end is read for a while after the answer, and no longer: %s (API4:2023)',
  async (line) => {
    await using gateway = await startTestGateway();
    const socket = await open(gateway);
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    socket.write(head(`${line} HTTP/1.1`, HOST, JSON_TYPE, 'Transfer-Encoding: chunked'));
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`);
    let sent = 0;
    const send = () => {
      sent += chunk.length;
      socket.write(chunk, (error) => error ?? send());
    };
    send();
    // It may be reset.
    await new Promise((resolve) => socket.on('close', resolve));
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(sent).toBeGreaterThan(1024 * 1024);
    expect(sent).toBeLessThan(256 * 1024 * 1024);
  },
);
