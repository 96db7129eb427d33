import { promisify } from 'node:util';
import { brotliCompress, deflate, deflateRaw, gzip, zstdCompress } from 'node:zlib';
import { expect, test } from 'vitest';
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts';
import { watchRequests } from '../support/requests-under-way.ts';
import {
  type Script,
  type ScriptedAnswer,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import {
  STATUS_QUERY,
  startTestGateway,
  statusFailure,
  type TestGateway,
} from '../support/test-gateway.ts';

const NO_COPIES = { STATUS_TTL_MS: '0', STATUS_STALE_MS: '0' };

/** A gateway that has its token, behind a proxy that does damage, on a clock that stands still. */
async function startDamaged(environment: Record<string, string> = {}) {
  const clock = new TestClock();
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startScriptedUpstream());
  const proxy = stack.use(await startFaultProxy(upstream.url, clock));
  const gateway = stack.use(
    await startTestGateway({
      upstream: proxy,
      clock,
      environment: { ...NO_COPIES, ...environment },
    }),
  );
  await ask(gateway, 'first');
  proxy.requests = 0;
  upstream.statusCalls.length = 0;
  return {
    clock,
    upstream,
    proxy,
    gateway,
    /** The answer for a batch, however long it takes, and how long it took. */
    async timed(batchId = 'b-1') {
      const begun = clock.now();
      const answer = await clock.elapse(ask(gateway, batchId));
      return { answer, tookMs: clock.now() - begun };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function ask(gateway: TestGateway, batchId: string) {
  return gateway.query(STATUS_QUERY, { participantType: 'vehicles', batchId });
}

function success(batchId = 'b-1', status = 'IN_PROGRESS') {
  return {
    status: 200,
    body: { data: { batchStatus: { id: `vehicles/${batchId}`, status } } },
  };
}

const UNREACHABLE = statusFailure('The Participant Service cannot be reached.', {
  code: 'UPSTREAM_UNAVAILABLE',
  retryable: true,
});
const TIMEOUT = statusFailure('The Participant Service did not answer in time.', {
  code: 'UPSTREAM_TIMEOUT',
  retryable: true,
});

const broken: [name: string, fault: Fault][] = [
  ['reset before its answer', 'reset'],
  ['ended before its answer', 'end'],
  ['reset within the head of its answer', { resetAfterBytes: 30 }],
  ['reset within the body of its answer', { resetAfterBytes: 220 }],
];

for (const [name, fault] of broken) {
  test(`28: a call that is ${name} is made once more, and then UPSTREAM_UNAVAILABLE`, async () => {
    await using damaged = await startDamaged();
    damaged.proxy.fault = fault;
    expect((await damaged.timed()).answer).toEqual(UNREACHABLE);
    expect(damaged.proxy.requests).toBe(2);
  });

  test(`28: a call that is ${name} once is made once more, and nobody notices`, async () => {
    await using damaged = await startDamaged();
    damaged.proxy.nextFaults = [fault];
    expect((await damaged.timed()).answer).toEqual(success());
    expect(damaged.proxy.requests).toBe(2);
  });
}

test('28: a service that refuses connections is UPSTREAM_UNAVAILABLE, and asked again when it is back', async () => {
  await using damaged = await startDamaged();
  await damaged.proxy.refuse();
  const { answer, tookMs } = await damaged.timed();
  expect(answer).toEqual(UNREACHABLE);
  expect(tookMs).toBeLessThan(1_000);
  await damaged.proxy.accept();
  expect((await damaged.timed()).answer).toEqual(success());
});

test('28: a token request that is reset is not made twice: it is no GET', async () => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using proxy = await startFaultProxy(upstream.url, clock);
  proxy.fault = 'reset';
  await using gateway = await startTestGateway({ upstream: proxy, clock });
  expect((await clock.elapse(ask(gateway, 'b-1'))).body).toHaveProperty(
    'errors.0.extensions.code',
    'TOKEN_UNAVAILABLE',
  );
  expect(proxy.requests).toBe(1);
});

for (const status of [502, 503, 504]) {
  test(`28: a call that is answered ${status} once is made once more, and nobody notices`, async () => {
    await using damaged = await startDamaged();
    const { upstream } = damaged;
    const { onStatus } = upstream;
    upstream.onStatus = () => {
      upstream.onStatus = onStatus;
      return { status };
    };
    expect((await damaged.timed()).answer).toEqual(success());
    expect(upstream.statusCalls).toHaveLength(2);
  });
}

for (const status of [400, 403, 404, 408, 409, 429, 500, 501]) {
  test(`28: a call that is answered ${status} is not made again`, async () => {
    await using damaged = await startDamaged();
    damaged.upstream.onStatus = () => ({ status });
    await damaged.timed();
    expect(damaged.upstream.statusCalls).toHaveLength(1);
  });
}

const slow: [name: string, fault: Fault][] = [
  ['hangs', 'hang'],
  ['trickles', { trickleMs: 50 }],
  ['comes too late', { latencyMs: 2_500 }],
];

for (const [name, fault] of slow) {
  test(`29: an answer that ${name} is UPSTREAM_TIMEOUT at one time limit, and its connection is given up`, async () => {
    await using damaged = await startDamaged();
    damaged.proxy.fault = fault;
    const { answer, tookMs } = await damaged.timed();
    expect(answer).toEqual(TIMEOUT);
    expect(tookMs).toBeGreaterThanOrEqual(2_000);
    expect(tookMs).toBeLessThan(2_200);
    expect(damaged.proxy.requests).toBe(1);
    // The one that is left is that of the token.
    await expect.poll(() => damaged.proxy.connections).toBe(1);
  });
}

test('29: an answer that is slow, but in time, is an answer', async () => {
  await using damaged = await startDamaged();
  damaged.proxy.fault = { latencyMs: 1_500 };
  expect((await damaged.timed()).answer).toEqual(success());
});

test('29: no retry is begun that could not end before the deadline', async () => {
  await using damaged = await startDamaged({ UPSTREAM_TIMEOUT_MS: '4000' });
  damaged.proxy.fault = { latencyMs: 3_000 };
  damaged.upstream.onStatus = () => ({ status: 503 });
  const { answer, tookMs } = await damaged.timed();
  expect(answer.body).toHaveProperty('errors.0.extensions.code', 'UPSTREAM_UNAVAILABLE');
  expect(tookMs).toBeLessThan(3_200);
  expect(damaged.upstream.statusCalls).toHaveLength(1);
});

test('29: a deadline that passes while a retry is waited for gives what is there', async () => {
  await using damaged = await startDamaged({ REQUEST_DEADLINE_MS: '1500' });
  damaged.upstream.onStatus = ({ target }) => {
    if (target.endsWith('good')) return { body: { data: { status: 'DONE' } } };
    return damaged.upstream.statusCalls.length > 2
      ? undefined
      : { status: 429, headers: { 'retry-after': '1' } };
  };
  const { clock, gateway } = damaged;
  const begun = clock.now();
  const { body } = await clock.elapse(
    gateway.query(`{
      good: batchStatus(participantType: "vehicles", batchId: "good") { status }
      bad: batchStatus(participantType: "vehicles", batchId: "bad") { status }
    }`),
  );
  expect(body).toMatchObject({
    data: { good: { status: 'DONE' }, bad: null },
    errors: [{ path: ['bad'], message: 'The request took longer than 1500 ms.' }],
  });
  expect(clock.now() - begun).toBeLessThan(1_600);
  expect(damaged.upstream.statusCalls).toHaveLength(3);
});

const encoders: [encoding: string, encode: (body: Buffer) => Promise<Buffer>][] = [
  ['gzip', promisify(gzip)],
  ['x-gzip', promisify(gzip)],
  ['deflate', promisify(deflate)],
  ['br', promisify(brotliCompress)],
  ['zstd', promisify(zstdCompress)],
];
const MIB = 1024 * 1024;
const frame = (filler: string) => Buffer.from(`{"data":{"status":"DONE","filler":"${filler}"}}`);

/** Sends what is already encoded. */
function sends(body: Buffer, encoding: string, status = 200): Script {
  return (_, response) => {
    response.writeHead(status, { 'content-encoding': encoding }).end(body);
    return undefined;
  };
}

// Decoding is done on threads: the clock stands still, or it would look slow.
for (const [encoding, encode] of encoders) {
  test(`32: an answer in ${encoding} is read, and cut off where it is longer than allowed once it is decoded`, async () => {
    await using damaged = await startDamaged();
    const { upstream, gateway } = damaged;
    upstream.onStatus = sends(await encode(frame('x')), encoding);
    expect(await ask(gateway, 'b-1')).toEqual(success('b-1', 'DONE'));
    upstream.onStatus = sends(await encode(frame('x'.repeat(MIB))), encoding.toUpperCase());
    expect(await ask(gateway, 'b-1')).toEqual(
      statusFailure('The Participant Service answered more than the gateway reads.', {
        code: 'UPSTREAM_BAD_RESPONSE',
        retryable: true,
      }),
    );
    upstream.onStatus = sends((await encode(frame('x'))).subarray(0, -4), encoding);
    expect(await ask(gateway, 'b-1')).toEqual(
      statusFailure('The Participant Service answered something that cannot be read.', {
        code: 'UPSTREAM_BAD_RESPONSE',
        retryable: true,
      }),
    );
  });
}

test('32: deflate is read with and without the zlib format around it, as servers send it', async () => {
  await using damaged = await startDamaged();
  const { upstream, gateway } = damaged;
  upstream.onStatus = sends(await promisify(deflateRaw)(frame('x')), 'deflate');
  expect(await ask(gateway, 'b-1')).toEqual(success('b-1', 'DONE'));
});

test('32: a body that cannot be decoded does not hide the status of a refusal', async () => {
  await using damaged = await startDamaged();
  const { upstream, gateway } = damaged;
  const codes: unknown[] = [];
  for (const body of [Buffer.alloc(0), Buffer.from('no gzip')]) {
    upstream.onStatus = sends(body, 'gzip', 404);
    codes.push((await ask(gateway, 'b-1')).body);
  }
  const notFound = statusFailure('The Participant Service answered 404 without saying why.', {
    code: 'NOT_FOUND',
    retryable: false,
    upstream: { status: 404, code: null, description: null, additionalInfo: null },
  });
  expect(codes).toEqual([notFound.body, notFound.body]);
});

test('32: encodings on top of each other are read twice over, and no more', async () => {
  await using damaged = await startDamaged();
  const { upstream, gateway } = damaged;
  const once = await promisify(gzip)(frame('x'));
  const twice = await promisify(brotliCompress)(once);
  const thrice = await promisify(gzip)(twice);
  upstream.onStatus = sends(twice, 'gzip, identity, br');
  expect(await ask(gateway, 'b-1')).toEqual(success('b-1', 'DONE'));
  for (const [body, encoding] of [
    [thrice, 'gzip, br, gzip'],
    [once, 'compress'],
    [once, 'gzip, '.repeat(200)],
  ] as const) {
    upstream.onStatus = sends(body, encoding);
    expect((await ask(gateway, 'b-1')).body).toHaveProperty(
      'errors.0.extensions.code',
      'UPSTREAM_BAD_RESPONSE',
    );
  }
});

test('32: twenty bombs of 64 MiB at once take little more than twenty times the limit', async () => {
  await using damaged = await startDamaged();
  const { upstream, gateway } = damaged;
  const bomb = await promisify(gzip)(Buffer.alloc(64 * MIB, 32));
  const bombInBomb = await promisify(gzip)(bomb);
  let [turn, peak] = [0, 0];
  upstream.onStatus = (call, response) => {
    turn += 1;
    return turn % 2 === 0
      ? sends(bomb, 'gzip')(call, response)
      : sends(bombInBomb, 'gzip, gzip')(call, response);
  };
  const before = process.memoryUsage().arrayBuffers;
  const watching = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
  }, 1);
  const aliases = Array.from(
    { length: 20 },
    (_, index) => `a${index}: batchStatus(participantType: "vehicles", batchId: "${index}") { id }`,
  );
  const { body } = await gateway.query(`{ ${aliases.join(' ')} }`);
  clearInterval(watching);
  expect(body).toHaveProperty('errors.length', 20);
  expect(JSON.stringify(body).match(/answered more than the gateway reads/g)).toHaveLength(20);
  expect(peak).toBeLessThan(64 * MIB);
});

