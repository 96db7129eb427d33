import { expect, test } from 'vitest';
import { ECHO, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway, type TestGateway, UUID } from '../support/test-gateway.ts';

const TYPED_FIELDS = `query Typed($id: ID) { batchStatus(participantType: "vehicles", batchId: $id) {
  status finished totalCount successCount failureCount progress
} }`;

const NOTHING = {
  status: null,
  finished: null,
  totalCount: null,
  successCount: null,
  failureCount: null,
  progress: null,
};

/** What the typed fields are for `data`; those that are not named are null. */
const payloads: [name: string, data: string, fields: Partial<typeof NOTHING> | object][] = [
  [
    'core, running',
    '{"meta":{"status":"RUNNING","success":117,"failed":3,"total":240},"errors":[],"success":[]}',
    {
      status: 'RUNNING',
      finished: false,
      totalCount: 240,
      successCount: 117,
      failureCount: 3,
      progress: 0.5,
    },
  ],
  [
    'core, ended by its counts, in a status that nobody knows',
    '{"meta":{"status":"done-with-errors","success":117,"failed":3,"total":120},"errors":[],"success":[]}',
    {
      status: 'done-with-errors',
      finished: true,
      totalCount: 120,
      successCount: 117,
      failureCount: 3,
      progress: 1,
    },
  ],
  [
    'core, in a known status and mixed case',
    '{"META":{"Status":"success","SUCCESS":2,"Failed":0,"Total":2},"Errors":[],"Success":[]}',
    {
      status: 'success',
      finished: true,
      totalCount: 2,
      successCount: 2,
      failureCount: 0,
      progress: 1,
    },
  ],
  [
    'core, without a status',
    '{"meta":{"success":1,"failed":1,"total":4}}',
    { finished: false, totalCount: 4, successCount: 1, failureCount: 1, progress: 0.5 },
  ],
  [
    'core, of a batch of nothing',
    '{"meta":{"success":0,"failed":0,"total":0}}',
    { totalCount: 0, successCount: 0, failureCount: 0 },
  ],
  [
    'core, with counts beyond the total',
    '{"meta":{"success":9,"failed":9,"total":10}}',
    { finished: true, totalCount: 10, successCount: 9, failureCount: 9, progress: 1 },
  ],
  [
    'a count that is missing may hold the rest',
    '{"meta":{"success":1,"total":4}}',
    { totalCount: 4, successCount: 1, progress: 0.25 },
  ],
  [
    'but what is counted is enough when it reaches the total',
    '{"meta":{"success":4,"total":4}}',
    { finished: true, totalCount: 4, successCount: 4, progress: 1 },
  ],
  [
    'a status says that it goes on where the counts say nothing',
    '{"meta":{"status":"RUNNING"}}',
    { status: 'RUNNING', finished: false },
  ],
  [
    'orders',
    '{"id":"b","status":"PARTIAL_SUCCESS","totalCount":4,"successCount":1,"failureCount":1,"successDetails":[],"failureDetails":[]}',
    {
      status: 'PARTIAL_SUCCESS',
      finished: true,
      totalCount: 4,
      successCount: 1,
      failureCount: 1,
      progress: 0.5,
    },
  ],
  [
    'orders, in a status that goes on, but with nothing left',
    '{"STATUS":"IN_PROGRESS","TotalCount":2,"successcount":1,"FailureCount":1}',
    {
      status: 'IN_PROGRESS',
      finished: true,
      totalCount: 2,
      successCount: 1,
      failureCount: 1,
      progress: 1,
    },
  ],
  ['lists are no counts', '{"success":[{}],"errors":[{}],"failed":[],"total":[1]}', {}],
  [
    'nor are lists in the place of counts',
    '{"meta":{"status":["DONE"],"success":[{}],"failed":[],"total":[2]},"totalCount":[2]}',
    {},
  ],
  ['nor is a number that is no documented member', '{"success":5,"failed":1,"total":6}', {}],
  ['a meta that is no object', '{"meta":[{"status":"DONE"}]}', {}],
  [
    'counts as strings of digits',
    '{"meta":{"success":"117","failed":"3","total":"120"}}',
    { finished: true, totalCount: 120, successCount: 117, failureCount: 3, progress: 1 },
  ],
  [
    'counts as integers that are written otherwise',
    '{"meta":{"success":1.0,"failed":1e0,"total":2.00}}',
    { finished: true, totalCount: 2, successCount: 1, failureCount: 1, progress: 1 },
  ],
  [
    'the largest count that GraphQL has',
    '{"meta":{"success":2147483647,"failed":"0","total":"2147483647"}}',
    {
      finished: true,
      totalCount: 2147483647,
      successCount: 2147483647,
      failureCount: 0,
      progress: 1,
    },
  ],
  [
    'counts that are larger, as numbers and as digits',
    '{"meta":{"success":2147483648,"failed":"2147483648","total":99999999999999999999}}',
    {},
  ],
  [
    'counts that are fractional, negative, or no digits',
    '{"meta":{"success":2.5,"failed":-1,"total":"1e3"},"totalCount":"","successCount":" 1","failureCount":"0x1"}',
    {},
  ],
  ['null members', '{"meta":{"status":null,"success":null,"failed":null,"total":null}}', {}],
  [
    'null members of core beside those of orders',
    '{"meta":{"status":null,"total":null},"status":"QUEUED","totalCount":3}',
    { status: 'QUEUED', finished: false, totalCount: 3 },
  ],
  ['an empty status', '{"meta":{"status":""}}', {}],
];

