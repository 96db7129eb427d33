import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createPlainServer } from 'node:http';
import { createServer } from 'node:https';
import {
  createServer as createTcpServer,
  getDefaultAutoSelectFamilyAttemptTimeout,
  type Server,
  type Socket,
  setDefaultAutoSelectFamilyAttemptTimeout,
} from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ReadFile } from '../../src/config/files.ts';
import { type Environment, parseSettings } from '../../src/config/load.ts';
import { runDoctor } from '../../src/doctor/command.ts';
import { examineKeys } from '../../src/doctor/keys.ts';
import {
  createCertificateAuthority,
  type ServerCertificate,
  type Validity,
} from '../support/certificates.ts';
import { runProgram } from '../support/child-process.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { PROVIDER_SECRET, startOpenIdProvider } from '../support/openid-provider.ts';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { CLIENT_SECRET, environmentFor, UUID } from '../support/test-gateway.ts';

/** Nobody outside is asked, not even for a name. */
async function lookUp(host: string): Promise<string[]> {
  if (host === 'localhost') return ['127.0.0.1', '::1'];
  throw Object.assign(new Error('no'), { code: host === 'lost.test' ? 'EAI_AGAIN' : 'ENOTFOUND' });
}

interface Examination {
  exitCode: number;
  output: string;
  complaints: string;
}

async function doctor(
  args: string[],
  environment: Environment = {},
  clock = new TestClock(),
  readFile: ReadFile = readFileSync,
): Promise<Examination> {
  let output = '';
  let complaints = '';
  const exitCode = await clock.elapse(
    runDoctor({
      args,
      readSettings: () => parseSettings(environment, readFile),
      clock,
      lookUp,
      write: (text) => {
        output += text;
      },
      writeError: (text) => {
        complaints += text;
      },
    }),
  );
  return { exitCode, output, complaints };
}

/** The report of `--json`: each step in one line, and all of it. */
async function examine(
  environment: Environment = {},
  args: string[] = [],
  clock?: TestClock,
  readFile?: ReadFile,
) {
  const { exitCode, output } = await doctor(['--json', ...args], environment, clock, readFile);
  const report: {
    verdict: string;
    exitCode: number;
    steps: { name: string; verdict: string; message: string; advice?: string; facts: object }[];
  } = JSON.parse(output);
  expect(report.exitCode).toBe(exitCode);
  return {
    exitCode,
    verdict: report.verdict,
    steps: report.steps.map(({ name, verdict }) => `${name} ${verdict}`),
    step: (name: string) => {
      const found = report.steps.find((step) => step.name === name);
      if (found === undefined) throw new Error(`there is no step ${name}`);
      const { verdict, message, advice, facts } = found;
      return { verdict, message, advice, facts };
    },
  };
}

const JWT = { AUTH_MODE: 'jwt', AUTH_AUDIENCE: 'participant-gateway' };
const CONNECTED = ['settings ok', 'dns ok', 'tcp ok', 'tls ok'];

test('on the sandbox the doctor finds that all is well, and says so in a line for each step', async () => {
  const clock = new TestClock();
  clock.wallStandsStill = true;
  clock.stepWallClock(Date.now() - clock.date().getTime());
  const { exitCode, output } = await doctor([], {}, clock);
  const lines = output.replaceAll(/\(\d+ ms\)/g, '(n ms)').replaceAll(/:\d{4,5} /g, ':port ');
  expect(lines).toBe(`
  ok        settings  no PARTICIPANT_SERVICE_URL: the sandbox stands for it
  ok        dns       127.0.0.1 is an address (n ms)
  ok        tcp       connected to 127.0.0.1:port (n ms)
  ok        tls       none: plain HTTP, which is accepted on loopback only (n ms)
  ok        token     a token by os1, good for 3600 s; its server's clock agrees with this one (n ms)
  ok        status    the documented envelope: "IN_PROGRESS", not finished, 0 % done (n ms)

  All is well.
`);
  expect(exitCode).toBe(0);
});

test('--json says the same to a program, and more', async () => {
  const { exitCode, verdict, steps, step } = await examine({}, ['--batch', 'batch-partial']);
  expect([exitCode, verdict, steps]).toEqual([
    0,
    'warning',
    [...CONNECTED, 'token warning', 'status ok'],
  ]);
  expect(step('status')).toEqual({
    verdict: 'ok',
    message: 'the documented envelope: "PARTIAL_SUCCESS", finished, 100 % done',
    advice: undefined,
    facts: {
      participantType: 'vehicles',
      batchId: 'batch-partial',
      status: 'PARTIAL_SUCCESS',
      finished: true,
      totalCount: 10,
      successCount: 7,
      failureCount: 3,
      progress: 1,
      failuresListed: 3,
      successesListed: 7,
      echo: true,
    },
  });
});