test('32: an answer without an end is cut off at the limit', async () => {
  await using damaged = await startDamaged();
  let sent = 0;
  const gone = Promise.withResolvers<void>();
  damaged.upstream.onStatus = (_call, response) => {
    response.writeHead(200);
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(64 * 1024))) sent += 64 * 1024;
    };
    response.on('drain', more).on('close', gone.resolve);
    more();
    return undefined;
  };
  expect((await damaged.timed()).answer.body).toHaveProperty(
    'errors.0.message',
    'The Participant Service answered more than the gateway reads.',
  );
  await gone.promise;
  // What the sockets' buffers hold comes on top.
  expect(sent).toBeLessThan(16 * MIB);
});

const waits: [name: string, answer: ScriptedAnswer, waitMs: number][] = [
  ['429 and Retry-After in seconds', { status: 429, headers: { 'retry-after': '2' } }, 2_000],
  ['503 and Retry-After in seconds', { status: 503, headers: { 'retry-after': '1' } }, 1_000],
  [
    '503 and Retry-After as a date',
    { status: 503, headers: { 'retry-after': 'Sat, 31 Jan 2026 12:00:04 GMT' } },
    3_000,
  ],
];

for (const [name, answer, waitMs] of waits) {
  test(`33: ${name} is waited for within the deadline`, async () => {
    await using damaged = await startDamaged();
    const { clock, upstream } = damaged;
    // A little before a whole second, as moments are.
    clock.advance(Date.parse('2026-01-31T12:00:00.900Z') - clock.date().getTime());
    const { onStatus } = upstream;
    upstream.onStatus = () => {
      upstream.onStatus = onStatus;
      return answer;
    };
    const { answer: final, tookMs } = await damaged.timed();
    expect(final).toEqual(success());
    expect(tookMs).toBeGreaterThanOrEqual(waitMs);
    expect(tookMs).toBeLessThan(waitMs + 500);
    expect(upstream.statusCalls).toHaveLength(2);
  });
}

