import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createClientIp } from '../../src/server/client-ip.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  STATUS_QUERY,
  sendBody,
  startTestGateway,
  type TestGateway,
  UUID,
} from '../support/test-gateway.ts';

async function send(gateway: TestGateway, batchId: string, headers: Record<string, string> = {}) {
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      query: STATUS_QUERY,
      variables: { participantType: 'vehicles', batchId },
    }),
  });
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: await response.json(),
  };
}

function success(batchId: string) {
  const batchStatus = { id: `vehicles/${batchId}`, status: 'IN_PROGRESS' };
  return { status: 200, retryAfter: null, body: { data: { batchStatus } } };
}

function refusal(status: number, code: string, message: string) {
  const extensions = {
    code,
    retryable: true,
    retryAfterMs: expect.any(Number),
    requestId: UUID,
  };
  return {
    status,
    retryAfter: expect.stringMatching(/^(?:[1-9]|10)$/),
    body: { errors: [{ message, extensions }] },
  };
}

const RATE_LIMITED = refusal(429, 'RATE_LIMITED', 'You send too many requests: wait a moment.');
const OVERLOADED = refusal(503, 'OVERLOADED', 'The gateway has more to do than it can.');

const BEHIND_A_PROXY = { TRUSTED_PROXIES: '127.0.0.1,::1' };
const from = (address: string) => ({ 'x-forwarded-for': address });

test('15: one client floods: 429 and Retry-After for it, nothing for others (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      RATE_LIMIT_PER_SECOND: '1',
      RATE_LIMIT_BURST: '4',
      ...BEHIND_A_PROXY,
    },
  });
  const flood = await Promise.all(
    Array.from({ length: 30 }, () => send(gateway, 'flood', from('192.0.2.1'))),
  );
  const refused = flood.filter(({ status }) => status === 429);
  // The second may turn within the flood.
  expect(refused.length).toBeGreaterThanOrEqual(24);
  expect(refused).toEqual(refused.map(() => RATE_LIMITED));
  expect(flood.filter(({ status }) => status !== 429)).toEqual(
    Array.from({ length: 30 - refused.length }, () => success('flood')),
  );
  expect(await send(gateway, 'b', from('192.0.2.2'))).toEqual(success('b'));
  await expect
    .poll(() => send(gateway, 'c', from('192.0.2.1')), { timeout: 5_000, interval: 200 })
    .toEqual(success('c'));
});

test('27: a forged X-Forwarded-For is ignored: it is no way out of the limit (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { RATE_LIMIT_PER_SECOND: '1', RATE_LIMIT_BURST: '1' },
  });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      send(gateway, 'b', {
        'x-forwarded-for': `192.0.2.${index}`,
        'x-real-ip': `192.0.2.${index}`,
        forwarded: `for=192.0.2.${index}`,
      }),
    ),
  );
  expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(16);
});

test('16: five times what is held at a time: what is too much is OVERLOADED at once, the rest is answered, another address has the last quarter, and then all is as before (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  const answer = { body: { data: { status: 'IN_PROGRESS' }, request: ECHO } };
  await using gateway = await startTestGateway({
    upstream,
    environment: { ...BEHIND_A_PROXY, INTAKE_MAX_REQUESTS: '8' },
  });
  const flooding = from('192.0.2.1');
  const held = Promise.withResolvers<typeof answer>();
  upstream.onStatus = () => held.promise;
  const admitted = Array.from({ length: 6 }, (_, index) => send(gateway, `a${index}`, flooding));
  await upstream.statusCallCount(6);
  // Held up by nothing: the upstream answers none of those that came before.
  const excess = await Promise.all(
    Array.from({ length: 32 }, (_, index) => send(gateway, `b${index}`, flooding)),
  );
  expect(excess).toEqual(Array.from({ length: 32 }, () => OVERLOADED));
  const other = send(gateway, 'other', from('192.0.2.2'));
  await upstream.statusCallCount(7);

  held.resolve(answer);
  expect(await Promise.all(admitted)).toEqual(admitted.map((_, index) => success(`a${index}`)));
  expect(await other).toEqual(success('other'));
  const after = Array.from({ length: 6 }, (_, index) => send(gateway, `c${index}`, flooding));
  expect(await Promise.all(after)).toEqual(after.map((_, index) => success(`c${index}`)));
});