const SUPPORT = /^Quote the request id \S+ to the platform's support\.$/;
const sandboxFaults: [batch: string, message: string, advice: RegExp, facts: object][] = [
  [
    'fault-400',
    'The batch request is malformed. (400, 101100120001)',
    /^Check the participant type/,
    { kind: 'invalid-request', httpStatus: 400 },
  ],
  [
    'fault-401',
    'The identity of the client is unknown. (401, 100100120002)',
    /^The token was issued, but is not accepted here: check PARTICIPANT_SERVICE_TENANT_ID/,
    { kind: 'unauthenticated', httpStatus: 401 },
  ],
  [
    'fault-401-once',
    'The access token was revoked. (401, 100100120003)',
    /^The token was issued, but is not accepted here/,
    { kind: 'unauthenticated', httpStatus: 401 },
  ],
  [
    'fault-403',
    'The client may not read this batch. (403, 101100120004)',
    /^The client may not read this: have it allowed to/,
    { kind: 'forbidden', httpStatus: 403 },
  ],
  [
    'fault-404',
    'The batch does not exist. (404, 101100120005)',
    /^Check the participant type/,
    { kind: 'not-found', httpStatus: 404 },
  ],
  [
    'fault-429',
    'Too many requests. (429, 101100120006)',
    /^The tenant is asked too much/,
    { kind: 'rate-limited', httpStatus: 429, retryAfterMs: 2_000 },
  ],
  [
    'fault-500',
    'The service failed. (500, 101100120007)',
    SUPPORT,
    { kind: 'unavailable', httpStatus: 500 },
  ],
  [
    'fault-503',
    'The service is under maintenance. (503, 101100120008)',
    SUPPORT,
    { kind: 'unavailable', httpStatus: 503, retryAfterMs: 5_000 },
  ],
  [
    'fault-timeout',
    'The Participant Service did not answer in time.',
    /UPSTREAM_TIMEOUT_MS/,
    { kind: 'timeout', httpStatus: null },
  ],
  [
    'fault-reset',
    'The Participant Service cannot be reached.',
    SUPPORT,
    { kind: 'unavailable', httpStatus: null },
  ],
  [
    'fault-html',
    'The Participant Service answered something that is not its documented envelope. (200)',
    /^Check PARTICIPANT_SERVICE_URL/,
    { kind: 'bad-response', httpStatus: 200 },
  ],
  [
    'fault-truncated',
    'The Participant Service answered something that is not its documented envelope. (200)',
    /^Check PARTICIPANT_SERVICE_URL/,
    { kind: 'bad-response', httpStatus: 200 },
  ],
  [
    'fault-empty',
    'The Participant Service answered something that is not its documented envelope. (200)',
    /^Check PARTICIPANT_SERVICE_URL/,
    { kind: 'bad-response', httpStatus: 200 },
  ],
  [
    'fault-huge',
    'The Participant Service answered more than the gateway reads.',
    /UPSTREAM_MAX_BODY_BYTES/,
    { kind: 'bad-response', httpStatus: null },
  ],
];

for (const [batch, message, advice, facts] of sandboxFaults) {
  test(`on the sandbox's ${batch} the doctor says what failed, what to do, and exits with 5`, async () => {
    const { exitCode, verdict, steps, step } = await examine({}, ['--batch', batch]);
    expect([exitCode, verdict, steps.at(-1)]).toEqual([5, 'failed', 'status failed']);
    expect(step('status')).toEqual({
      verdict: 'failed',
      message,
      advice: expect.stringMatching(advice),
      facts: expect.objectContaining({ requestId: UUID, ...facts }),
    });
  });
}

test('faulty settings: each is named, nothing else is tried, exit code 1', async () => {
  const { exitCode, output } = await doctor([], { PORT: 'http', TOKEN_CLIENT_ID: 'me' });
  expect(exitCode).toBe(1);
  expect(output).toBe(`
  failed    settings  The settings are faulty:
                        PORT is "http"; it accepts a whole number from 0 to 65535
                        PARTICIPANT_SERVICE_URL is missing, although TOKEN_CLIENT_ID is set; it accepts an https:// URL (http:// on loopback only) without credentials, query and fragment
                      → Each setting is described in .env.example.
  skipped   dns       the settings are faulty
  skipped   tcp       the settings are faulty
  skipped   tls       the settings are faulty
  skipped   token     the settings are faulty
  skipped   status    the settings are faulty

  It does not work: settings failed (exit code 1).
`);
});

for (const args of [['--jsno'], ['extra'], ['--type']]) {
  test(`arguments that it does not take (${args}) are answered with its usage, exit code 2`, async () => {
    const { exitCode, output, complaints } = await doctor(args);
    expect([exitCode, output]).toEqual([2, '']);
    expect(complaints).toMatch(/^participant-gateway doctor \[--json\]/);
  });
}

test('--help is the usage, exit code 0', async () => {
  expect((await doctor(['--help'])).exitCode).toBe(0);
});