for (const [status, code] of [
  [429, 'UPSTREAM_RATE_LIMITED'],
  [503, 'UPSTREAM_UNAVAILABLE'],
] as const) {
  test(`33: ${status} and a Retry-After beyond the deadline is passed on at once`, async () => {
    await using damaged = await startDamaged();
    damaged.upstream.onStatus = () => ({ status, headers: { 'retry-after': '30' } });
    const { answer, tookMs } = await damaged.timed();
    expect(answer.body).toMatchObject({
      errors: [{ extensions: { code, retryable: true, retryAfterMs: 30_000 } }],
    });
    expect(tookMs).toBeLessThan(500);
    expect(damaged.upstream.statusCalls).toHaveLength(1);
  });
}

test('34: of calls of which a fifth fails, retries are a tenth at most, and no query fails for less than that', async () => {
  await using damaged = await startDamaged();
  const { clock, upstream } = damaged;
  upstream.onStatus = () =>
    upstream.statusCalls.length % 5 === 0
      ? { status: 503 }
      : { body: { data: { status: 'DONE' } } };
  const queries = 1_000;
  let failed = 0;
  for (let index = 0; index < queries; index += 1) {
    const { answer } = await damaged.timed(`b-${index}`);
    if (!('data' in Object(answer.body)) || 'errors' in Object(answer.body)) failed += 1;
    clock.advance(20);
  }
  const retries = upstream.statusCalls.length - queries;
  expect(retries).toBeLessThanOrEqual(queries / 10);
  // They are made use of.
  expect(retries).toBeGreaterThan(queries / 12);
  expect(failed).toBeLessThanOrEqual(queries * 0.22 - retries);
  expect(damaged.gateway.logLines.join()).not.toContain('circuit open');
});