test.each(payloads)('72: the typed fields of a payload: %s', async (_name, data, fields) => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({ body: `{"data":${data},"request":{}}` });
  expect(await gateway.query(TYPED_FIELDS)).toEqual({
    status: 200,
    body: { data: { batchStatus: { ...NOTHING, ...fields } } },
  });
});

test.each([
  [
    'core',
    (done: number) => ({ meta: { status: 'working', success: done, failed: 0, total: 2 } }),
    'working',
  ],
  [
    'orders',
    (done: number) => ({
      status: done < 2 ? 'IN_PROGRESS' : 'COMPLETED',
      totalCount: 2,
      successCount: done,
      failureCount: 0,
    }),
    'COMPLETED',
  ],
])('72: a batch in the %s payload is polled until it is finished', async (_name, dataOf, last) => {
  const clock = new TestClock();
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream, clock });
  upstream.onStatus = () => ({
    body: { data: dataOf(upstream.statusCalls.length - 1), request: ECHO },
  });
  const seen: unknown[] = [];
  for (let poll = 0; poll < 3; poll += 1) {
    const { body } = await gateway.query(
      '{ batchStatus(participantType: "vehicles") { finished progress } }',
    );
    seen.push(body);
    clock.advance(1_500);
  }
  const answer = (finished: boolean, progress: number) => ({
    data: { batchStatus: { finished, progress } },
  });
  expect(seen).toEqual([answer(false, 0), answer(false, 0.5), answer(true, 1)]);
  expect(await gateway.query('{ batchStatus(participantType: "vehicles") { status } }')).toEqual({
    status: 200,
    body: { data: { batchStatus: { status: last } } },
  });
});

const PAGE = `query Page($id: ID, $first: Int, $after: String) {
  batchStatus(participantType: "vehicles", batchId: $id) {
    failures(first: $first, after: $after) { ...Records }
    successes(first: $first, after: $after) { ...Records }
  }
}
fragment Records on BatchRecordConnection {
  totalCount
  edges { cursor node { refId id reason code record } }
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
}`;

interface Page {
  totalCount: number;
  edges: { cursor: string; node: { refId: string | null } }[];
  pageInfo: { hasNextPage: boolean; endCursor: string };
}

/** The connections of one answer. */
async function pagesOf(
  gateway: TestGateway,
  variables: object,
): Promise<{ failures: Page; successes: Page }> {
  const { body } = await gateway.query(PAGE, variables);
  return JSON.parse(JSON.stringify(body)).data.batchStatus;
}

const records: [payload: string, data: object, failures: object[], successes: object[]][] = [
  [
    'core',
    {
      meta: { total: 3 },
      errors: [
        { refID: 'row-1', reason: 'vin missing' },
        { refid: 7, reason: '', code: 101100310042, more: [1] },
      ],
      success: [{ refID: 'row-3', id: 'p-3' }],
    },
    [
      { refId: 'row-1', id: null, reason: 'vin missing', code: null },
      { refId: '7', id: null, reason: null, code: '101100310042' },
    ],
    [{ refId: 'row-3', id: 'p-3', reason: null, code: null }],
  ],
  [
    'orders',
    {
      failureDetails: [
        { id: 'o-1', errors: [{ message: 'vin missing', label: 'vin', code: '1', meta: {} }, {}] },
        { id: 12, errors: [] },
        { errors: ['x'], id: '' },
      ],
      successDetails: [{ id: 'o-3' }],
    },
    [
      { refId: null, id: 'o-1', reason: 'vin missing', code: '1' },
      { refId: null, id: '12', reason: null, code: null },
      { refId: null, id: null, reason: null, code: null },
    ],
    [{ refId: null, id: 'o-3', reason: null, code: null }],
  ],
  [
    'core, of records that are none',
    { meta: {}, errors: ['x', null, 7, [1]], success: [{}], failureDetails: [{}, {}] },
    [1, 2, 3, 4].map(() => ({ refId: null, id: null, reason: null, code: null })),
    [{ refId: null, id: null, reason: null, code: null }],
  ],
  [
    'orders, with a list of errors that is not about records',
    { errors: [], success: 'yes', failureDetails: [{ id: 'o-1' }], successDetails: [] },
    [{ refId: null, id: 'o-1', reason: null, code: null }],
    [],
  ],
];