test('of many tenants the doctor examines one; where nobody says which, it lists them, exit code 2', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'doctor-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  await using upstream = await startScriptedUpstream();
  const file = (name: string, more: object = {}) =>
    writeFile(
      join(directory, `${name}.json`),
      JSON.stringify({
        PARTICIPANT_SERVICE_URL: upstream.url.origin,
        PARTICIPANT_SERVICE_TENANT_ID: `${name}-1`,
        TOKEN_CLIENT_ID: 'gateway',
        TOKEN_CLIENT_SECRET_FILE: 'secret',
        TENANT_HOSTS: `${name}.localhost`,
        ...more,
      }),
    );
  await writeFile(join(directory, 'secret'), CLIENT_SECRET);
  await file('acme');
  await file('globex', { STATUS_TTL_MS: 'soon' });
  await file('a b');
  const many = { TENANTS_DIR: directory, TENANT_OF: 'x' };

  expect(await doctor([], many)).toEqual({
    exitCode: 2,
    output: '',
    complaints: 'There are many tenants: name one with --tenant, of "a b", acme, globex.\n',
  });
  expect((await doctor(['--tenant', 'initech'], many)).complaints).toBe(
    'There is no tenant "initech": name one with --tenant, of "a b", acme, globex.\n',
  );
  expect(await doctor(['--tenant', 'acme'])).toEqual({
    exitCode: 2,
    output: '',
    complaints: '--tenant is for many tenants, and TENANTS_DIR is not set.\n',
  });

  const acme = await examine(many, ['--tenant', 'acme']);
  expect([acme.exitCode, acme.steps]).toEqual([
    0,
    ['settings warning', ...CONNECTED.slice(1), 'token warning', 'status ok'],
  ]);
  expect(acme.step('settings')).toEqual({
    verdict: 'warning',
    message: `tenant acme-1 at ${upstream.url.origin}, tokens by os1`,
    advice: 'No settings, although they look like it: TENANT_OF. See docs/settings.md.',
    facts: { sandbox: false, unknownVariables: ['TENANT_OF'] },
  });

  const globex = await examine(many, ['--tenant', 'globex']);
  expect(globex.exitCode).toBe(1);
  expect(globex.step('settings').message).toBe(
    'The tenant\'s file globex.json is faulty:\n  STATUS_TTL_MS is "soon"; it accepts milliseconds, 0 to 86400000',
  );
  const missing = await examine({ TENANTS_DIR: join(directory, 'no') }, ['--tenant', 'acme']);
  expect(missing.exitCode).toBe(1);
  expect(missing.step('settings').message).toBe(
    'The settings are faulty:\n  TENANTS_DIR names a directory that cannot be read (ENOENT)',
  );
});

test('a participant type that the gateway would refuse is refused, exit code 2', async () => {
  expect(await doctor(['--type', 'ships'], { PARTICIPANT_TYPES: 'drivers' })).toEqual({
    exitCode: 2,
    output: '',
    complaints: 'participantType accepts one of: drivers.\n',
  });
});

const SERVICE = {
  PARTICIPANT_SERVICE_TENANT_ID: 'tenant-1',
  TOKEN_CLIENT_ID: 'gateway',
  TOKEN_CLIENT_SECRET: CLIENT_SECRET,
};

test('a name that is found: its addresses', async () => {
  await using upstream = await startScriptedUpstream();
  // Of two addresses, Node gives up the first after 250 ms, which a busy machine can take.
  const attemptTimeout = getDefaultAutoSelectFamilyAttemptTimeout();
  setDefaultAutoSelectFamilyAttemptTimeout(10_000);
  onTestFinished(() => setDefaultAutoSelectFamilyAttemptTimeout(attemptTimeout));
  const { exitCode, step } = await examine({
    ...SERVICE,
    PARTICIPANT_SERVICE_URL: `http://localhost:${upstream.url.port}`,
  });
  expect(exitCode).toBe(0);
  expect(step('dns')).toEqual({
    verdict: 'ok',
    message: 'localhost is 127.0.0.1, ::1',
    advice: undefined,
    facts: { host: 'localhost', addresses: ['127.0.0.1', '::1'] },
  });
});

const lost: [host: string, code: string, advice: RegExp][] = [
  ['nobody.test', 'ENOTFOUND', /^There is no such name: check how it is written/],
  ['lost.test', 'EAI_AGAIN', /^The resolver does not answer/],
];

for (const [host, code, advice] of lost) {
  test(`a name that cannot be looked up (${code}): exit code 3, and the rest is skipped`, async () => {
    const { exitCode, steps, step } = await examine({
      ...SERVICE,
      PARTICIPANT_SERVICE_URL: `https://${host}`,
    });
    expect(exitCode).toBe(3);
    expect(steps).toEqual([
      'settings ok',
      'dns failed',
      'tcp skipped',
      'tls skipped',
      'token skipped',
      'status skipped',
    ]);
    expect(step('dns')).toEqual({
      verdict: 'failed',
      message: `${host} cannot be looked up (${code})`,
      advice: expect.stringMatching(advice),
      facts: { host, code },
    });
  });
}

