import { expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  CLIENT_SECRET,
  STATUS_QUERY,
  startTestGateway,
  type TestGateway,
  UUID,
} from '../support/test-gateway.ts';

const TOKEN = 'canary/access+token=0123456789';

/** As Prometheus gets them, in both formats. */
async function readMetrics({ metricsUrl }: TestGateway): Promise<string[]> {
  if (metricsUrl === undefined) throw new Error('there are no metrics');
  const formats = ['text/plain', 'application/openmetrics-text'];
  return Promise.all(
    formats.map(async (accept) => (await fetch(metricsUrl, { headers: { accept } })).text()),
  );
}

test('65: neither the secret nor a token is in any answer, log entry or metric, whatever the upstream says', async () => {
  await using upstream = await startScriptedUpstream();
  const { promise, resolve } = Promise.withResolvers<void>();
  upstream.onToken = async () => {
    await promise;
    return { body: { data: { accessToken: TOKEN, expiresIn: 3600 } } };
  };
  await using gateway = await startTestGateway({
    upstream,
    environment: {
      ERROR_DETAIL: 'full',
      STATUS_TTL_MS: '0',
      LOG_LEVEL: 'trace',
      METRICS_PORT: '0',
    },
  });
  resolve();

  const quoting = (headers: object) => ({
    error: {
      code: '1',
      description: `The token ${TOKEN} is bad`,
      additionalInfo: { headers, [TOKEN]: TOKEN, encoded: encodeURIComponent(TOKEN) },
    },
    request: { uri: `/?token=${TOKEN}`, body: headers },
    data: { status: TOKEN, headers },
  });
  const answers: unknown[] = [];
  for (const status of [200, 400, 401, 403, 404, 429, 500, 503]) {
    // As some serialisers write it.
    upstream.onStatus = ({ headers }) => ({
      status,
      body: JSON.stringify(quoting(headers)).replaceAll('/', '\\/').replaceAll('+', '\\u002B'),
    });
    answers.push(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' }));
    answers.push(
      await gateway.query(
        '{ batchStatus(participantType: "vehicles") { data request { uri body } } }',
      ),
    );
  }
  upstream.onStatus = (_call, response) => {
    response.socket?.end(`HTTP/1.1 200 OK\r\nbroken ${TOKEN}\r\n\r\n`);
    return undefined;
  };
  answers.push(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' }));
  upstream.onToken = ({ body, headers }) => ({
    status: 401,
    body: { error: { description: body, headers } },
  });
  upstream.onStatus = () => ({ status: 401 });
  answers.push(await gateway.query(STATUS_QUERY, { participantType: 'vehicles' }));

  expect(upstream.statusCalls[0]?.headers['x-coreos-access']).toBe(TOKEN);
  expect(upstream.tokenCalls[0]?.body).toContain(CLIENT_SECRET);
  expect(answers).toHaveLength(18);
  expect(gateway.logLines.length).toBeGreaterThanOrEqual(18);
  const metrics = await readMetrics(gateway);
  expect(metrics.join('')).toContain('participant_gateway_token_failures_total 1\n');
  expect(JSON.stringify([answers, gateway.logLines, metrics])).not.toContain('canary');
});

test('89: a token that the upstream quotes is in no error, however it is written, nor in data as it is or percent-encoded', async () => {
  const secret = `${Buffer.from('{"sub":"gateway"}').toString('base64url')}.c2lnbmF0dXJlIG9mIGl0+/=`;
  const token = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${secret}`;
  const hex = Buffer.from(token).toString('hex').match(/../g) ?? [];
  const spellings = [
    token,
    encodeURIComponent(token),
    encodeURIComponent(token).replaceAll(/%../g, (encoded) => encoded.toLowerCase()),
    hex.map((byte) => `&#x${byte};`).join(''),
    hex.map((byte) => `\\u00${byte}`).join(''),
    Buffer.from(`Bearer ${token}`).toString('base64'),
    secret.slice(3, 19),
    secret.slice(-20),
  ];
  await using upstream = await startScriptedUpstream();
  upstream.onToken = () => ({ body: { data: { accessToken: token, expiresIn: 3600 } } });
  await using gateway = await startTestGateway({
    upstream,
    environment: { ERROR_DETAIL: 'full', STATUS_TTL_MS: '0', STATUS_STALE_MS: '0' },
  });
  const ask = async (batchId: string) => {
    const { body } = await gateway.query(
      'query ($batchId: ID) { batchStatus(participantType: "vehicles", batchId: $batchId) { data request { uri } } }',
      { batchId },
    );
    return body;
  };
  for (const [index, spelling] of spellings.entries()) {
    const text = `quoting ${spelling} here`;
    const error = { code: spelling, description: text, additionalInfo: { [text]: [text] } };
    const request = { uri: text, method: 'GET', queryString: '', body: { text } };
    upstream.onStatus = () => ({ status: 400, body: { error, request } });
    const shown = JSON.stringify(await ask(`error-${index}`));
    // Message, code, description, a name, a text in a list, and two of the echo.
    expect(shown.match(/(quoting )?\[redacted\]( here)?/g)).toHaveLength(7);
    for (const part of [spelling, 'quoting [^[]', secret.slice(3, 19)])
      expect(shown).not.toMatch(part.replaceAll(/[\\+]/g, '\\$&'));
  }
  for (const [index, spelling] of spellings.slice(0, 3).entries()) {
    const [text, redacted] = [`?token=${spelling}&x=%2F`, '?token=[redacted]&x=%2F'];
    upstream.onStatus = () => ({ body: { data: { [text]: text }, request: { uri: text } } });
    expect(await ask(`data-${index}`)).toEqual({
      data: { batchStatus: { data: { [redacted]: redacted }, request: { uri: redacted } } },
    });
  }
  expect(gateway.logLines.join('')).not.toContain(secret.slice(3, 19));
});

test('65: no token of a caller, good or bad, and no secret of a router is in any answer, log entry or metric', async () => {
  const sandbox = await startSandbox({ clock: systemClock, port: 0 });
  const routerSecret = 'canary-router-secret';
  await using gateway = await startTestGateway({
    environment: {
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: sandbox.url.origin,
      AUTH_AUDIENCE: sandbox.issuer.audience,
      FEDERATION_SECRET: routerSecret,
      ERROR_DETAIL: 'full',
      LOG_LEVEL: 'trace',
    },
  });
  const good = await sandbox.issuer.issueToken({ name: 'canary-name' });
  const scope = await sandbox.issuer.issueToken({ scope: 'canary' });
  const bad = ['canary', `${good}canary`, good.replace('.', '.canary'), `x${good}`];
  const answers: string[] = [];
  for (const token of [good, scope, ...bad]) {
    for (const header of [routerSecret, `${routerSecret}x`]) {
      const response = await fetch(gateway.endpoint, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${token}`,
          'router-authorization': header,
        },
        body: JSON.stringify({
          query: `{ batchStatus(participantType: "vehicles", batchId: "fault-500") { data } _service { sdl } }`,
        }),
      });
      answers.push(JSON.stringify([...response.headers]), await response.text());
    }
  }
  await sandbox.close();
  const metrics = await readMetrics(gateway);
  expect(metrics.join('')).toContain('_requests_refused_total{reason="UNAUTHENTICATED"}');
  expect(answers).toHaveLength(24);
  expect(gateway.logLines.filter((line) => line.includes('"refusal"'))).toHaveLength(
    2 * bad.length,
  );
  const parts = [good, scope].flatMap((token) => token.split('.').slice(1));
  for (const secret of [...parts, 'canary']) {
    expect(JSON.stringify([answers, gateway.logLines, metrics])).not.toContain(secret);
  }
});

test('65: fields that carry credentials are blanked in log entries, at any of three levels', () => {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });
  const secrets = { authorization: 'canary', 'x-coreos-access': 'canary', clientSecret: 'canary' };
  log.info({ ...secrets, headers: secrets, request: { headers: secrets } }, 'three levels');

  const blanked = {
    authorization: '[redacted]',
    'x-coreos-access': '[redacted]',
    clientSecret: '[redacted]',
  };
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      level: 'info',
      time: expect.any(String),
      ...blanked,
      headers: blanked,
      request: { headers: blanked },
      msg: 'three levels',
    },
  ]);
});

test('65: of an error only name, message, stack and causes are logged, not what else hangs on it', () => {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });
  const cause = Object.assign(new Error('below'), { body: 'canary' });
  log.error(
    { err: Object.assign(new TypeError('above', { cause }), { data: 'canary' }) },
    'failed',
  );

  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      level: 'error',
      time: expect.any(String),
      err: {
        name: 'TypeError',
        message: 'above',
        stack: expect.stringContaining('TypeError: above'),
        cause: { name: 'Error', message: 'below', stack: expect.stringContaining('Error: below') },
      },
      msg: 'failed',
    },
  ]);
});

test('each request is one log line with what an operator asks for', async () => {
  await using gateway = await startTestGateway({ environment: { LOG_LEVEL: 'info' } });
  const response = await fetch(gateway.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': 'from-the-frontend' },
    body: JSON.stringify({
      query: `query Mine {
        a: batchStatus(participantType: "vehicles", batchId: "batch-finished") { status }
        b: batchStatus(participantType: "vehicles", batchId: "fault-404") { status }
      }`,
    }),
  });
  await response.text();

  expect(response.headers.get('x-request-id')).toBe('from-the-frontend');
  await expect.poll(() => gateway.logLines).toHaveLength(1);
  expect(gateway.logLines.map((line) => JSON.parse(line))).toEqual([
    {
      level: 'info',
      time: expect.any(String),
      requestId: 'from-the-frontend',
      method: 'POST',
      address: '127.0.0.1',
      operationName: 'Mine',
      status: 200,
      codes: ['NOT_FOUND'],
      upstreamCalls: 2,
      upstreamRequestIds: [UUID, UUID],
      durationMs: expect.any(Number),
      msg: 'request',
    },
  ]);
});
