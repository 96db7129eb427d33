import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';

/** What an upstream sends for one request: what it should, nearly that, or anything. */
export interface ArbitraryAnswer {
  /** Head and body as they go over the wire, a character for each byte. */
  bytes: string;
  /** So many bytes go a turn of the event loop ahead of the others; undefined: all go at once. */
  firstPiece: number | undefined;
  /** What becomes of the connection then. */
  ending: Ending;
}

type Ending = 'open' | 'end' | 'reset';

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

const oddValue = fc.constantFrom(
  ...['null', 'true', '{}', '[]', '""', '0', '-0', '-1', '0.5', '2147483648', '1e999', '-1e999'],
  ...['123456789012345678901234567890', '"\\ud800"', '"\\u0000"', '"𝒳\u2028"', '"7"', '{"x":{}}'],
  ...['{"x":1,"x":[null,[{}]]}', '{"":"","length":-1,"constructor":1,"toString":2,"then":3}'],
  ...['{"__proto__":{"x":1}}', '{"\\u005f_proto__":{}}', '{"x":[{"__proto__":null}]}'],
  ...['{"constructor":{"prototype":{"x":1}}}', '{"x":{"CONSTRUCTOR":{"prototype":null}}}'],
);
const depth = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 2, max: 400 }) },
  // More than a stack takes.
  fc.constant(8_000),
);
const deepValue = fc
  .tuple(fc.constantFrom(['[', ']'], ['{"x":', '}']), depth)
  .map(([[open, close], levels]) => `${open?.repeat(levels)}1${close?.repeat(levels)}`);
const noValue = fc.constantFrom('01', 'NaN', "'x'", '{x:1}', '[1,]', '"\t"', '/* */ 1', '');
/** JSON, or hardly. */
const anyValue = fc.oneof(
  { weight: 8, arbitrary: oddValue },
  { weight: 4, arbitrary: fc.json({ maxDepth: 2 }) },
  { weight: 4, arbitrary: fc.string().map((text) => JSON.stringify(text)) },
  deepValue,
  noValue,
);

function mostly(usual: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof({ weight: 9, arbitrary: usual }, anyValue);
}
const words = mostly(fc.constantFrom('"IN_PROGRESS"', '"SUCCESS"', '"No such batch."', '""'));
const count = mostly(fc.nat(100).map(String));

/** An object, as text: its members from either end, the first of them sometimes missing, in any case. */
function objectOf(members: Record<string, fc.Arbitrary<string>>): fc.Arbitrary<string> {
  const written = Object.entries(members).map(([name, value]) =>
    fc
      .tuple(fc.constantFrom(...times(4, name), name.toUpperCase(), name.toLowerCase()), value)
      .map(([spelling, text]) => `"${spelling}":${text}`),
  );
  return fc
    .tuple(fc.tuple(...written), fc.constantFrom(0, 0, 0, 0, 1, 2), fc.boolean())
    .map(([all, missing, reversed]) => {
      const some = all.slice(missing);
      return `{${(reversed ? some.reverse() : some).join(',')}}`;
    });
}

const echo = fc.oneof(
  {
    weight: 30,
    arbitrary: objectOf({
      uri: fc.constantFrom('""', '"/core/api/v2/participants/vehicles/batch/status"', 'null'),
      method: fc.constant('"GET"'),
      queryString: fc.constant('""'),
      body: mostly(fc.constant('{}')),
    }),
  },
  { weight: 2, arbitrary: anyValue },
  // Those of somebody else's request.
  fc.constantFrom(
    '{"uri":"/participants/drivers/batch/status"}',
    '{"queryString":"batchId=other"}',
  ),
);
const record = mostly(
  objectOf({
    code: words,
    errors: mostly(objectOf({ code: words, message: words }).map((each) => `[${each}]`)),
    reason: words,
    id: words,
    refID: words,
  }),
);
const records = mostly(fc.array(record, { maxLength: 3 }).map((list) => `[${list.join(',')}]`));
const core = objectOf({
  success: records,
  errors: records,
  meta: mostly(objectOf({ x: count, status: words, success: count, failed: count, total: count })),
});
const orders = objectOf({
  x: count,
  successDetails: records,
  failureDetails: records,
  status: words,
  totalCount: count,
  successCount: count,
  failureCount: count,
});
const data = fc.oneof(core, orders);
const error = objectOf({
  additionalInfo: mostly(fc.constant('{}')),
  code: mostly(fc.constant('"100100110003"')),
  description: words,
});
const success = objectOf({ meta: count, request: echo, data: mostly(data) });
const failure = objectOf({ meta: count, request: echo, error: mostly(error) });

