import { expect, test } from 'vitest';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { STATUS_QUERY, startTestGateway, statusFailure } from '../support/test-gateway.ts';

const bodies: [name: string, body: string][] = [
  ['HTML', '<!doctype html><p>Sign in</p>'],
  ['no body', ''],
  ['cut JSON', '{"data":{"status":"SUC'],
  ['JSON null', 'null'],
  ['a JSON string', '"data"'],
  ['an array', '[{"data":{}}]'],
  ['no data', '{"request":{}}'],
  ['data that is null', '{"data":null}'],
  ['data that is an array', '{"data":[]}'],
  ['data that is a string', '{"data":"SUCCESS"}'],
  ['a request that is a string', '{"data":{},"request":"GET /"}'],
  ['a uri that is a number', '{"data":{},"request":{"uri":7}}'],
  ['a __proto__ member', '{"data":{"__proto__":{"status":"SUCCESS"}}}'],
  ['an escaped __proto__ member', '{"data":{"a":{"\\u005f_proto__":{"b":1}}}}'],
  ['a constructor.prototype member', '{"data":{"constructor":{"prototype":{"b":1}}}}'],
  ['data nested 200,000 deep', `{"data":{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}}`],
  ['two documents', '{"data":{}}{"data":{}}'],
];

for (const [name, body] of bodies) {
  test(`31: 200 with ${name} is UPSTREAM_BAD_RESPONSE`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    upstream.onStatus = () => ({ body });
    expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
      statusFailure(
        'The Participant Service answered something that is not its documented envelope.',
        {
          code: 'UPSTREAM_BAD_RESPONSE',
          retryable: true,
          upstream: { status: 200, code: null, description: null, additionalInfo: null },
        },
      ),
    );
  });
}

test('31: a body in an encoding that was not asked for is UPSTREAM_BAD_RESPONSE', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({ headers: { 'content-encoding': 'gzip' }, body: { data: {} } });
  const { body } = await gateway.query(STATUS_QUERY, { participantType: 'vehicles' });
  expect(body).toHaveProperty('errors.0.extensions.code', 'UPSTREAM_BAD_RESPONSE');
});

const cutAnswers: [name: string, head: string][] = [
  ['content-length', 'content-length: 500'],
  ['chunks', 'transfer-encoding: chunked'],
];

for (const [name, head] of cutAnswers) {
  test(`31: an answer by ${name} whose connection ends before it is UPSTREAM_BAD_RESPONSE`, async () => {
    await using upstream = await startScriptedUpstream();
    await using gateway = await startTestGateway({ upstream });
    upstream.onStatus = (_call, response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n5\r\n{"dat\r\n`);
      return undefined;
    };
    expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
      statusFailure('The Participant Service answered something that cannot be read.', {
        code: 'UPSTREAM_BAD_RESPONSE',
        retryable: true,
      }),
    );
  });
}

test('28: a connection that is reset within the answer is UPSTREAM_UNAVAILABLE', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = (_call, response) => {
    const { socket } = response;
    socket?.write('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"dat', () => {
      socket.resetAndDestroy();
    });
    return undefined;
  };
  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual(
    statusFailure('The Participant Service cannot be reached.', {
      code: 'UPSTREAM_UNAVAILABLE',
      retryable: true,
    }),
  );
});

test('31: another 2xx counts as 200 if its body has data', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({ status: 202, body: { Data: { status: 'QUEUED' } } });
  expect(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).toEqual({
    status: 200,
    body: { data: { batchStatus: { id: 'vehicles', status: 'QUEUED' } } },
  });
});

test('31: a body of the largest size is taken, one more byte is not', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    environment: { UPSTREAM_MAX_BODY_BYTES: '2048', STATUS_TTL_MS: '0', STATUS_STALE_MS: '0' },
  });
  const filled = (bytes: number) => {
    const frame = '{"data":{"filler":""}}';
    return frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`);
  };
  const ask = async (bytes: number) => {
    upstream.onStatus = () => ({ body: filled(bytes) });
    return (await gateway.query(STATUS_QUERY, { participantType: 'vehicles' })).body;
  };

  expect(await ask(2_048)).toEqual({ data: { batchStatus: { id: 'vehicles', status: null } } });
  expect(await ask(2_049)).toHaveProperty('errors.0.extensions.code', 'UPSTREAM_BAD_RESPONSE');
});