test('34: of calls that fail together, only so many are made again as the budget has', async () => {
  await using damaged = await startDamaged();
  const { clock, gateway, upstream } = damaged;
  upstream.onStatus = () => ({ status: 503 });
  // Too few to open the circuit, and a tenth of them would be less than three.
  await clock.elapse(Promise.all(Array.from({ length: 5 }, (_, i) => ask(gateway, `b-${i}`))));
  expect(upstream.statusCalls).toHaveLength(5 + 3);
});

test('29: the deadline of who has waited longest for a call is what its second try must keep', async () => {
  await using damaged = await startDamaged();
  const { clock, gateway, upstream } = damaged;
  using underWay = watchRequests(gateway.url);
  const { onStatus } = upstream;
  upstream.onStatus = async () => {
    upstream.onStatus = onStatus;
    await new Promise<void>((resolve) => void clock.after(1_000, resolve));
    return { status: 503, headers: { 'retry-after': '3' } };
  };
  const early = ask(gateway, 'b-1');
  await upstream.statusCallCount(1);
  clock.advance(900);
  // The first has 4 s left when the call fails, and the second one would take until then.
  const late = ask(gateway, 'b-1');
  await underWay.count(2);
  expect(await clock.elapse(Promise.all([early, late]))).toEqual([success(), success()]);
});