test('16: a client that goes away gives its place back (API4:2023)', async () => {
  await using upstream = await startScriptedUpstream();
  const { onStatus } = upstream;
  upstream.onStatus = () => undefined;
  await using gateway = await startTestGateway({
    upstream,
    environment: { INTAKE_MAX_REQUESTS: '1' },
  });
  const abort = new AbortController();
  const gone = gateway.query(STATUS_QUERY, { participantType: 'vehicles' }, abort.signal);
  await upstream.statusCallCount(1);
  expect(await send(gateway, 'b')).toEqual(OVERLOADED);
  upstream.onStatus = onStatus;
  abort.abort();
  await expect(gone).rejects.toThrow();
  await expect.poll(() => send(gateway, 'b')).toEqual(success('b'));
});

/** A request as it comes from a socket. */
function requestFrom(address: string, forwardedFor?: string): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: address });
  const request = new IncomingMessage(socket);
  if (forwardedFor !== undefined) request.headers['x-forwarded-for'] = forwardedFor;
  return request;
}

test.each([
  ['nobody is trusted', [], '10.0.0.1', '192.0.2.1', '10.0.0.1'],
  ['another is trusted', ['10.0.0.2'], '10.0.0.1', '192.0.2.1', '10.0.0.1'],
  ['a proxy is trusted', ['10.0.0.1'], '10.0.0.1', '192.0.2.1', '192.0.2.1'],
  ['a range is trusted', ['10.0.0.0/8'], '10.9.9.9', '1.1.1.1, 192.0.2.1', '192.0.2.1'],
  ['two proxies', ['10.0.0.0/8'], '10.0.0.1', '1.1.1.1,192.0.2.1, 10.0.0.2', '192.0.2.1'],
  ['all are proxies', ['10.0.0.0/8'], '10.0.0.1', '10.0.0.3,10.0.0.2', '10.0.0.3'],
  ['the header is missing', ['10.0.0.1'], '10.0.0.1', undefined, '10.0.0.1'],
  ['the header is nonsense', ['10.0.0.1'], '10.0.0.1', '192.0.2.1, unknown', '10.0.0.1'],
  ['IPv4 comes by IPv6', ['10.0.0.1'], '::ffff:10.0.0.1', '::ffff:192.0.2.1', '192.0.2.1'],
  ['IPv6', [], '2001:db8:1:2:3:4:5:6', undefined, '2001:db8:1:2::/64'],
  ['short IPv6', ['::1'], '::1', '2001:DB8::1', '2001:db8:0:0::/64'],
  ['IPv6 of one machine', [], '::1', undefined, '0:0:0:0::/64'],
  ['IPv6 with a zone', [], 'fe80::1%eth0', undefined, 'fe80:0:0:0::/64'],
  ['a proxy with a zone', ['fe80::/10'], 'fe80::1%eth0', '192.0.2.1', '192.0.2.1'],
])('27: the address of a client when %s', (_, trusted, socket, header, address) => {
  const clientIp = createClientIp({ trustedProxies: trusted, header: 'x-forwarded-for' });
  expect(clientIp(requestFrom(socket, header))).toBe(address);
});

test('27: whatever a client writes into X-Forwarded-For, the proxy writes its address behind it', () => {
  const clientAddress = createClientIp({
    trustedProxies: ['10.0.0.0/8'],
    header: 'x-forwarded-for',
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), fc.ipV4(), (written, client) => {
      fc.pre(!client.startsWith('10.'));
      expect(clientAddress(requestFrom('10.0.0.1', `${written}, ${client}`))).toBe(client);
    }),
  );
});