test('a port at which nothing listens: exit code 3, with the addresses that were found', async () => {
  const gone = await listening(createPlainServer(), 'https');
  await gone[Symbol.asyncDispose]();
  const { port } = new URL(gone.settings.PARTICIPANT_SERVICE_URL);
  const { exitCode, step } = await examine(gone.settings);
  expect(exitCode).toBe(3);
  expect(step('tcp')).toEqual({
    verdict: 'failed',
    message: `no connection to 127.0.0.1:${port} (ECONNREFUSED)`,
    advice: 'Nothing listens there: check the port, and that the service runs.',
    facts: { code: 'ECONNREFUSED' },
  });
  expect(step('tls').verdict).toBe('skipped');
});

const YEAR_MS = 365 * 86_400_000;
/** Today, within a second and not at its edge: certificates and the header `date` have whole ones. */
const now = 1000 * Math.floor(Date.now() / 1000) + 250;
const around: Validity = { from: new Date(now - YEAR_MS), until: new Date(now + YEAR_MS) };
const authority = createCertificateAuthority(around);

/** A Participant Service that speaks TLS, and its address. */
async function startTlsService(certificate: ServerCertificate) {
  const server = createServer(certificate, (request, response) => {
    const body =
      request.method === 'POST'
        ? { data: { accessToken: 'a-token', expiresIn: 3600 } }
        : { data: { status: 'RUNNING' }, request: ECHO };
    response.end(JSON.stringify(body));
  });
  return listening(server, 'https');
}