function bodyOf(text: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  const damage = fc.constantFrom(...times(36, 'none'), 'cut', 'doubled', 'marked', 'a wrong byte');
  return fc.tuple(text, damage, fc.nat()).map(([text, damage, chance]) => {
    const body = Buffer.from(text);
    const at = chance % (body.length + 1);
    if (damage === 'cut') return body.subarray(0, at);
    if (damage === 'doubled') return Buffer.concat([body, body]);
    if (damage === 'marked') return Buffer.from(`\ufeff${text}`);
    if (damage === 'a wrong byte') body[at] = 0x80 + (chance % 0x80);
    return body;
  });
}
const anyBody = fc.oneof(
  { weight: 4, arbitrary: bodyOf(anyValue) },
  { weight: 4, arbitrary: bodyOf(success) },
  { weight: 4, arbitrary: bodyOf(failure) },
  bodyOf(fc.constantFrom('', '<!doctype html><p>Sign in</p>', 'upstream connect error', '\0')),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
);

const SUCCESSES = ['200 OK', '200 OK', '200 OK', '201 Created', '202', '299 Why not'];
const FAILURES = [
  ...['400 Bad Request', '401 Unauthorized', '403 Forbidden', '404 Not Found', '404 Not Found'],
  ...['408 Request Timeout', '409 Conflict', '429 Too Many Requests', '500 Ouch', '502', '503 '],
  '504 Gateway Timeout',
];
const anyStatus = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom('1.1', '1.1', '1.0'),
        fc.integer({ min: 100, max: 999 }),
        fc.constantFrom('', ' ', ' OK', ' \xe9\xff\t ', ` ${'x'.repeat(300)}`),
      )
      .map(([version, status, reason]) => `HTTP/${version} ${status}${reason}`),
  },
  fc.constantFrom(
    ...['', '\0', 'HTTP/1.1', 'HTTP/1.1 20', 'HTTP/1.1 2000 OK', 'HTTP/1.1  200 OK', '200 OK'],
    ...['HTTP/2 200', 'HTTP/9.9 200 OK', 'ICY 200 OK', 'http/1.1 200 OK', 'GET / HTTP/1.1'],
    ...['HTTP/1.1 -20 OK', 'HTTP/1.1 abc OK', '\r\nHTTP/1.1 200 OK', '\x16\x03\x01\x02\0'],
    // What comes ahead of an answer.
    ...['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK', 'HTTP/1.1 103 \r\nlink: x\r\n\r\n'],
  ),
);

/** A status line, and a body that may go with it. */
const message = fc.oneof(
  { weight: 5, arbitrary: messageOf(fc.constantFrom(...SUCCESSES), success) },
  { weight: 3, arbitrary: messageOf(fc.constantFrom(...FAILURES), failure) },
  { weight: 2, arbitrary: fc.record({ status: anyStatus, body: anyBody }) },
);

function messageOf(status: fc.Arbitrary<string>, text: fc.Arbitrary<string>) {
  return fc.record({ status: status.map((it) => `HTTP/1.1 ${it}`), body: bodyOf(text) });
}

