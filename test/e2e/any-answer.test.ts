import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isErrorCode } from '../../src/core/error-codes.ts';
import { type ArbitraryAnswer, arbitraryAnswer } from '../support/arbitrary-answers.ts';
import { TestClock } from '../support/test-clock.ts';
import { startTestGateway, UUID } from '../support/test-gateway.ts';

/** A few more waves than make 10,000: a call that finds its connection gone is not always made again. */
const WAVES = 505;
const CALLS_OF_WAVE = 20;
const DEADLINE_MS = 5_000;

/** An operation that asks for some batches, each under an alias of its own. */
interface Operation {
  aliases: readonly string[];
  query: string;
}

function operation(aliases: readonly string[]): Operation {
  const variables = aliases.map((alias) => `$${alias}: ID`);
  const fields = aliases.map(
    (alias) => `${alias}: batchStatus(participantType: "vehicles", batchId: $${alias}) { ...All }`,
  );
  const query = `query Wave(${variables.join(' ')}) { ${fields.join('\n')} }
    fragment All on BatchStatus {
      id status finished totalCount successCount failureCount progress data dataAt(pointer: "/x")
      failures(first: 2) { ...Records } successes(first: 2) { ...Records }
      request { uri method queryString body } fetchedAt stale
    }
    fragment Records on BatchRecordConnection {
      totalCount edges { cursor node { refId id reason code record } } pageInfo { endCursor }
    }`;
  return { aliases, query };
}

const ALIASES = Array.from({ length: CALLS_OF_WAVE }, (_, index) => `b${index}`);
/** Short enough to be compiled; the other is not. */
const ONE = operation(ALIASES.slice(0, 1));
const OTHERS = operation(ALIASES.slice(1));

interface Answer {
  data: Record<string, object | null>;
  errors?: {
    path: [alias: string];
    extensions: { code: unknown; upstream?: { description: unknown } };
  }[];
}