async function listening(server: Server, scheme: string) {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    settings: { ...SERVICE, PARTICIPANT_SERVICE_URL: `${scheme}://127.0.0.1:${port}` },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** A clock that tells today, or a day so many milliseconds from it. */
function clockOf(ms = 0): TestClock {
  const clock = new TestClock();
  clock.wallStandsStill = true;
  clock.stepWallClock(now + ms - clock.date().getTime());
  return clock;
}

function endOf({ until }: Validity): string {
  return until.toISOString().slice(0, 10);
}

test('a certificate that is trusted: the version of TLS, and when it ends', async () => {
  await using service = await startTlsService(authority.issue('127.0.0.1', around));
  using _ = authority.trust();
  const { exitCode, verdict, step } = await examine(service.settings, [], clockOf());
  expect([exitCode, verdict]).toEqual([0, 'ok']);
  expect(step('tls')).toEqual({
    verdict: 'ok',
    message: `TLSv1.3; the certificate ends on ${endOf(around)}, in 364 days`,
    advice: undefined,
    facts: {
      protocol: 'TLSv1.3',
      subject: '127.0.0.1',
      issuer: 'Test Authority',
      validUntil: `${around.until.toISOString().slice(0, 19)}.000Z`,
      daysLeft: 364,
    },
  });
});

test('a certificate that ends in less than three weeks is a warning, exit code 0', async () => {
  await using service = await startTlsService(authority.issue('127.0.0.1', around));
  using _ = authority.trust();
  const clock = clockOf(YEAR_MS - 20.5 * 86_400_000);
  const { exitCode, step } = await examine(service.settings, [], clock);
  expect(exitCode).toBe(0);
  expect(step('tls')).toMatchObject({
    verdict: 'warning',
    message: `TLSv1.3; the certificate ends on ${endOf(around)}, in 20 days`,
    advice: 'Have it renewed: once it has ended, no call succeeds.',
  });
});

const past = { from: new Date(now - YEAR_MS), until: new Date(now - 86_400_000) };
const future = { from: new Date(now + 86_400_000), until: new Date(now + YEAR_MS) };
const untrusted: [
  name: string,
  address: string,
  validity: Validity,
  code: string,
  advice: RegExp,
][] = [
  ['has ended', '127.0.0.1', past, 'CERT_HAS_EXPIRED', /^Have it renewed\.$/],
  ['has not begun', '127.0.0.1', future, 'CERT_NOT_YET_VALID', /check this machine's clock\.$/],
  [
    'is for another address',
    '127.0.0.2',
    around,
    'ERR_TLS_CERT_ALTNAME_INVALID',
    /^It is for another name/,
  ],
  [
    'is of an authority that nobody knows',
    '127.0.0.1',
    around,
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    /NODE_EXTRA_CA_CERTS/,
  ],
];

for (const [name, address, validity, code, advice] of untrusted) {
  test(`a certificate that ${name}: exit code 3, and no credentials are sent`, async () => {
    await using service = await startTlsService(authority.issue(address, validity));
    using _ = name.includes('nobody knows') ? undefined : authority.trust();
    const { exitCode, steps, step } = await examine(service.settings, [], clockOf());
    expect(exitCode).toBe(3);
    expect(step('tls')).toMatchObject({
      verdict: 'failed',
      message: `the certificate of ${address}, until ${endOf(validity)}, is not trusted (${code})`,
      advice: expect.stringMatching(advice),
      facts: { code },
    });
    expect(steps.slice(-2)).toEqual(['token skipped', 'status skipped']);
  });
}

test('a port that speaks no TLS: exit code 3', async () => {
  await using plain = await listening(createPlainServer(), 'https');
  const { exitCode, step } = await examine(plain.settings);
  expect(exitCode).toBe(3);
  expect(step('tls')).toMatchObject({
    verdict: 'failed',
    message: expect.stringMatching(/^no TLS with 127\.0\.0\.1:\d+ \(ERR_SSL_/),
  });
});

test('a port that takes connections and says nothing is given up after UPSTREAM_TIMEOUT_MS', async () => {
  const silent = createTcpServer((socket) => socket.on('error', () => {}).resume());
  await using service = await listening(silent, 'https');
  const { step } = await examine({ ...service.settings, UPSTREAM_TIMEOUT_MS: '700' });
  expect(step('tls').message).toMatch(/^no TLS with \S+ \(nothing within 700 ms\)$/);
});

for (const [refused, works] of [
  ['client_secret_basic', 'client_secret_post'],
  ['client_secret_post', 'client_secret_basic'],
] as const) {
  test(`oauth2: where ${refused} is refused, it is found that ${works} works, exit code 4`, async () => {
    await using upstream = await startScriptedUpstream();
    await using tokens = await startScriptedUpstream();
    tokens.onToken = ({ headers }) =>
      (headers.authorization === undefined) === (works === 'client_secret_post')
        ? { body: { access_token: 't-1', token_type: 'Bearer', expires_in: 600 } }
        : { status: 401, body: { error: 'invalid_client' } };
    const { exitCode, steps, step } = await examine({
      ...environmentFor(upstream.url),
      TOKEN_GRANT: 'oauth2',
      TOKEN_URL: `${tokens.url.origin}/token`,
      TOKEN_CLIENT_AUTH: refused,
    });
    expect(exitCode).toBe(4);
    // Both servers are looked at; the token that was had is used.
    const elsewhere = ['dns ok', 'tcp ok', 'tls ok'];
    expect(steps).toEqual([...CONNECTED, ...elsewhere, 'token failed', 'status ok']);
    expect(step('token')).toMatchObject({
      message: 'the token endpoint refused the credentials (401 invalid_client)',
      advice: `Set TOKEN_CLIENT_AUTH=${works}: in that way, a token is issued.`,
      facts: { grant: 'oauth2', worksWith: works, requestId: UUID },
    });
    expect(upstream.statusCalls[0]?.headers.authorization).toBe('Bearer t-1');
  });
}

test('oauth2: a token of a real provider, by its metadata', async () => {
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  const { exitCode, step } = await examine({
    ...environmentFor(upstream.url),
    TOKEN_GRANT: 'oauth2',
    TOKEN_ISSUER: provider.issuer.origin,
    TOKEN_CLIENT_ID: 'gateway-client_secret_basic',
    TOKEN_CLIENT_SECRET: PROVIDER_SECRET,
  });
  expect(exitCode).toBe(0);
  expect(step('token').facts).toMatchObject({
    worksWith: 'client_secret_basic',
    lifetimeSeconds: 600,
  });
});

test('oauth2: a wrong secret works in neither way', async () => {
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  const { exitCode, steps, step } = await examine({
    ...environmentFor(upstream.url),
    TOKEN_GRANT: 'oauth2',
    TOKEN_ISSUER: provider.issuer.origin,
    TOKEN_CLIENT_ID: 'gateway-client_secret_post',
    TOKEN_CLIENT_AUTH: 'client_secret_post',
  });
  expect([exitCode, ...steps.slice(-2)]).toEqual([4, 'token failed', 'status skipped']);
  expect(step('token')).toMatchObject({
    advice: expect.stringMatching(/^Check TOKEN_CLIENT_ID and the secret/),
    facts: { worksWith: null },
  });
  expect(upstream.statusCalls).toEqual([]);
});

test('a token endpoint that answers nonsense: exit code 4', async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onToken = () => ({ body: '<html>' });
  const { exitCode, steps, step } = await examine(environmentFor(upstream.url));
  expect([exitCode, ...steps.slice(-2)]).toEqual([4, 'token failed', 'status skipped']);
  expect(step('token')).toMatchObject({
    message: "the token endpoint's answer makes no sense as a token endpoint's",
    advice: expect.stringMatching(/^Check that TOKEN_GRANT, TOKEN_URL and TOKEN_ISSUER/),
  });
});

test('a secret file that is empty when it is needed: exit code 4, and nobody is asked', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'doctor-'));
  const file = join(folder, 'secret');
  await writeFile(file, '\n');
  await using upstream = await startScriptedUpstream();
  const { exitCode, step } = await examine(
    {
      ...environmentFor(upstream.url),
      TOKEN_CLIENT_SECRET: '',
      TOKEN_CLIENT_SECRET_FILE: file,
    },
    [],
    undefined,
    () => Buffer.from('what it held at the start'),
  );
  await rm(folder, { recursive: true });
  expect(exitCode).toBe(4);
  expect(step('token')).toMatchObject({
    message: 'the client secret cannot be read from its file, which is empty',
    advice: 'Check TOKEN_CLIENT_SECRET_FILE: nobody was asked for a token.',
  });
  expect(upstream.tokenCalls).toEqual([]);
});