test('42: a token that is refused and a transient failure make three calls at most', async () => {
  await using damaged = await startDamaged();
  const { upstream } = damaged;
  const script = [401, 503, 401, 503];
  upstream.onStatus = () => ({ status: script[upstream.statusCalls.length - 1] ?? 200 });
  const { answer } = await damaged.timed();
  expect(JSON.stringify(answer.body)).toContain('"UPSTREAM_UNAUTHENTICATED"');
  expect(upstream.statusCalls).toHaveLength(3);
});

test('37: a connection that is one answer behind is given up, and everything asked again or over another', async () => {
  await using damaged = await startDamaged({ UPSTREAM_MAX_CONNECTIONS: '1' });
  const { clock, upstream, gateway } = damaged;
  let before: string | undefined;
  let bad: unknown;
  let servedByBad = 0;
  upstream.onStatus = ({ target }, response) => {
    const id = target.split('=')[1] ?? '';
    bad ??= response.socket;
    const other = before;
    before = id;
    const isBad = response.socket === bad && other !== undefined;
    servedByBad += isBad ? 1 : 0;
    const queryString = `batchId=${isBad ? other : id}`;
    return { body: { data: { status: isBad ? other : id }, request: { queryString } } };
  };
  // One call at a time, and as many that wait as may.
  const ids = Array.from({ length: 17 }, (_, index) => `b-${index}`);
  const answers = await clock.elapse(Promise.all(ids.map((id) => ask(gateway, id))));
  expect(answers).toEqual(ids.map((id) => success(id, id)));
  // The second was on its way when the first one was seen to be another's.
  expect(servedByBad).toBeLessThanOrEqual(2);
});

