import { expect, test } from 'vitest';
import { OtlpExporter } from '../../src/telemetry/otlp-exporter.ts';
import { TestClock } from '../support/test-clock.ts';

const decode = (body: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(body);

/** An exporter, and a collector that answers when a test says so. */
function startExporter() {
  const clock = new TestClock();
  const bodies: string[] = [];
  const underWay: (PromiseWithResolvers<{ status: number }> & { body: Uint8Array })[] = [];
  const told: object[] = [];
  const exporter = new OtlpExporter({
    clock,
    post(body) {
      bodies.push(decode(body));
      const answer = Promise.withResolvers<{ status: number }>();
      underWay.push({ ...answer, body });
      return answer.promise;
    },
    telemetry: {
      tracesFailed: (event) => told.push(event),
      tracesBack: (event) => told.push(event),
    },
    resource: { attributes: [] },
    scope: { name: 'gateway' },
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    ...{ exporter, clock, told, bodies },
    /** The spans of each message. */
    messages: (): unknown[][] =>
      bodies.map((body) => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans),
    async answer(status: number) {
      const [message] = underWay.splice(0, 1);
      // Its memory is its own until then.
      if (message !== undefined) expect(decode(message.body)).toBe(bodies.at(-1));
      message?.resolve({ status });
      await turn();
    },
    async fail(reason: string) {
      underWay.shift()?.reject(new Error(reason));
      await turn();
    },
  };
}

const span = (name: string, length = 40) => JSON.stringify({ name: name.padEnd(length, '.') });
/** Of which one is in a message: there is room for three bytes of each character. */
const large = (name: string) => span(name, 40_000);
const read = (texts: readonly string[]): unknown[] => texts.map((text) => JSON.parse(text));

test('spans are sent together, a second after the first of them', () => {
  const { exporter, clock, bodies } = startExporter();
  exporter.add('{"name":"a"}');
  clock.advance(999);
  exporter.add('{"name":"ä – 𝄞"}');
  expect(bodies).toEqual([]);
  clock.advance(1);
  expect(bodies).toEqual([
    '{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"scope":{"name":"gateway"},"spans":[{"name":"a"},{"name":"ä – 𝄞"}]}]}]}',
  ]);
  expect(clock.pending).toBe(0);
});

test('a message that is full is sent at once, and none before the collector has answered the last', async () => {
  const { exporter, clock, messages, answer } = startExporter();
  const spans = Array.from({ length: 9_000 }, (_, index) => span(String(index)));
  for (const each of spans) exporter.add(each);
  expect(messages()).toHaveLength(1);
  clock.advance(1_000);
  expect(messages()).toHaveLength(1);
  for (const count of [2, 3, 4]) {
    await answer(200);
    expect(messages()).toHaveLength(count);
  }
  await answer(200);
  expect(messages().flat()).toEqual(read(spans));
});

test('messages under way stay as they are, whatever comes meanwhile', async () => {
  const { exporter, messages, answer } = startExporter();
  const spans = Array.from({ length: 9 }, (_, index) => large(String(index)));
  for (const [index, each] of spans.entries()) {
    exporter.add(each);
    if (index > 0 && index % 2 === 0) await answer(200);
  }
  const closed = exporter.close();
  for (let count = 0; count < 5; count += 1) await answer(200);
  await closed;
  expect(messages()).toEqual(read(spans).map((each) => [each]));
});

test('a span that is longer than a message begins one that has room for it', async () => {
  const { exporter, clock, messages, answer } = startExporter();
  const spans = [span('short'), span('long', 200_000), span('after')];
  for (const each of spans) exporter.add(each);
  clock.advance(1_000);
  await answer(200);
  const [short, ...others] = read(spans);
  expect(messages()).toEqual([[short], others]);
});

test('what the collector does not take is not sent again: it is told once, and how much that was when it is over', async () => {
  const { exporter, clock, told, messages, answer, fail } = startExporter();
  for (const name of ['refused', 'unanswered', 'taken', 'after']) {
    exporter.add(span(name));
    exporter.add(span(name));
    clock.advance(1_000);
    if (name === 'refused') await answer(503);
    else if (name === 'unanswered') await fail('the connection failed');
    else await answer(200);
  }
  expect(told).toEqual([{ reason: 'the collector answered 503' }, { lostSpans: 4 }]);
  expect(messages()).toHaveLength(4);
});

test('so much waits for a collector that is slow, and no more: what is beyond is counted as lost', async () => {
  const { exporter, clock, told, messages, answer } = startExporter();
  // One is sent, 32 wait, and one more is put together.
  for (let count = 0; count < 40; count += 1) exporter.add(large(String(count)));
  expect(told).toEqual([{ reason: 'the collector does not take them as fast as they come' }]);
  clock.advance(1_000);
  for (let count = 0; count < 32; count += 1) await answer(200);
  // It has not caught up yet.
  expect(told.slice(1)).toEqual([]);
  for (let count = 0; count < 2; count += 1) await answer(200);
  const kept = [...Array.from({ length: 33 }, (_, index) => index), 39];
  expect(messages()).toEqual(read(kept.map((index) => large(String(index)))).map((each) => [each]));
  expect(told.slice(1)).toEqual([{ lostSpans: 6 }]);
});

test('the end waits until all is sent', async () => {
  const { exporter, messages, answer } = startExporter();
  for (let count = 0; count < 4; count += 1) exporter.add(large(String(count)));
  let isClosed = false;
  const closed = exporter.close().then(() => {
    isClosed = true;
  });
  for (let count = 0; count < 4; count += 1) {
    expect(isClosed).toBe(false);
    await answer(count === 1 ? 500 : 200);
  }
  await closed;
  expect(messages()).toHaveLength(4);
  await startExporter().exporter.close();
});