const skews: [seconds: number, message: string, verdict: string][] = [
  [0, "its server's clock agrees with this one", 'ok'],
  [20, "its server's clock is 20 s ahead of this one", 'ok'],
  [-90, "its server's clock is 90 s behind this one", 'warning'],
  [7_200, "its server's clock is 7200 s ahead of this one", 'warning'],
];

for (const [seconds, message, verdict] of skews) {
  test(`a server's clock that is ${seconds} s ahead is told of: ${verdict}`, async () => {
    const clock = clockOf();
    await using upstream = await startScriptedUpstream();
    const date = new Date(clock.date().getTime() + 1000 * seconds).toUTCString();
    upstream.onToken = () => ({
      headers: { date },
      body: { data: { accessToken: 't', expiresIn: 86_400 } },
    });
    const { exitCode, step } = await examine(environmentFor(upstream.url), [], clock);
    expect(exitCode).toBe(0);
    expect(step('token')).toMatchObject({
      verdict,
      message: `a token by os1, good for 86400 s; ${message}`,
      facts: { lifetimeSeconds: 86_400 },
    });
  });
}

test('with AUTH_MODE=jwt, a clock that is further off than AUTH_LEEWAY_SECONDS is a warning', async () => {
  const clock = clockOf();
  await using provider = await startOpenIdProvider();
  await using upstream = await startScriptedUpstream();
  const date = new Date(clock.date().getTime() + 20_000).toUTCString();
  upstream.onToken = () => ({
    headers: { date },
    body: { data: { accessToken: 't', expiresIn: 86_400 } },
  });
  const environment = {
    ...environmentFor(upstream.url),
    ...JWT,
    AUTH_ISSUER: provider.issuer.origin,
  };
  expect((await examine(environment, [], clock)).step('token')).toMatchObject({
    verdict: 'warning',
    advice: expect.stringMatching(/raise AUTH_LEEWAY_SECONDS/),
  });
  const lenient = { ...environment, AUTH_LEEWAY_SECONDS: '30' };
  expect((await examine(lenient, [], clock)).step('token').verdict).toBe('ok');
});

test("a server's words do not move the cursor of who reads the report", async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = () => ({
    status: 403,
    body: { error: { code: '1', description: '\u001b[1A\u001b[2Kall is well\r' }, request: ECHO },
  });
  const { output } = await doctor([], environmentFor(upstream.url));
  expect(output).toContain('\ufffd[1A\ufffd[2Kall is well\ufffd (403, 1)');
});

test('tokens that live for less than a minute are a warning', async () => {
  const clock = clockOf();
  await using upstream = await startScriptedUpstream();
  upstream.onToken = () => ({ body: { data: { accessToken: 't', expiresIn: 5 } } });
  const { step } = await examine(environmentFor(upstream.url), [], clock);
  expect(step('token')).toMatchObject({ verdict: 'warning', facts: { lifetimeSeconds: 5 } });
});

test('72: data of which nobody can tell an end are a warning: clients would poll for ever', async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = () => ({ body: { data: {}, request: ECHO } });
  const { exitCode, step } = await examine(environmentFor(upstream.url));
  expect(exitCode).toBe(0);
  expect(step('status')).toMatchObject({
    verdict: 'warning',
    message:
      'the documented envelope, but its data has no status, and no counts that tell of an end',
  });
});

test('72: counts are enough for the doctor, of either payload', async () => {
  await using upstream = await startScriptedUpstream();
  const payloads = [
    { meta: { success: 1, failed: 1, total: 4 }, errors: [{}], success: [{}] },
    { totalCount: 4, successCount: 2, failureCount: 2 },
  ];
  const messages: string[] = [];
  for (const data of payloads) {
    upstream.onStatus = () => ({ body: { data, request: ECHO } });
    messages.push((await examine(environmentFor(upstream.url))).step('status').message);
  }
  expect(messages).toEqual([
    'the documented envelope: no status, not finished, 50 % done',
    'the documented envelope: no status, finished, 100 % done',
  ]);
});

const NO_BATCH = { error: { code: '101100120005', description: 'No batch.' }, request: ECHO };

test('404 in the documented envelope is a warning where nobody named a batch, and a failure where somebody did', async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = () => ({ status: 404, body: NO_BATCH });
  const unnamed = await examine(environmentFor(upstream.url));
  expect([unnamed.exitCode, unnamed.step('status').verdict]).toEqual([0, 'warning']);
  expect(unnamed.step('status').advice).toMatch(/name one by --type and --batch\.$/);
  const named = await examine(environmentFor(upstream.url), ['--batch', 'b-1']);
  expect([named.exitCode, named.step('status').verdict]).toEqual([5, 'failed']);
});

