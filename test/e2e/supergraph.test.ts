import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningProgram, runProgram } from '../support/child-process.ts';
import { UUID } from '../support/test-gateway.ts';

const README = new URL('../../examples/supergraph/README.md', import.meta.url);

/** What `errorsOf` says of a batch that the sandbox does not know, and of one that it cannot tell. */
function notFound(participantType: string, path: (string | number)[]) {
  return {
    message: 'The batch does not exist.',
    path,
    extensions: {
      code: 'NOT_FOUND',
      retryable: false,
      requestId: UUID,
      upstream: {
        status: 404,
        code: '101100110005',
        description: 'The batch does not exist.',
        additionalInfo: { batchId: 'no-such-batch' },
        request: {
          uri: `/core/api/v2/participants/${participantType}/batch/status`,
          method: 'GET',
          queryString: 'batchId=no-such-batch',
          body: {},
        },
      },
      serviceName: 'participants',
    },
  };
}

function unavailable(path: (string | number)[]) {
  return {
    message: 'The service is under maintenance.',
    path,
    extensions: {
      code: 'UPSTREAM_UNAVAILABLE',
      retryable: true,
      retryAfterMs: 5_000,
      requestId: UUID,
      upstream: {
        status: 503,
        code: '101100120008',
        description: 'The service is under maintenance.',
        additionalInfo: {},
        request: {
          uri: '/core/api/v2/participants/vehicles/batch/status',
          method: 'GET',
          queryString: 'batchId=fault-503',
          body: {},
        },
      },
      serviceName: 'participants',
    },
  };
}

interface Answer {
  data?: unknown;
  errors?: { path?: unknown[]; extensions?: Record<string, unknown> }[];
}

async function ask(url: string, query: string, headers = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
  const answer: Answer = await response.json();
  // Gateways join what subgraphs answer in the order in which it comes.
  answer.errors?.sort((a, b) => String(a.path).localeCompare(String(b.path)));
  return answer;
}

/** The example, run as its README does, once with each gateway. */
const examples: RunningProgram[] = [];
const urls = { apollo: '', hive: '' };
/** Of participant-gateway behind them. */
const participants = { apollo: '', hive: '' };

beforeAll(async () => {
  await Promise.all(
    (['apollo', 'hive'] as const).map(async (router) => {
      const environment = { PORT: '0', ROUTER: router };
      const example = runProgram('examples/supergraph/start.ts', environment);
      examples.push(example);
      [, urls[router] = ''] = await example.printed(/Supergraph {4}(\S+)/);
      [, participants[router] = ''] = await example.printed(/participants {2}(\S+)/);
    }),
  );
}, 60_000);

// By SIGTERM, on which it ends participant-gateway, too.
afterAll(async () => {
  for (const example of examples) {
    example.process.kill('SIGTERM');
    expect(await example.exited).toBe(0);
  }
});

// Hive Gateway has the errors of an entity at the fields that were asked of it.
describe.each([
  { name: 'Apollo Gateway', router: 'apollo', atEntity: [] },
  { name: 'Hive Gateway', router: 'hive', atEntity: ['status'] },
] as const)('67: the supergraph behind $name', ({ router, atEntity }) => {
  test('67: joins uploads with their batches, keeps our errors whole and the rest of the data', async () => {
    expect(await ask(urls[router], '{ uploads { fileName batchStatus { status } } }')).toEqual({
      data: {
        uploads: [
          { fileName: 'fleet-north.csv', batchStatus: { status: 'SUCCESS' } },
          { fileName: 'drivers-may.csv', batchStatus: { status: 'PARTIAL_SUCCESS' } },
          { fileName: 'operators.csv', batchStatus: { status: null } },
          { fileName: 'fleet-south.csv', batchStatus: { status: null } },
        ],
      },
      errors: [
        notFound('operators', ['uploads', 2, 'batchStatus', ...atEntity]),
        unavailable(['uploads', 3, 'batchStatus', ...atEntity]),
      ],
    });
  });

  test("67: answers participant-gateway's own query, with the errors of its arguments", async () => {
    const query = `{
      faulty: batchStatus(participantType: "", batchId: "batch-finished") { status }
      good: batchStatus(participantType: "vehicles", batchId: "batch-finished") { status }
      unknown: batchStatus(participantType: "vehicles", batchId: "no-such-batch") { status }
    }`;
    expect(await ask(urls[router], query)).toEqual({
      data: { faulty: null, good: { status: 'SUCCESS' }, unknown: null },
      errors: [
        {
          message: expect.stringContaining('participantType accepts 1 to 128 characters'),
          path: ['faulty'],
          extensions: {
            code: 'BAD_USER_INPUT',
            retryable: false,
            requestId: UUID,
            serviceName: 'participants',
          },
        },
        notFound('vehicles', ['unknown']),
      ],
    });
  });

  test('8: participant-gateway answers it alone (API5:2023)', async () => {
    const query =
      '{ batchStatus(participantType: "vehicles", batchId: "batch-finished") { status } }';
    expect(await ask(urls[router], query)).toEqual({
      data: { batchStatus: { status: 'SUCCESS' } },
    });
    expect(await ask(participants[router], query)).toEqual({
      errors: [
        {
          message: 'The gateway is for its router only.',
          extensions: { code: 'FORBIDDEN', retryable: false, requestId: UUID },
        },
      ],
    });
  });

  test("67: hands the caller's x-request-id on to participant-gateway", async () => {
    const query = '{ batchStatus(participantType: "", batchId: "b") { status } }';
    expect(await ask(urls[router], query, { 'x-request-id': 'from-the-caller' })).toMatchObject({
      errors: [{ extensions: { requestId: 'from-the-caller' } }],
    });
  });
});

test('67: the query in the README of the example is answered as it says', async () => {
  const readme = await readFile(README, 'utf8');
  const [, query = ''] = /```graphql\n(.*?)```/s.exec(readme) ?? [];
  const [, answer = ''] = /```json\n(.*?)```/s.exec(readme) ?? [];
  const { errors = [], ...rest } = await ask(urls.hive, query);
  const shortened = errors.map((error) => {
    const { extensions, ...members } = error;
    return {
      ...members,
      extensions: { code: extensions?.['code'], retryable: extensions?.['retryable'] },
    };
  });
  expect({ ...rest, errors: shortened }).toEqual(JSON.parse(answer));
});

test('67: Hive Gateway shows GraphiQL in a browser, from its own host alone', async () => {
  const response = await fetch(urls.hive, { headers: { accept: 'text/html' } });
  const page = await response.text();
  expect(page).toContain('<title>Supergraph</title>');
  expect(page).not.toMatch(/(?:src|href)="https?:/);
});

test.each([
  [{ ROUTER: 'varnish' }, 'ROUTER takes hive or apollo.\n'],
  [{ PORT: 'http' }, 'PORT takes 0 to 65535.\n'],
])('67: the example refuses %o and says why', async (environment, message) => {
  await using example = runProgram('examples/supergraph/start.ts', environment);
  expect(await example.exited).toBe(1);
  expect(example.output()).toBe(message);
});