function wellFormed(body: object): ArbitraryAnswer {
  const text = JSON.stringify(body);
  return {
    bytes: `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
    firstPiece: undefined,
    ending: 'open',
  };
}
const GOOD = wellFormed({ data: { status: 'DONE' } });
const TOKEN = wellFormed({ data: { accessToken: 'canary-access-token', expiresIn: 86_400 } });

/** A Participant Service that sends what it is told, byte for byte, and a good token endpoint. */
async function startRawUpstream() {
  const sockets = new Set<Socket>();
  /** By batch id; of others the answer is a good one. */
  const answers = new Map<string, ArbitraryAnswer>();
  const answered = new Set<string>();

  function send(socket: Socket, { bytes, firstPiece = bytes.length, ending }: ArbitraryAnswer) {
    const finish = () => {
      if (ending === 'end') socket.end();
      if (ending === 'reset') socket.resetAndDestroy();
    };
    socket.write(bytes.slice(0, firstPiece), 'latin1');
    if (firstPiece >= bytes.length) return finish();
    setImmediate(() => {
      socket.write(bytes.slice(firstPiece), 'latin1');
      finish();
    });
  }

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let received = '';
    socket.setEncoding('latin1').on('data', (text) => {
      received += text;
      const [head, method, batchId = ''] =
        /^(GET|POST) \S+?(?:batchId=(\S+))? .+?\r\n\r\n/s.exec(received) ?? [];
      const length = Number(/^content-length: (\d+)/im.exec(received)?.[1] ?? 0);
      if (head === undefined || received.length < head.length + length) return;
      received = '';
      const answer = answers.get(batchId);
      if (answer !== undefined) answered.add(batchId);
      send(socket, method === 'POST' ? TOKEN : (answer ?? GOOD));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    answers,
    answered,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** What nobody has caught while it is in use. */
function recordUncaught() {
  const uncaught: unknown[] = [];
  const record = (reason: unknown) => void uncaught.push(reason);
  const events = ['unhandledRejection', 'uncaughtException'] as const;
  for (const event of events) process.on(event, record);
  return {
    uncaught,
    [Symbol.dispose]() {
      for (const event of events) process.off(event, record);
    },
  };
}

/** Vitest maps each line of each stack to its source: of so many errors that is a fifth of the time. */
function shortenStacks() {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 3;
  return {
    [Symbol.dispose]() {
      Error.stackTraceLimit = stackTraceLimit;
    },
  };
}

function waveOf(answer: fc.Arbitrary<ArbitraryAnswer>): fc.Arbitrary<ArbitraryAnswer[]> {
  return fc.array(answer, { minLength: CALLS_OF_WAVE, maxLength: CALLS_OF_WAVE });
}
// To wait for those that hang takes time, whether it is one or twenty.
const anyWave = fc.oneof(
  { weight: 24, arbitrary: waveOf(arbitraryAnswer({ mayHang: false })) },
  { weight: 1, arbitrary: waveOf(arbitraryAnswer({ mayHang: true })) },
);

/** Holds that there is all of a status for each alias, or null and one error. */
function expectWhole({ data, errors = [] }: Answer, batchIds: Record<string, string>): void {
  const failed = new Set(errors.map(({ path }) => path[0]));
  expect({ data, errors }).toEqual({
    data: Object.fromEntries(
      Object.entries(batchIds).map(([alias, batchId]) => [
        alias,
        failed.has(alias)
          ? null
          : expect.objectContaining({
              id: `vehicles/${batchId}`,
              data: expect.any(Object),
              request: expect.any(Object),
              fetchedAt: expect.any(String),
              stale: false,
            }),
      ]),
    ),
    errors: [...failed].map((alias) => ({
      message: expect.any(String),
      locations: [expect.any(Object)],
      path: [alias],
      extensions: expect.objectContaining({ retryable: expect.any(Boolean), requestId: UUID }),
    })),
  });
}

/** What became of each alias: success, or a code of the closed set, and whose words it comes with. */
function outcomesOf({ data, errors = [] }: Answer): string[] {
  const failures = errors.map(({ extensions: { code, upstream } }) => {
    if (!isErrorCode(code)) throw new Error(`${code} is no code of the closed set`);
    if (code === 'INTERNAL_SERVER_ERROR') throw new Error('it was a fault of the gateway');
    if (upstream === undefined) return `${code} without an answer`;
    return upstream.description === null ? code : `${code} in words of the upstream`;
  });
  const successes = Object.values(data).filter((status) => status !== null);
  return [...failures, ...successes.map(() => 'success')];
}

/** Entries about faults. That an echo is of another request, as some are here, is none of the gateway. */
function faultsIn(logLines: readonly string[]): unknown[] {
  return logLines
    .map((line) => JSON.parse(line))
    .filter(({ level }) => level === 'error' || level === 'fatal')
    .filter(({ msg }) => msg !== 'the upstream answered a request with the answer to another');
}

test('31: no body, header or status that an upstream can send makes an INTERNAL_SERVER_ERROR, an unhandled rejection or a hang', async () => {
  using record = recordUncaught();
  using _ = shortenStacks();
  const clock = new TestClock();
  await using upstream = await startRawUpstream();
  await using gateway = await startTestGateway({
    upstream,
    clock,
    environment: {
      STATUS_TTL_MS: '0',
      STATUS_FINISHED_TTL_MS: '0',
      STATUS_STALE_MS: '0',
      REQUEST_DEADLINE_MS: String(DEADLINE_MS),
      QUERY_MAX_COST: '4000',
    },
  });
  const inherited = Reflect.ownKeys(Object.prototype);
  const outcomes = new Map<string, number>();
  let waves = 0;

  async function ask({ aliases, query }: Operation): Promise<string[]> {
    const batchIds = Object.fromEntries(aliases.map((alias) => [alias, `${waves}-${alias}`]));
    const { status, body } = await gateway.query(query, batchIds);
    expect(faultsIn(gateway.logLines.splice(0))).toEqual([]);
    expect(status).toBe(200);
    const answer: Answer = JSON.parse(JSON.stringify(body));
    expectWhole(answer, batchIds);
    return outcomesOf(answer);
  }
  async function inTime<T>(answer: Promise<T>): Promise<T> {
    const begun = clock.now();
    const answered = await clock.elapse(answer);
    // Some turns of the event loop are for the answer's way back.
    expect(clock.now() - begun).toBeLessThan(DEADLINE_MS + 100);
    return answered;
  }

  await fc.assert(
    fc.asyncProperty(anyWave, async (answers) => {
      waves += 1;
      answers.forEach((answer, index) => {
        upstream.answers.set(`${waves}-${ALIASES[index]}`, answer);
      });
      const all = await inTime(Promise.all([ask(ONE), ask(OTHERS)]));
      for (const outcome of all.flat()) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);

      // A good answer closes the circuit where that has opened, and shows that all is as before: when the
      // longest Retry-After that is believed has run.
      upstream.answers.clear();
      clock.advance(3_600_000);
      expect(await inTime(ask(ONE))).toEqual(['success']);
      expect(record.uncaught).toEqual([]);
      expect(Reflect.ownKeys(Object.prototype)).toEqual(inherited);
    }),
    { numRuns: WAVES, interruptAfterTimeLimit: 100_000 },
  );

  // Nobody reads slowly: the look after that is the last one.
  clock.advance(1_000);
  await expect.poll(() => clock.pending).toBe(0);
  expect(upstream.answered.size).toBeGreaterThanOrEqual(10_000);
  // There is something of everything.
  expect(outcomes.get('success')).toBeGreaterThan(1_000);
  // Those refused while a Retry-After runs may come or not: that goes by the order of answers.
  const often = [...outcomes].filter(
    ([outcome, times]) => times >= 10 && outcome !== 'UPSTREAM_RATE_LIMITED without an answer',
  );
  expect(often.map(([outcome]) => outcome).sort()).toEqual([
    'BAD_USER_INPUT',
    'BAD_USER_INPUT in words of the upstream',
    'NOT_FOUND',
    'NOT_FOUND in words of the upstream',
    'UPSTREAM_BAD_RESPONSE',
    'UPSTREAM_BAD_RESPONSE without an answer',
    'UPSTREAM_FORBIDDEN',
    'UPSTREAM_FORBIDDEN in words of the upstream',
    'UPSTREAM_RATE_LIMITED',
    'UPSTREAM_RATE_LIMITED in words of the upstream',
    'UPSTREAM_REJECTED',
    'UPSTREAM_REJECTED in words of the upstream',
    'UPSTREAM_TIMEOUT',
    'UPSTREAM_TIMEOUT in words of the upstream',
    'UPSTREAM_TIMEOUT without an answer',
    'UPSTREAM_UNAUTHENTICATED',
    'UPSTREAM_UNAUTHENTICATED in words of the upstream',
    'UPSTREAM_UNAVAILABLE',
    'UPSTREAM_UNAVAILABLE in words of the upstream',
    'UPSTREAM_UNAVAILABLE without an answer',
    'success',
  ]);
}, 120_000);