test('404 in anything else is no Participant Service', async () => {
  await using upstream = await startScriptedUpstream();
  upstream.onStatus = () => ({ status: 404, body: '<h1>Not found</h1>' });
  const { exitCode, step } = await examine(environmentFor(upstream.url));
  expect(exitCode).toBe(5);
  expect(step('status').advice).toMatch(/^That is no answer of a Participant Service/);
});

test("AUTH_MODE=jwt: the keys of callers' tokens are looked at, too", async () => {
  await using provider = await startOpenIdProvider();
  const { exitCode, steps, step } = await examine({ ...JWT, AUTH_ISSUER: provider.issuer.origin });
  expect([exitCode, steps.at(-1)]).toEqual([0, 'keys ok']);
  expect(step('keys').message).toBe(`1 key for callers' tokens, of ${provider.issuer.origin}`);
});

test('74: keys of the issuer that cannot be used are a warning, and the query of its key set is not shown', async () => {
  await using provider = await startOpenIdProvider();
  await using issuer = await startScriptedUpstream();
  const { keys }: { keys: object[] } = await (await fetch(`${provider.issuer.origin}/jwks`)).json();
  issuer.onStatus = () => ({ body: { keys: [...keys, { kty: 'RSA', e: 'AQAB' }] } });
  const { exitCode, step } = await examine({
    ...JWT,
    AUTH_ISSUER: provider.issuer.origin,
    AUTH_JWKS_URL: `${issuer.url.origin}/jwks?code=canary`,
  });
  expect(exitCode).toBe(0);
  const reason = 'key 2 of 2: a member is missing or wrong, or key_ops has more than "verify"';
  expect(step('keys')).toEqual({
    verdict: 'warning',
    message: `1 key for callers' tokens, of ${issuer.url.origin}/jwks; others cannot be used: ${reason}`,
    advice: 'Tokens by the others are refused. Ask whoever runs the issuer to mend its key set.',
    facts: { keys: 1, unusable: [reason] },
  });
});

test('AUTH_MODE=jwt: an issuer without keys: exit code 6', async () => {
  await using provider = await startOpenIdProvider();
  provider.isDown = true;
  const issuer = provider.issuer.origin;
  const { exitCode, step } = await examine({ ...JWT, AUTH_ISSUER: issuer });
  expect(exitCode).toBe(6);
  expect(step('keys')).toEqual({
    verdict: 'failed',
    message: `no keys for callers' tokens, of ${issuer}: the issuer answered 503`,
    advice: 'Check AUTH_ISSUER and AUTH_JWKS_URL, and that the issuer can be reached from here.',
    facts: {},
  });
});

test('65: neither the secret nor a token is in a report, whatever the servers say', async () => {
  const token = 'canary/access+token=0123456789';
  await using upstream = await startScriptedUpstream();
  const reports: string[] = [];
  const look = async () => {
    for (const args of [[], ['--json']]) {
      reports.push((await doctor(args, environmentFor(upstream.url))).output);
    }
  };
  upstream.onToken = () => ({ body: { data: { accessToken: token, expiresIn: 3600 } } });
  upstream.onStatus = ({ headers }) => ({
    status: 403,
    body: { error: { code: token, description: `${token} may not`, additionalInfo: headers } },
  });
  await look();
  upstream.onStatus = () => ({ body: { data: { status: token, id: token }, request: ECHO } });
  await look();
  upstream.onToken = ({ body }) => ({ status: 401, body: { error: { description: body } } });
  await look();
  upstream.onToken = ({ body }) => ({ body });
  await look();
  expect(upstream.tokenCalls[0]?.body).toContain(CLIENT_SECRET);
  expect(reports).toHaveLength(8);
  expect(reports.join('\n')).not.toContain(CLIENT_SECRET);
  expect(reports.join('\n')).not.toContain(token);
});

test('90: a variable that looks like a setting is a warning; what it holds is not shown', async () => {
  const { exitCode, verdict, step } = await examine({ AUTH_REALM: 'canary', LOG_FILE: 'canary' });
  expect([exitCode, verdict]).toEqual([0, 'warning']);
  expect(step('settings')).toEqual({
    verdict: 'warning',
    message: 'no PARTICIPANT_SERVICE_URL: the sandbox stands for it',
    advice: 'No settings, although they look like it: AUTH_REALM, LOG_FILE. See docs/settings.md.',
    facts: { sandbox: true, unknownVariables: ['AUTH_REALM', 'LOG_FILE'] },
  });
});

test("90: the query of the address of the issuer's keys is not shown: it can hold a key of its own", async () => {
  const jwksUrl = new URL('https://issuer.example/keys?code=canary');
  const noAnswer = () => Promise.reject(new Error('no answer'));
  expect(await examineKeys({ jwksUrl }, ['RS256'], noAnswer)).toMatchObject({
    verdict: 'failed',
    message: "no keys for callers' tokens, of https://issuer.example/keys: no answer",
  });
});

