import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, type TestGateway } from '../support/test-gateway.ts';

const BODY = JSON.stringify({ query: STATUS_QUERY, variables: { participantType: 'vehicles' } });

async function open(gateway: TestGateway): Promise<Socket> {
  const socket = connect(Number(gateway.url.port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Everything that the gateway writes until it closes the connection. */
async function conversation(gateway: TestGateway, text: string): Promise<string> {
  const socket = await open(gateway);
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk;
  });
  socket.write(text, 'latin1');
  await once(socket, 'close');
  return answer;
}

function head(...lines: string[]): string {
  return `${['POST /graphql HTTP/1.1', ...lines].join('\r\n')}\r\n\r\n`;
}

const HOST = 'Host: localhost';
const TYPE = 'Content-Type: application/json';
const LENGTH = `Content-Length: ${BODY.length}`;
/** What a smuggler hides behind a request. */
const SMUGGLED = `GET /livez HTTP/1.1\r\n${HOST}\r\n\r\n`;

const MALFORMED: [name: string, text: string, status: number][] = [
  ['two content-lengths', head(HOST, TYPE, LENGTH, 'Content-Length: 5') + BODY, 400],
  [
    'content-length and transfer-encoding',
    head(HOST, TYPE, LENGTH, 'Transfer-Encoding: chunked') + BODY,
    400,
  ],
  ['an unknown transfer-encoding', head(HOST, TYPE, 'Transfer-Encoding: xchunked') + BODY, 501],
  [
    'an encoding below chunked',
    `${head(HOST, TYPE, 'Transfer-Encoding: gzip, chunked')}${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`,
    501,
  ],
  [
    'chunked that is not last',
    head(HOST, TYPE, 'Transfer-Encoding: chunked, identity') + BODY,
    400,
  ],
  [
    'two transfer-encodings',
    head(HOST, TYPE, 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + BODY,
    400,
  ],
  ['a negative content-length', head(HOST, TYPE, 'Content-Length: -1') + BODY, 400],
  ['a content-length with a plus', head(HOST, TYPE, `Content-Length: +${BODY.length}`) + BODY, 400],
  ['a folded header', head(HOST, TYPE, 'X-Folded: a\r\n b', LENGTH) + BODY, 400],
  ['a space before the colon', head(HOST, TYPE, `Content-Length : ${BODY.length}`) + BODY, 400],
  ['a bare line feed', head(HOST, TYPE, LENGTH).replaceAll('\r\n', '\n') + BODY, 400],
  ['a NUL in a header', head(HOST, TYPE, 'X-Nul: a\0b', LENGTH) + BODY, 400],
  [
    'a chunk of a size that is none',
    `${head(HOST, TYPE, 'Transfer-Encoding: chunked')}zz\r\n${BODY}\r\n0\r\n\r\n`,
    400,
  ],
  ['two Host headers', head(HOST, 'Host: evil.example', TYPE, LENGTH) + BODY, 400],
  ['no Host header', head(TYPE, LENGTH) + BODY, 400],
  ['a malformed Host header', head('Host: a b', TYPE, LENGTH) + BODY, 400],
  [
    'two Authorization headers',
    head(HOST, TYPE, 'Authorization: Bearer a', 'authorization: Bearer b', LENGTH) + BODY,
    400,
  ],
  ['two content types', head(HOST, TYPE, 'Content-Type: text/plain', LENGTH) + BODY, 400],
  [
    '101 headers',
    head(HOST, TYPE, LENGTH, ...Array.from({ length: 98 }, (_, index) => `X-${index}: 1`)) + BODY,
    431,
  ],
  ['17 KiB of headers', head(HOST, TYPE, LENGTH, `X-Long: ${'x'.repeat(17 * 1024)}`) + BODY, 431],
  ['another protocol', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
];

test.each(MALFORMED)(
  '14: %s: refused, no upstream call, and nothing behind it is answered (API8:2023)',
  async (_, text, status) => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    const answer = await conversation(gateway, text + SMUGGLED);
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
    expect(upstream.statusCalls).toEqual([]);
  },
);

test('14: 100 headers, and 15 KiB of them, are taken', async () => {
  await using gateway = await startTestGateway();
  const many = Array.from({ length: 96 }, (_, index) => `X-${index}: 1`);
  for (const more of [many, [`X-Long: ${'x'.repeat(15 * 1024)}`]]) {
    const text = head(HOST, TYPE, LENGTH, 'Connection: close', ...more) + BODY;
    expect(await conversation(gateway, text)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  }
});

const SOON = { REQUEST_TIMEOUT_MS: '300' };

test('12: slow headers, slow bodies and idle sockets are closed, and a good client is answered meanwhile (API4:2023)', async () => {
  await using gateway = await startTestGateway({ environment: SOON });
  const starts: [text: string, count: number][] = [
    ['', 2_000],
    ['POST /graphql HTTP/1.1\r\nHost: loc', 20],
    [head(HOST, TYPE, LENGTH) + BODY.slice(0, 10), 20],
    [`${head(HOST, TYPE, 'Transfer-Encoding: chunked')}5\r\n{"que\r\n`, 20],
  ];
  const closed: Promise<unknown>[] = [];
  for (const [text, count] of starts) {
    for (let index = 0; index < count; index += 1) {
      const socket = await open(gateway);
      socket.resume();
      if (text !== '') socket.write(text);
      closed.push(once(socket, 'close'));
    }
  }
  const query = gateway.query('{ __typename }');
  expect(await query).toEqual({ status: 200, body: { data: { __typename: 'Query' } } });
  await Promise.all(closed);
  expect(await gateway.query('{ __typename }')).toEqual(await query);
}, 20_000);

test('12: sockets beyond MAX_SOCKETS are closed at once, and those within are served (API4:2023)', async () => {
  await using gateway = await startTestGateway({ environment: { MAX_SOCKETS: '3' } });
  const held = await Promise.all([open(gateway), open(gateway), open(gateway)]);
  const beyond = await open(gateway);
  beyond.resume();
  await once(beyond, 'close');
  const [first] = held;
  if (first === undefined) throw new Error('there are three');
  first.write(head(HOST, TYPE, LENGTH, 'Connection: close') + BODY);
  expect(String(await once(first, 'data'))).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  for (const socket of held) socket.destroy();
});

test('12: an idle connection is closed after KEEP_ALIVE_MS, which the answer tells in seconds', async () => {
  await using short = await startTestGateway({ environment: { KEEP_ALIVE_MS: '1' } });
  await using long = await startTestGateway({ environment: { KEEP_ALIVE_MS: '65000' } });
  const request = head(HOST, TYPE, LENGTH) + BODY;

  const kept = await open(long);
  kept.write(request);
  expect(String(await once(kept, 'data'))).toMatch(/^Keep-Alive: timeout=65\r$/m);

  const startedAt = performance.now();
  expect(await conversation(short, request)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  // Node's own time is 5 s.
  expect(performance.now() - startedAt).toBeLessThan(4_500);
  kept.write(request);
  expect(String(await once(kept, 'data'))).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  kept.destroy();
});