test.each(records)('72: the records of a payload: %s', async (_name, data, failures, successes) => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({ body: { data, request: ECHO } });
  const lists: Record<string, object[]> = JSON.parse(JSON.stringify(data));
  const isCore = 'meta' in lists;
  const connection = (nodes: object[], sent: unknown[] | undefined) => ({
    totalCount: nodes.length,
    edges: nodes.map((node, index) => ({
      cursor: expect.stringMatching(new RegExp(`^[\\w-]{12}\\.${index}$`)),
      node: { ...node, record: sent?.[index] },
    })),
    pageInfo: {
      hasNextPage: false,
      hasPreviousPage: false,
      startCursor: nodes.length === 0 ? null : expect.stringMatching(/\.0$/),
      endCursor: nodes.length === 0 ? null : expect.any(String),
    },
  });
  expect(await gateway.query(PAGE)).toEqual({
    status: 200,
    body: {
      data: {
        batchStatus: {
          failures: connection(failures, isCore ? lists['errors'] : lists['failureDetails']),
          successes: connection(successes, isCore ? lists['success'] : lists['successDetails']),
        },
      },
    },
  });
});

test('72: where the payload lists no records, their connections are null', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = () => ({ body: { data: { meta: { success: 1 }, errors: {}, success: 3 } } });
  expect(await gateway.query(PAGE)).toEqual({
    status: 200,
    body: { data: { batchStatus: { failures: null, successes: null } } },
  });
});

test('72: failures(first: 2) and its cursors lead to the end, in either payload', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  const ids = ['a', 'b', 'c', 'd', 'e'];
  const seen: unknown[] = [];
  for (const data of [
    { meta: {}, errors: ids.map((refID) => ({ refID })) },
    { failureDetails: ids.map((refID) => ({ refID })) },
  ]) {
    upstream.onStatus = () => ({ body: { data, request: ECHO } });
    let after: string | null = null;
    for (let page = 0; page < 3; page += 1) {
      const { failures } = await pagesOf(gateway, { id: `b-${seen.length < 3}`, first: 2, after });
      const { hasNextPage, endCursor } = failures.pageInfo;
      seen.push([failures.edges.map(({ node }) => node.refId), hasNextPage]);
      after = endCursor;
    }
    // Behind the end there is nothing.
    const { failures } = await pagesOf(gateway, { id: `b-${seen.length < 4}`, first: 2, after });
    expect(failures).toEqual({
      totalCount: 5,
      edges: [],
      pageInfo: { hasNextPage: false, hasPreviousPage: true, startCursor: null, endCursor: null },
    });
  }
  const pages = [
    [['a', 'b'], true],
    [['c', 'd'], true],
    [['e'], false],
  ];
  expect(seen).toEqual([...pages, ...pages]);
});

test('72: a page has 20 records where nobody says, 0 to 100 where somebody does', async () => {
  await using gateway = await startTestGateway();
  const counts: number[] = [];
  for (const first of [undefined, null, 0, 1, 100]) {
    const { failures } = await pagesOf(gateway, { id: 'batch-large', first });
    counts.push(failures.edges.length);
  }
  expect(counts).toEqual([20, 20, 0, 1, 100]);
});

test('72: 100,000 records are paged through, each once', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({
    upstream,
    clock: new TestClock(),
    environment: { UPSTREAM_MAX_BODY_BYTES: '16000000' },
  });
  const errors = Array.from({ length: 100_000 }, (_, index) => ({ refID: String(index) }));
  const body = JSON.stringify({ data: { meta: { total: 100_000 }, errors }, request: ECHO });
  upstream.onStatus = () => ({ body });
  let after: string | null = null;
  let expected = 0;
  do {
    const answer = await gateway.query(
      `query ($after: String) { batchStatus(participantType: "vehicles") {
        failures(first: 100, after: $after) { edges { node { refId } } pageInfo { endCursor } }
      } }`,
      { after },
    );
    const { failures } = JSON.parse(JSON.stringify(answer.body)).data.batchStatus;
    expect(failures.edges.map(({ node }: Page['edges'][number]) => node.refId)).toEqual(
      Array.from({ length: failures.edges.length }, (_, index) => String(expected + index)),
    );
    expected += failures.edges.length;
    after = failures.pageInfo.endCursor;
  } while (after !== null);
  expect(expected).toBe(100_000);
  expect(upstream.statusCalls).toHaveLength(1);
});