test('90: a secret in the place of its file, or in a list, is in no line', async () => {
  for (const environment of [
    { ...SERVICE, TOKEN_CLIENT_SECRET: '', TOKEN_CLIENT_SECRET_FILE: 'canary-S3cret' },
    { CORS_ORIGINS: 'https://me:canary@app.example' },
    { HTTPS_PROXY: 'http://me:canary@proxy.example/path' },
  ]) {
    for (const args of [[], ['--json']]) {
      const { exitCode, output, complaints } = await doctor(args, environment);
      expect(exitCode).toBe(1);
      expect(output + complaints).not.toContain('canary');
    }
  }
});

/** A proxy with a tenant behind it that nobody else finds, and settings for the way there. */
async function startTenantBehindProxy() {
  const service = await startTlsService(authority.issue('tenant.test', around));
  const { port } = new URL(service.settings.PARTICIPANT_SERVICE_URL);
  const proxy = await startConnectProxy({ 'tenant.test:443': port });
  return {
    proxy,
    settings: {
      ...SERVICE,
      PARTICIPANT_SERVICE_URL: 'https://tenant.test',
      HTTPS_PROXY: `http://me:canary@${proxy.url.host}`,
    },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

test('through a proxy: which way it goes to whom, and the certificate behind the proxy', async () => {
  using _ = authority.trust();
  await using behind = await startTenantBehindProxy();
  const { host } = behind.proxy.url;
  const { exitCode, steps, step } = await examine(
    {
      ...behind.settings,
      AUTH_MODE: 'jwt',
      AUTH_ISSUER: 'http://127.0.0.1:1',
      AUTH_AUDIENCE: 'participant-gateway',
      AUTH_LEEWAY_SECONDS: '300',
    },
    [],
    clockOf(),
  );
  expect(exitCode).toBe(6);
  expect(steps).toEqual([...CONNECTED, 'token ok', 'status ok', 'keys failed']);
  expect(step('settings').message).toBe(
    `tenant tenant-1 at https://tenant.test, tokens by os1\nthrough the proxy ${host}: tenant.test; straight: 127.0.0.1:1`,
  );
  expect(step('dns').message).toBe('127.0.0.1, the proxy to tenant.test, is an address');
  expect(step('tcp')).toEqual({
    verdict: 'ok',
    message: `connected to tenant.test:443 through the proxy ${host}`,
    advice: undefined,
    facts: { address: '127.0.0.1', proxy: host },
  });
  expect(step('tls')).toMatchObject({ facts: { subject: 'tenant.test' } });
});

test('a proxy that refuses: exit code 3, and what to set', async () => {
  await using behind = await startTenantBehindProxy();
  const { host } = behind.proxy.url;
  const refusals: unknown[] = [];
  for (const status of [407, 403]) {
    behind.proxy.status = status;
    const { exitCode, steps, step } = await examine(behind.settings);
    expect([exitCode, ...steps.slice(2)]).toEqual([
      3,
      ...['tcp failed', 'tls skipped', 'token skipped', 'status skipped'],
    ]);
    refusals.push(step('tcp'));
    expect((await doctor([], behind.settings)).output).not.toContain('canary');
  }
  const refusal = (status: number, advice: RegExp) => ({
    verdict: 'failed',
    message: `no connection to tenant.test:443 through the proxy ${host} (the proxy answered ${status} to CONNECT)`,
    advice: expect.stringMatching(advice),
    facts: { code: `the proxy answered ${status} to CONNECT`, proxy: host },
  });
  expect(refusals).toEqual([
    refusal(407, /^The proxy wants a name and a password/),
    refusal(403, /^Check HTTPS_PROXY, and that the proxy lets this host through/),
  ]);
});

test('a client certificate is told by its name and its end, and shown to the service', async () => {
  using _ = authority.trust();
  const client = authority.issue('gateway.test', around);
  const server = createServer(
    {
      ...authority.issue('127.0.0.1', around),
      requestCert: true,
      ca: authority.certificate,
    },
    (_request, response) => void response.end(),
  );
  await using service = await listening(server, 'https');
  const environment = {
    ...service.settings,
    UPSTREAM_CLIENT_CERT_FILE: 'tls.crt',
    UPSTREAM_CLIENT_KEY_FILE: 'tls.key',
  };
  const { steps, step } = await examine(environment, [], clockOf(), (path) =>
    Buffer.from(path === 'tls.crt' ? client.cert : client.key),
  );
  expect(steps.slice(0, 4)).toEqual(CONNECTED);
  expect(step('settings').message).toMatch(
    `\nclient certificate of CN=gateway.test, until ${endOf(around)}`,
  );
});

test('participant-gateway doctor is the command, and ends with its exit code', async () => {
  await using well = runProgram('bin/participant-gateway.js', {}, { args: ['doctor'] });
  await using faulty = runProgram(
    'bin/participant-gateway.js',
    { PORT: 'x' },
    { args: ['doctor', '--json'] },
  );
  expect(await well.exited).toBe(0);
  expect(well.output()).toContain('All is well.');
  expect(await faulty.exited).toBe(1);
  expect(JSON.parse(faulty.output())).toMatchObject({ verdict: 'failed', exitCode: 1 });
});