const retryAfter = fc.constantFrom(
  ...['0', '1', '7', '1.5', '-1', '1e3', ' 1 ', '9'.repeat(400), '1, 1', 'soon', ''],
  ...['Sat, 31 Jan 2026 12:00:04 GMT', 'Sat, 00 Xyz 9999 99:99:99 GMT', '2099-01-01T00:00:00Z'],
  ...['Fri, 31 Dec 9999 23:59:59 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT'],
);
const contentType = fc.constantFrom(
  'application/json',
  'text/html',
  'a/b; charset=utf-16',
  ';',
  '',
);
const usualHeader = fc.constantFrom(
  ...['connection: close', 'connection: keep-alive', 'connection: , ;', 'upgrade: h2c'],
  ...['keep-alive: timeout=0', 'keep-alive: timeout=soon, max=-1', 'proxy-connection: close'],
  ...['set-cookie: a=b; HttpOnly', 'set-cookie: c', 'location: //elsewhere', 'date: never'],
);
const oddHeader = fc.constantFrom(
  ...['__proto__: x', 'constructor: x', 'toString: x', 'then: x', '__PROTO__: y', 'status: 200'],
  ...['connection: upgrade', ': x', 'no colon', 'a b: c', ' folded', 'x:\xff\x80', 'x: \0'],
  ...['x: \x7f', 'x: a\rb', '\xe9: x'],
);
const anyText = fc.string({ unit: 'binary-ascii', maxLength: 12 });
const header = fc.oneof(
  { weight: 5, arbitrary: retryAfter.map((value) => `Retry-After: ${value}`) },
  { weight: 5, arbitrary: contentType.map((value) => `content-type: ${value}`) },
  { weight: 5, arbitrary: usualHeader },
  oddHeader,
  fc.tuple(fc.oneof(fc.constant('x'), anyText), anyText).map((parts) => parts.join(': ')),
);
const headers = fc.oneof(
  { weight: 300, arbitrary: fc.constant<string[]>([]) },
  { weight: 200, arbitrary: fc.array(header, { minLength: 1, maxLength: 3 }) },
  // Undici takes 16 KiB.
  fc.constantFrom(8_000, 17_000, 100_000).map((length) => [`x-long: ${'x'.repeat(length)}`]),
  fc.constantFrom(100, 2_000).map((count) => times(count, 'x-many: x')),
);

/** They take little memory, so that thousands are quick. */
const SMALL = { windowBits: 9, memLevel: 1, level: 1 };
const FAST = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
const ENCODERS = {
  identity: (body: Buffer) => body,
  gzip: (body: Buffer) => gzipSync(body, SMALL),
  'x-gzip': (body: Buffer) => gzipSync(body, SMALL),
  deflate: (body: Buffer) => deflateSync(body, SMALL),
  br: (body: Buffer) => brotliCompressSync(body, FAST),
  zstd: (body: Buffer) => zstdCompressSync(body),
};
type Encoding = keyof typeof ENCODERS;
const anEncoding = fc.constantFrom<Encoding[]>(
  ...(['identity', 'gzip', 'x-gzip', 'deflate', 'br', 'zstd'] as const),
);
const encodings = fc.oneof(
  { weight: 36, arbitrary: fc.constant<Encoding[]>([]) },
  { weight: 3, arbitrary: fc.tuple(anEncoding) },
  fc.array(anEncoding, { minLength: 2, maxLength: 3 }),
);
const falseEncodings = fc.constantFrom(
  ...['', 'gzip', 'GZip , BR', 'compress', 'gzip, gzip, gzip', ', ,', 'constructor'],
);

/** A body in its encodings, some of it cut off, and the headers that tell of them, which may lie. */
const encoding = fc.record({
  encodings,
  cutOff: fc.constantFrom(...times(9, 0), 1, 5, 1_000),
  claim: fc.oneof({ weight: 19, arbitrary: fc.constant(undefined) }, falseEncodings),
});