const FIRST = 'first accepts 0 to 100.';
const CURSOR =
  'after accepts a cursor of the same list of the same batch, as an earlier page had it.';

test('72: a first that is negative or huge, and a cursor that is none of this list, are BAD_USER_INPUT', async () => {
  await using gateway = await startTestGateway();
  const cursor = (await pagesOf(gateway, { id: 'batch-partial' })).failures.pageInfo.endCursor;
  const otherBatch = (await pagesOf(gateway, { id: 'batch-failed' })).failures.pageInfo.endCursor;
  const otherList = (await pagesOf(gateway, { id: 'batch-partial' })).successes.pageInfo.endCursor;
  const [list] = cursor.split('.');
  const refused: [page: object, message: string][] = [
    [{ first: -1 }, FIRST],
    [{ first: 101 }, FIRST],
    [{ first: 2147483647 }, FIRST],
    [{ after: otherBatch }, CURSOR],
    [{ after: otherList }, CURSOR],
    ...['', ' ', 'x', '.', list, `${list}.`, `${list}.-1`, `${list}.01`, `${list}.1e3`].map(
      (after): [object, string] => [{ after }, CURSOR],
    ),
    ...[`${list}.99999999999`, ` ${cursor}`, `${cursor}\n`, `${cursor}.0`].map(
      (after): [object, string] => [{ after }, CURSOR],
    ),
  ];
  for (const [page, message] of refused) {
    expect(
      await gateway.query(
        `query ($first: Int, $after: String) { batchStatus(participantType: "vehicles", batchId: "batch-partial") {
          id failures(first: $first, after: $after) { totalCount }
        } }`,
        page,
      ),
    ).toEqual({
      status: 200,
      body: {
        data: { batchStatus: { id: 'vehicles/batch-partial', failures: null } },
        errors: [
          {
            message,
            locations: [{ line: 2, column: 14 }],
            path: ['batchStatus', 'failures'],
            extensions: { code: 'BAD_USER_INPUT', retryable: false, requestId: UUID },
          },
        ],
      },
    });
  }
});

test('the sandbox has a batch in the orders payload', async () => {
  await using gateway = await startTestGateway();
  const { body } = await gateway.query(
    '{ batchStatus(participantType: "vehicles", batchId: "batch-orders") { status finished totalCount failures { edges { node { id reason code } } } successes { totalCount } } }',
  );
  expect(body).toEqual({
    data: {
      batchStatus: {
        status: 'PARTIAL_SUCCESS',
        finished: true,
        totalCount: 3,
        failures: { edges: [{ node: { id: 'o-3', reason: 'vin missing', code: '101100310042' } }] },
        successes: { totalCount: 2 },
      },
    },
  });
});

test('72: an id of the form batch:<uuid> goes through everywhere', async () => {
  await using upstream = await startScriptedUpstream();
  await using gateway = await startTestGateway({ upstream });
  upstream.onStatus = ({ target }) => ({
    body: {
      data: { meta: { status: 'DONE' } },
      // As it was sent, and as servers write it.
      request: {
        uri: target.split('?')[0],
        queryString: target.split('?')[1]?.replace('%3A', ':'),
      },
    },
  });
  const batchId = 'batch:4b3610a5-05aa-4eef-a48c-d4ca50cce829';
  const id = `vehicles/${batchId.replace(':', '%3A')}`;
  const found = { id, batchId, status: 'DONE' };

  expect(
    await gateway.query(
      `query ($b: ID, $them: [_Any!]!) {
        argument: batchStatus(participantType: "vehicles", batchId: "${batchId}") { id batchId status }
        variable: batchStatus(participantType: "vehicles", batchId: $b) { id batchId status }
        _entities(representations: $them) { ... on BatchStatus { id batchId status } }
      }`,
      {
        b: batchId,
        them: [
          { __typename: 'BatchStatus', id },
          // As somebody writes it who does not encode.
          { __typename: 'BatchStatus', id: `vehicles/${batchId}` },
          { __typename: 'BatchStatus', participantType: 'vehicles', batchId },
        ],
      },
    ),
  ).toEqual({
    status: 200,
    body: { data: { argument: found, variable: found, _entities: [found, found, found] } },
  });
  expect(upstream.statusCalls.map(({ target }) => target)).toEqual([
    '/core/api/v2/participants/vehicles/batch/status?batchId=batch%3A4b3610a5-05aa-4eef-a48c-d4ca50cce829',
  ]);
});
