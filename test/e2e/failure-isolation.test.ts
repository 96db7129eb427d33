import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import {
  circuitLog,
  OPEN as OPEN_FOR_ALL,
  OPEN_FOR_TYPE,
  startBroken,
} from '../support/broken-upstream.ts';
import { ECHO, type Script, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { CLIENT_SECRET, startTestGateway } from '../support/test-gateway.ts';

const QUERY = `query Status($type: String!, $id: ID) {
  batchStatus(participantType: $type, batchId: $id) { id status stale }
}`;

/** A gateway whose upstream has answered for `drivers` and `vehicles`; its log begins then. */
async function startIsolated(environment: Record<string, string> = {}) {
  const broken = await startBroken({ STATUS_STALE_MS: '0', ...environment });
  const { clock, gateway, upstream } = broken;
  const ask = (type: string, id: string | null) => clock.elapse(gateway.query(QUERY, { type, id }));
  const { onStatus: well } = upstream;
  expect(await ask('drivers', 'first')).toEqual(fresh('drivers', 'first'));
  gateway.logLines.length = 0;
  return {
    ...broken,
    ask,
    /** Has a script answer for one participant type, or for all. */
    fail(script: Script, type = '') {
      upstream.onStatus = (call, response) =>
        (call.target.includes(`/participants/${type}`) ? script : well)(call, response);
    },
    heal() {
      upstream.onStatus = well;
    },
    /** Asks for so many different batches, all of which must be there, each by a call of its own. */
    async expectFresh(type: string, count: number) {
      const before = upstream.statusCalls.length;
      for (let index = 0; index < count; index += 1) {
        const id = `fresh-${before}-${index}`;
        expect(await ask(type, id)).toEqual(fresh(type, id));
      }
      expect(upstream.statusCalls.length - before).toBe(count);
    },
    /** What the log tells of circuits, without what pino adds. */
    circuitEvents: () => entriesOf(gateway.logLines).filter(({ msg }) => msg.startsWith('circuit')),
    warnings: () => entriesOf(gateway.logLines).filter(({ level }) => isWarning(level)),
  };
}

interface LogEntry {
  level: number | string;
  msg: string;
}

function entriesOf(lines: readonly string[]): LogEntry[] {
  return lines.map((line) => JSON.parse(line));
}

function isWarning(level: number | string): boolean {
  return typeof level === 'number' ? level >= 40 : ['warn', 'error', 'fatal'].includes(level);
}

function fresh(type: string, id: string, status = 'IN_PROGRESS') {
  const entityId = `${encodeURIComponent(type)}/${encodeURIComponent(id)}`;
  return { status: 200, body: { data: { batchStatus: { id: entityId, status, stale: false } } } };
}

const ways: [name: string, script: Script, fault: unknown][] = [
  ['answers 500', () => ({ status: 500 }), 'status 500'],
  ['answers 503', () => ({ status: 503 }), 'status 503'],
  ['hangs', () => undefined, 'no whole answer within 2000 ms'],
  [
    'resets connections that the request was sent over',
    (_, response) => {
      response.socket?.resetAndDestroy();
      return undefined;
    },
    expect.stringContaining('the connection failed'),
  ],
  ['answers HTML', () => ({ body: '<html>' }), 'status 200, not the documented envelope'],
  [
    'cuts its answers off',
    (_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"data"', () => response.destroy());
      return undefined;
    },
    'the answer was cut off, or is none',
  ],
  ['answers nothing', () => ({ body: '' }), 'status 200, not the documented envelope'],
  [
    'redirects',
    () => ({ status: 302, headers: { location: 'https://example.com/' } }),
    'status 302, not the documented envelope',
  ],
];

test.each(ways)(
  '81: a type that %s has its own circuit: of another type 50 of 50 statuses are fresh',
  async (_name, script, fault) => {
    await using isolated = await startIsolated();
    const { clock, upstream, ask, fail, heal, expectFresh, readiness } = isolated;
    fail(script, 'drivers');
    for (let index = 0; index < 10; index += 1) await ask('drivers', `d-${index}`);
    expect(isolated.circuitEvents()).toEqual([
      expect.objectContaining({
        msg: 'circuit open: the upstream fails',
        circuit: 'participant type',
        participantType: 'drivers',
        fault,
      }),
    ]);
    const calls = upstream.statusCalls.length;
    expect(await isolated.gateway.query(QUERY, { type: 'drivers', id: 'held' })).toEqual(
      OPEN_FOR_TYPE,
    );
    expect(upstream.statusCalls).toHaveLength(calls);
    expect(await readiness()).toEqual({
      status: 200,
      body: {
        status: 'degraded',
        notReady: {},
        degraded: {
          upstream: 'the Participant Service fails for drivers; the circuit is open',
        },
      },
    });

    await expectFresh('vehicles', 25);
    clock.advance(1_250);
    // The one call that decides fails, which is none of the others' business.
    await ask('drivers', 'deciding');
    await expectFresh('vehicles', 25);
    heal();
    clock.advance(1_250);
    expect(await ask('drivers', 'back')).toEqual(fresh('drivers', 'back'));
    expect(circuitLog(isolated.gateway.logLines)).toEqual([
      'circuit open: the upstream fails',
      'circuit closed: the upstream answers again',
    ]);
  },
);

const PROTO = '{"data":{"status":"DONE","__proto__":{"x":1}}}';
const NESTED = (levels: number) => `{"data":{"x":${'['.repeat(levels)}${']'.repeat(levels)}}}`;

/** An upstream that shows the arguments as it has read them, unencoded. */
const decodingEcho: Script = ({ target }) => {
  const [path = '', query = ''] = target.split('?');
  const uri = decodeURIComponent(path);
  const queryString = decodeURIComponent(query);
  return { body: { data: { status: 'IN_PROGRESS' }, request: { ...ECHO, uri, queryString } } };
};

const ODD_IDS = [
  ...['&batchid=x', '&batchId=x', 'x#y', '#', '&', 'a&b=c', '%26', '%', '%2526', '+', 'a b+c'],
  ...[
    '?batchid=x',
    'x&batchid=y',
    '/participants/vehicles/batch/status',
    '"',
    '\\',
    '{}',
    'ß',
    '…',
  ],
];
const ODD_TYPES = [
  ...['a?b', 'a#b', 'a&b', 'a%2Fb', 'participants', 'a?batchid=x', 'batch', '%', 'a%3Fb', '…'],
];

type Asked = readonly [type: string, id: string];
const different = (type: string): Asked[] =>
  Array.from({ length: 60 }, (_, index) => [type, `b-${index}`]);

const broughtAbout: [name: string, script: Script, asked: readonly Asked[]][] = [
  ['bodies with __proto__', () => ({ body: PROTO }), different('drivers')],
  [
    'bodies with constructor.prototype and exact numbers',
    () => ({ body: '{"data":{"x":9007199254740993,"constructor":{"prototype":{}}}}' }),
    different('drivers'),
  ],
  ['bodies nested 201 deep', () => ({ body: NESTED(200) }), different('drivers')],
  [
    'bodies nested deeper than the stack takes, with exact numbers',
    () => ({ body: NESTED(30_000).replace('[]', '[9007199254740993]') }),
    different('drivers'),
  ],
  ['bodies that are too large', () => ({ body: 'x'.repeat(70_000) }), different('drivers')],
  [
    'ids that an echo repeats',
    decodingEcho,
    ['drivers', 'vehicles', 'operators'].flatMap((type) => ODD_IDS.map((id): Asked => [type, id])),
  ],
  ['types that an echo repeats', decodingEcho, ODD_TYPES.flatMap(different)],
  ['batches that do not exist', () => ({ status: 404 }), different('drivers')],
  ['malformed requests', () => ({ status: 400 }), different('drivers')],
  ['refusals', () => ({ status: 403 }), different('drivers')],
  [
    'made-up types',
    () => ({ status: 404 }),
    Array.from({ length: 200 }, (_, index) => [`made-up-${index}`, 'x']),
  ],
  [
    'one batch that fails, 200 times',
    () => ({ status: 500 }),
    Array.from({ length: 200 }, () => ['drivers', 'bad']),
  ],
  [
    'four batches that fail, 200 times',
    () => ({ status: 500 }),
    Array.from({ length: 200 }, (_, index) => ['drivers', `bad-${index % 4}`]),
  ],
];

test.each(broughtAbout)(
  '81: %s open no circuit, and nobody is woken',
  async (_name, script, asked) => {
    await using isolated = await startIsolated({ UPSTREAM_MAX_BODY_BYTES: '65536' });
    const { upstream, ask, fail, heal, expectFresh, readiness } = isolated;
    upstream.statusCalls.length = 0;
    fail(script);
    for (const [type, id] of asked) await ask(type, id);
    // Each was asked for, and none twice, as for an answer to another request.
    expect(upstream.statusCalls).toHaveLength(asked.length);
    expect(isolated.circuitEvents()).toEqual([]);
    expect(isolated.warnings()).toEqual([]);
    heal();
    await expectFresh('drivers', 5);
    await expectFresh('vehicles', 5);
    expect((await readiness()).body).toEqual({ status: 'ready', notReady: {}, degraded: {} });
  },
);

test('81: an echo that repeats odd arguments is an answer like any other', async () => {
  await using isolated = await startIsolated();
  isolated.fail(decodingEcho);
  for (const id of ODD_IDS) expect(await isolated.ask('drivers', id)).toEqual(fresh('drivers', id));
  for (const type of ODD_TYPES) expect(await isolated.ask(type, 'x')).toEqual(fresh(type, 'x'));
});

test('81: made-up types that the upstream fails at hold no type that has answered, and such a type closes theirs', async () => {
  await using isolated = await startIsolated();
  const { clock, ask, fail, heal, expectFresh } = isolated;
  fail(() => ({ status: 500 }), 'made-up');
  for (let index = 0; index < 10; index += 1) await ask(`made-up-${index}`, 'x');
  expect(isolated.circuitEvents()).toEqual([
    expect.objectContaining({ circuit: 'new participant types', fault: 'status 500' }),
  ]);
  expect((await isolated.readiness()).body).toMatchObject({
    degraded: {
      upstream: 'the Participant Service fails for new participant types; the circuit is open',
    },
  });
  await expectFresh('vehicles', 50);
  heal();
  clock.advance(1_250);
  expect(await ask('operators', 'x')).toEqual(fresh('operators', 'x'));
  expect(circuitLog(isolated.gateway.logLines)).toHaveLength(2);
});

const closesNothing: [name: string, script: Script][] = [
  ['a batch that does not exist', () => ({ status: 404 })],
  ['a malformed request', () => ({ status: 400 })],
  ['a body with __proto__', () => ({ body: PROTO })],
  ['a body that is too large', () => ({ body: 'x'.repeat(70_000) })],
  [
    'an answer to another request',
    () => ({ body: { data: {}, request: { queryString: 'batchId=another' } } }),
  ],
];

test.each(closesNothing)(
  '81: %s closes no circuit, and nobody waits a second because of it',
  async (_name, script) => {
    await using isolated = await startIsolated({ UPSTREAM_MAX_BODY_BYTES: '65536' });
    const { clock, ask, fail, heal } = isolated;
    fail(() => ({ status: 500 }), 'drivers');
    for (let index = 0; index < 10; index += 1) await ask('drivers', `d-${index}`);
    clock.advance(1_250);
    fail(script);
    for (let time = 0; time < 20; time += 1) await ask('drivers', 'made-up');
    for (let time = 0; time < 20; time += 1) await ask('made-up', `b-${time}`);
    expect(circuitLog(isolated.gateway.logLines)).toEqual(['circuit open: the upstream fails']);
    heal();
    expect(await ask('drivers', 'real')).toEqual(fresh('drivers', 'real'));
    expect(circuitLog(isolated.gateway.logLines)).toHaveLength(2);
  },
);

test('81: refusals of five different batches in a row close a circuit: the upstream does answer', async () => {
  await using isolated = await startIsolated();
  const { clock, ask, fail } = isolated;
  fail(() => ({ status: 500 }), 'drivers');
  for (let index = 0; index < 10; index += 1) await ask('drivers', `d-${index}`);
  clock.advance(1_250);
  fail(() => ({ status: 404 }));
  for (const id of ['a', 'b', 'c', 'd']) await ask('drivers', id);
  expect(isolated.circuitEvents()).toHaveLength(1);
  await ask('drivers', 'e');
  expect(isolated.circuitEvents()).toHaveLength(2);
});

test('81: an upstream that refuses connections has one circuit for all types, which a 404 closes', async () => {
  await using isolated = await startIsolated();
  const { clock, proxy, gateway, ask, fail, expectFresh } = isolated;
  await proxy.refuse();
  // No different batches are needed: no batch can bring that about.
  for (let index = 0; index < 10; index += 1) await ask('drivers', 'the-same');
  for (const type of ['drivers', 'vehicles', 'operators']) {
    expect(await gateway.query(QUERY, { type, id: 'x' })).toEqual(OPEN_FOR_ALL);
  }
  expect(isolated.circuitEvents()).toEqual([
    expect.objectContaining({
      circuit: 'service',
      fault: 'the connection failed (ECONNREFUSED)',
    }),
  ]);
  expect((await isolated.readiness()).body).toMatchObject({
    degraded: { upstream: 'the Participant Service fails; the circuit is open' },
  });
  await proxy.accept();
  clock.advance(1_250);
  fail(() => ({ status: 404 }), 'made-up');
  await ask('made-up', 'x');
  await expectFresh('vehicles', 5);
  expect(isolated.circuitEvents()).toHaveLength(2);
});

test('81: an answer to another request is the failure of that batch: connections are renewed once a second at most', async () => {
  await using isolated = await startIsolated();
  const { clock, ask, fail, expectFresh } = isolated;
  const echo = { queryString: 'batchId=another' };
  fail(() => ({ body: { data: {}, request: echo } }), 'drivers');
  const begun = clock.now();
  for (let index = 0; index < 60; index += 1) {
    await ask('drivers', `d-${index}`);
    clock.advance(50);
  }
  const seconds = (clock.now() - begun) / 1_000;
  expect(isolated.circuitEvents()).toEqual([]);
  expect(isolated.warnings().length).toBeGreaterThan(seconds / 2);
  expect(isolated.warnings().length).toBeLessThanOrEqual(seconds + 1);
  await expectFresh('vehicles', 50);
});

const unconnected: [name: string, reply: string, environment: object, fault: string][] = [
  ['a TLS failure', 'no TLS', {}, 'the connection failed'],
  ['a time-out while it connects', '', {}, 'no whole answer within 2000 ms'],
  [
    'the deadline while it connects',
    '',
    { REQUEST_DEADLINE_MS: '500' },
    'The request took longer than 500 ms.',
  ],
];

test.each(unconnected)(
  '81: %s is nothing that a batch can bring about: one circuit for all types',
  async (_name, reply, environment, fault) => {
    const clock = new TestClock();
    await using tokens = await startScriptedUpstream();
    tokens.onToken = () => ({
      body: { access_token: 'token', token_type: 'Bearer', expires_in: 3600 },
    });
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => {
        if (reply !== '') socket.end(reply);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await using gateway = await startTestGateway({
      clock,
      environment: {
        PARTICIPANT_SERVICE_URL: `https://127.0.0.1:${port}`,
        PARTICIPANT_SERVICE_TENANT_ID: 'tenant-1',
        TOKEN_GRANT: 'oauth2',
        TOKEN_URL: `${tokens.url.origin}/token`,
        TOKEN_CLIENT_ID: 'gateway',
        TOKEN_CLIENT_SECRET: CLIENT_SECRET,
        ...environment,
      },
    });
    for (let index = 0; index < 10; index += 1) {
      await clock.elapse(gateway.query(QUERY, { type: 'drivers', id: 'the-same' }));
    }
    expect(await gateway.query(QUERY, { type: 'vehicles', id: 'x' })).toEqual(OPEN_FOR_ALL);
    const events = entriesOf(gateway.logLines).filter(({ msg }) => msg.startsWith('circuit'));
    expect(events).toEqual([
      expect.objectContaining({ circuit: 'service', fault: expect.stringContaining(fault) }),
    ]);
    server.close();
    server.unref();
  },
);