test('37: connections are given up once for all whose answers were late to be seen as foreign', async () => {
  await using damaged = await startDamaged({ UPSTREAM_MAX_CONNECTIONS: '5' });
  const { clock, upstream, gateway } = damaged;
  const held: (() => void)[] = [];
  const { onStatus } = upstream;
  upstream.onStatus = async () => {
    await new Promise<void>((resolve) => void held.push(resolve));
    return { body: { data: {}, request: { queryString: 'batchId=another' } } };
  };
  const foreign = Array.from({ length: 4 }, (_, index) => ask(gateway, `foreign-${index}`));
  await expect.poll(() => held.length).toBe(4);

  const later = new Set<unknown>();
  upstream.onStatus = (call, response) => {
    if (call.target.includes('later')) later.add(response.socket);
    return onStatus(call, response);
  };
  const calls = upstream.statusCalls.slice();
  for (const [index, release] of held.entries()) {
    release();
    await calls[index]?.closed;
    // By the time that these are answered, the gateway has the answer that is out.
    for (let round = 0; round < 5; round += 1) {
      await (await fetch(new URL('/livez', gateway.url))).text();
    }
    expect(await ask(gateway, `later-${index}`)).toEqual(success(`later-${index}`));
  }
  expect(later.size).toBe(1);
  await clock.elapse(Promise.all(foreign));
  const found = gateway.logLines.filter((line) => line.includes('with the answer to another'));
  expect(found).toHaveLength(1);
});

test('37: while connections are renewed again and again, there are no more calls at a time than there may be', async () => {
  await using damaged = await startDamaged({ UPSTREAM_MAX_CONNECTIONS: '4' });
  const { clock, upstream, gateway } = damaged;
  let underWay = 0;
  let most = 0;
  upstream.onStatus = async ({ target }) => {
    const id = upstream.statusCalls.length % 4 === 0 ? 'another' : target.split('=')[1];
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise<void>((resolve) => void clock.after(20, resolve));
    underWay -= 1;
    return { body: { data: { status: 'DONE' }, request: { queryString: `batchId=${id}` } } };
  };
  const ids = Array.from({ length: 60 }, (_, index) => `b-${index}`);
  await clock.elapse(Promise.all(ids.map((id) => ask(gateway, id))));
  expect(most).toBe(4);
});

for (const turns of [0, 1, 2, 3, 5, 8]) {
  test(`37: a second answer that comes ${turns} turns of the event loop after the first reaches nobody`, async () => {
    await using damaged = await startDamaged({ UPSTREAM_MAX_CONNECTIONS: '4' });
    const { clock, upstream, gateway, proxy } = damaged;
    const answerFor = (id: string, status = id) => ({
      data: { status },
      request: { uri: '/participants/vehicles/batch/status', queryString: `batchId=${id}` },
    });
    upstream.onStatus = ({ target }) => ({ body: answerFor(target.split('=')[1] ?? '') });
    const stray = JSON.stringify(answerFor('another', 'STRAY'));
    const fault: Fault = {
      stray: `HTTP/1.1 200 OK\r\ncontent-length: ${stray.length}\r\n\r\n${stray}`,
      turns,
    };
    proxy.nextFaults = Array.from({ length: 40 }, (_, index) =>
      index % 10 === 0 ? fault : 'none',
    );
    const ids = Array.from({ length: 40 }, (_, index) => `b-${index}`);
    const answers = await clock.elapse(Promise.all(ids.map((id) => ask(gateway, id))));
    const foreign = statusFailure(
      'The Participant Service answered a request that was not this one.',
      {
        code: 'UPSTREAM_BAD_RESPONSE',
        retryable: true,
        upstream: { status: 200, code: null, description: null, additionalInfo: null },
      },
    );
    answers.forEach((answer, index) => {
      const id = ids[index] ?? '';
      expect([success(id, id), foreign, UNREACHABLE]).toContainEqual(answer);
    });
    expect(JSON.stringify(answers)).not.toContain('STRAY');
    // Nor is a connection that is out of step used again.
    clock.advance(10_000);
    expect((await damaged.timed('b-99')).answer).toEqual(success('b-99', 'b-99'));
  });
}

test('37: an error that is for another request reaches nobody either', async () => {
  await using damaged = await startDamaged();
  const { upstream } = damaged;
  const { onStatus } = upstream;
  upstream.onStatus = () => {
    upstream.onStatus = onStatus;
    const request = { uri: '/participants/drivers/batch/status', queryString: '' };
    return { status: 404, body: { error: { description: 'No such driver.' }, request } };
  };
  expect((await damaged.timed()).answer).toEqual(success());
  expect(damaged.gateway.logLines.join('')).toContain('with the answer to another');
});