function encode(body: Buffer, { encodings, cutOff, claim }: Value<typeof encoding>) {
  const names = claim ?? encodings.join(', ');
  const encoded = encodings.reduce((bytes, name) => ENCODERS[name](bytes), body);
  const end = encodings.length === 0 ? encoded.length : Math.max(0, encoded.length - cutOff);
  return {
    body: encoded.subarray(0, end),
    headers: claim === undefined && names === '' ? [] : [`content-encoding: ${names}`],
  };
}

type Value<Arbitrary> = Arbitrary extends fc.Arbitrary<infer T> ? T : never;

function length(value: unknown): string {
  return `content-length: ${value}`;
}
const CHUNKED = 'transfer-encoding: chunked';
function inChunks(body: string): string {
  return `${body && `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`;
}

/** Ways to say where a body ends: the headers for that, and what goes over the wire. */
const FRAMINGS: Record<string, (body: string) => [headers: string[], sent: string]> = {
  length: (body) => [[length(body.length)], body],
  chunks: (body) => [[CHUNKED], inChunks(body)],
  'chunks with extras': (body) => [
    ['Transfer-Encoding: Chunked', 'trailer: x'],
    `${body.length.toString(16)};a=b\r\n${body}\r\n0\r\nx: y\r\n__proto__: z\r\n\r\n`,
  ],
  none: (body) => [[], body],
  'too small': (body) => [[length(body.length >> 1)], body],
  'too large': (body) => [[length(body.length + 9)], body],
  negative: (body) => [[length(-body.length)], body],
  'no number': (body) => [[length('0x1e, many')], body],
  astronomical: (body) => [[length('9'.repeat(30))], body],
  'twice the same': (body) => [[length(body.length), length(body.length)], body],
  'twice another': (body) => [[length(body.length), length(body.length + 1)], body],
  both: (body) => [[length(body.length), CHUNKED], inChunks(body)],
  'chunks that are none': (body) => [[CHUNKED], body],
  'chunks without end': (body) => [[CHUNKED], inChunks(body).slice(0, -5)],
  'a chunk without end': (body) => [[CHUNKED], `${'f'.repeat(20)}\r\n${body}`],
  'chunks in gzip': (body) => [['transfer-encoding: gzip, chunked'], inChunks(body)],
  'gzip in chunks': (body) => [['transfer-encoding: chunked, gzip'], body],
};
/** Those by which an answer ends, whether its connection does or not. */
const SOUND_FRAMINGS = ['length', 'chunks', 'chunks with extras'];

const anyFraming = fc.constantFrom(...Object.keys(FRAMINGS));
const framing = fc.oneof(
  { weight: 10, arbitrary: fc.constant('length') },
  { weight: 3, arbitrary: fc.constant('chunks') },
  { weight: 1, arbitrary: anyFraming },
);

const place = fc.integer({ min: 1, max: 200 });

/**
 * `mayHang`: the connection may stay open although the answer has no end; who has no time limit waits
 * for ever.
 */
export function arbitraryAnswer({ mayHang }: { mayHang: boolean }): fc.Arbitrary<ArbitraryAnswer> {
  return fc
    .record({
      message,
      headers,
      encoding,
      framing: mayHang ? anyFraming : framing,
      lineEnd: fc.constantFrom(...times(80, '\r\n'), '\n'),
      firstPiece: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, place),
      ending: fc.constantFrom<Ending[]>(...times(18, 'open' as const), 'end', 'reset'),
    })
    .map(({ message, headers, encoding, framing, lineEnd, firstPiece, ending }) => {
      const encoded = encode(message.body, encoding);
      const [framingHeaders = [], sent = ''] =
        FRAMINGS[framing]?.(encoded.body.toString('latin1')) ?? [];
      const head = [message.status, ...headers, ...encoded.headers, ...framingHeaders];
      const ends = SOUND_FRAMINGS.includes(framing) && /^HTTP\/1.. [2-9]/.test(message.status);
      return {
        bytes: [...head, '', sent].join(lineEnd),
        firstPiece,
        ending: ending === 'open' && !ends && !mayHang ? 'end' : ending,
      };
    });
}