const SAME = ['192.0.2.1', '192.0.2.1:52311', '"192.0.2.1"', '"192.0.2.1:443"', ' 192.0.2.1 '];
const SAME_IPV6 = [
  '2001:db8::17',
  '[2001:db8::17]',
  '[2001:db8::17]:4711',
  '"[2001:db8::17]:4711"',
];
const forms: [header: 'x-forwarded-for' | 'forwarded', value: string, address: string][] = [
  ...SAME.map((value): (typeof forms)[number] => ['x-forwarded-for', value, '192.0.2.1']),
  ...SAME_IPV6.map((value): (typeof forms)[number] => [
    'x-forwarded-for',
    value,
    '2001:db8:0:0::/64',
  ]),
  ['x-forwarded-for', '198.51.100.7:1, 192.0.2.1:2, 10.0.0.2:3', '192.0.2.1'],
  ['x-forwarded-for', '"198.51.100.7, 192.0.2.1', '192.0.2.1'],
  ['forwarded', 'for=192.0.2.1', '192.0.2.1'],
  ['forwarded', 'for=192.0.2.1:4711;proto=http;by=203.0.113.43', '192.0.2.1'],
  ['forwarded', 'proto=https; For="192.0.2.1"', '192.0.2.1'],
  ['forwarded', 'for="[2001:db8::17]:4711"', '2001:db8:0:0::/64'],
  ['forwarded', 'for=198.51.100.7, for=192.0.2.1;by=10.0.0.1, for="10.0.0.2:80"', '192.0.2.1'],
  ['forwarded', 'for="198.51.100.7, for=192.0.2.1', '192.0.2.1'],
  ['forwarded', 'for=192.0.2.1, for=_hidden', '10.0.0.1'],
  ['forwarded', 'for=192.0.2.1, for=unknown', '10.0.0.1'],
  ['forwarded', 'by=192.0.2.1', '10.0.0.1'],
  ['forwarded', 'for=192.0.2.1;host="a,for=198.51.100.7;b";proto=https', '192.0.2.1'],
  ['forwarded', 'host="a;for=198.51.100.7;b";for=192.0.2.1', '192.0.2.1'],
  ['forwarded', 'host="a\\";for=198.51.100.7;b=\\"";for=192.0.2.1', '192.0.2.1'],
  ['forwarded', 'host=a"b;for=198.51.100.7;c";for=192.0.2.1', '10.0.0.1'],
  ['forwarded', 'x="\\", for="192.0.2.1";host="h"', '192.0.2.1'],
  ['forwarded', 'for="[2001:db8::17]:_hidden"', '2001:db8:0:0::/64'],
  ['x-forwarded-for', '::ffff:c000:201', '192.0.2.1'],
];
test.each(forms)('77: one caller is one address, in %s: %s', (header, value, address) => {
  const request = requestFrom('10.0.0.1');
  request.headers[header] = value;
  expect(createClientIp({ trustedProxies: ['10.0.0.0/8'], header })(request)).toBe(address);
});

test('77: the header that is not chosen is never read: a client could write it', () => {
  const request = requestFrom('10.0.0.1');
  request.headers['x-forwarded-for'] = '192.0.2.1';
  request.headers.forwarded = 'for=198.51.100.7';
  const addresses = (['x-forwarded-for', 'forwarded'] as const).map((header) =>
    createClientIp({ trustedProxies: ['10.0.0.0/8'], header })(request),
  );
  expect(addresses).toEqual(['192.0.2.1', '198.51.100.7']);
});

test('77: CLIENT_ADDRESS_HEADER=forwarded counts callers by what the proxy writes there (API4:2023)', async () => {
  await using gateway = await startTestGateway({
    environment: {
      TRUSTED_PROXIES: '127.0.0.1',
      CLIENT_ADDRESS_HEADER: 'forwarded',
      RATE_LIMIT_PER_SECOND: '1',
      RATE_LIMIT_BURST: '0',
    },
  });
  const statusFor = async (forwarded: string, forwardedFor: string) =>
    (
      await sendBody(gateway, '{"query":"{ __typename }"}', {
        forwarded,
        'x-forwarded-for': forwardedFor,
      })
    ).status;
  expect(await statusFor('for=192.0.2.1', '198.51.100.1')).toBe(200);
  expect(await statusFor('for="192.0.2.1:5000"', '198.51.100.2')).toBe(429);
  expect(await statusFor('for=192.0.2.2', '198.51.100.1')).toBe(200);
});