const echoes: [participantType: string, batchId: string, echo: object][] = [
  ['vehicles', 'b-1', { uri: '', queryString: '' }],
  [
    'vehicles',
    'b-1',
    { uri: '/a/participants/Vehicles/batch/status?x=1', queryString: 'batchid=B-1' },
  ],
  [
    'vehicles',
    'b-1',
    { uri: 'https://a/participants/vehicles/batch/status', queryString: '?batchId=b-1' },
  ],
  [
    'a b',
    'ü/+&%',
    { uri: '/participants/a%20b/batch/status', queryString: 'batchId=%C3%BC%2F%2B%26%25' },
  ],
  [
    'a b',
    'ü/+&%',
    {
      uri: '/participants/a b/batch/status',
      queryString: 'batchId=%25C3%25BC%252F%252B%2526%2525',
    },
  ],
  ['100%', '100%', { uri: '/participants/100%/batch/status', queryString: 'batchId=100%' }],
  ['vehicles', 'a+b&c=d', { queryString: 'batchId=a+b&c=d' }],
  ['vehicles', 'a b', { queryString: 'x=1&batchId=a+b&y=2' }],
  ['vehicles', 'b-1', { queryString: 'batchId=&y=2' }],
  ['vehicles', 'b-1', { uri: '/participants/vehicles/batch/status?batchId=b-1' }],
];

const foreignEchoes: [batchId: string | null, echo: object][] = [
  ['b-1', { uri: '/participants/drivers/batch/status', queryString: '' }],
  ['b-1', { queryString: 'batchId=b-2' }],
  ['b-1', { uri: '/participants/vehicles/batch/status?batchId=b-2', queryString: '' }],
  ['b-1', { queryString: 'x=b-1&BatchId=b-2&batchId=b-1' }],
  [null, { queryString: 'batchId=b-2' }],
];

for (const [batchId, request] of foreignEchoes) {
  test(`37: the echo ${JSON.stringify(request)} is not one of vehicles ${batchId}`, async () => {
    await using damaged = await startDamaged();
    const { clock, gateway, upstream } = damaged;
    upstream.onStatus = () => ({ body: { data: { status: 'DONE' }, request } });
    const variables = { participantType: 'vehicles', batchId };
    const { body } = await clock.elapse(gateway.query(STATUS_QUERY, variables));
    expect(body).toHaveProperty('errors.0.extensions.code', 'UPSTREAM_BAD_RESPONSE');
  });
}

for (const [participantType, batchId, request] of echoes) {
  test(`37: the echo ${JSON.stringify(request)} is one of ${participantType} ${batchId}`, async () => {
    await using damaged = await startDamaged();
    damaged.upstream.onStatus = () => ({ body: { data: { status: 'DONE' }, request } });
    const { body } = await damaged.gateway.query(STATUS_QUERY, { participantType, batchId });
    expect(body).toMatchObject({ data: { batchStatus: { status: 'DONE' } } });
  });
}

test('37: connections that are closed as they are used again cost nobody an answer, and give nobody a foreign one', async () => {
  await using damaged = await startDamaged({ UPSTREAM_MAX_CONNECTIONS: '4' });
  const { clock, upstream, gateway, proxy } = damaged;
  upstream.onStatus = ({ target }) => ({ body: { data: { status: target.split('=')[1] } } });
  const ids = Array.from({ length: 250 }, (_, index) => `b-${index}`);
  for (let at = 0; at < ids.length; at += 25) {
    // As many as the budget has retries for.
    if (at > 0) proxy.nextFaults = ['end', 'none', 'reset'];
    const some = ids.slice(at, at + 25);
    expect(await clock.elapse(Promise.all(some.map((id) => ask(gateway, id))))).toEqual(
      some.map((id) => success(id, id)),
    );
    clock.advance(1_000);
  }
});
